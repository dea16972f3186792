// A text of one's own: a button, and a dialog to paste a text into, drop a file on, or choose one. What is typed goes to
// Python as bytes, as a file does, so that both are read in one way; Python says what they are (`said`). Nothing of it is
// ever markup.

const PAUSE = 400; // ms without a key until a text is read
const LONGEST_TITLE = 40;

export function render({ model }) {
  const box = document.createElement("div");
  box.className = "own-text";
  box.innerHTML = `
    <button type="button" class="bring" aria-haspopup="dialog">Use my own text…</button>
    <dialog aria-labelledby="own-heading">
      <h2 id="own-heading">Use my own text</h2>
      <p class="aside">It goes to the computer that runs this lab, and onto its disk only when you save a run. A link to the
        run opens it for others too, for as long as the lab runs. Plain text (UTF-8), up to <span class="largest"></span>.</p>
      <label class="paste" for="own-paste">Paste a text, or drop a file here</label>
      <textarea id="own-paste" dir="auto" spellcheck="false" autocomplete="off"></textarea>
      <p class="chosen" hidden><span class="file-name"></span><button type="button" class="remove">Remove</button></p>
      <div class="pick">
        <button type="button" class="choose">Choose a file…</button>
        <input type="file" aria-label="A text file" tabindex="-1" hidden>
        <label>Name <input type="text" class="own-title" maxlength="${LONGEST_TITLE}" autocomplete="off" spellcheck="false" dir="auto"></label>
      </div>
      <dl class="own-figures" hidden>
        <div><dt>Characters</dt><dd data-own="characters"></dd></div>
        <div><dt>Different ones</dt><dd data-own="different"></dd></div>
        <div class="first"><dt>First line</dt><dd data-own="first" dir="auto"></dd></div>
      </dl>
      <div class="verdict" role="status">
        <p class="warning" data-own="problem"></p>
        <p class="warning" data-own="learn"></p>
        <p class="aside" data-own="probe"></p>
        <p class="aside" data-own="cut"></p>
      </div>
      <div class="own-actions">
        <button type="button" class="learn primary" title="A new model learns this text.">Train on it</button>
        <button type="button" class="probe" title="The model stays as it is: heads and signals are shown on this text.">Use as probe text</button>
        <button type="button" class="cancel">Cancel</button>
      </div>
      <p class="usual" hidden><span>The heads are shown on a probe text of yours.</span><button type="button">Show the usual one</button></p>
    </dialog>`;
  const find = (selector) => box.querySelector(selector);
  find(".largest").textContent = `${(model.largest / 1e6).toLocaleString("en", { maximumSignificantDigits: 2 })} MB`;
  const [dialog, pasted, title, picker] = ["dialog", "textarea", ".own-title", 'input[type="file"]'].map(find);
  let serial = 0; // of what is in the dialog; what is said of an older text is passed over
  let file = null;
  let waiting = 0;
  let own = ""; // what was wrong before anything could be sent

  // What is said ------------------------------------------------------------------------------------------------------

  const show = () => {
    const said = model.said.serial === serial ? model.said : {};
    const usable = said.characters !== undefined;
    const reading = said.serial === undefined && (file !== null || pasted.value !== "");
    find(".own-figures").hidden = !usable;
    for (const node of box.querySelectorAll("[data-own]")) {
      let words = said[node.dataset.own] || "";
      if (node.dataset.own === "problem") words ||= own;
      if (node.dataset.own === "cut" && reading && !own) words = "Reading …";
      if (node.textContent !== words) node.textContent = words;
    }
    find(".learn").disabled = !usable || said.learn !== "";
    find(".probe").disabled = !usable || said.probe !== "";
    title.placeholder = usable ? said.title : "";
    find(".usual").hidden = !model.probing;
    pasted.hidden = find(".paste").hidden = file !== null;
    find(".chosen").hidden = file === null;
    find(".file-name").textContent = file === null ? "" : file.name;
  };

  // What is brought ---------------------------------------------------------------------------------------------------

  const complain = (words) => {
    own = words;
    show();
  };
  const send = async (of, bytes, size) => {
    if (size > model.largest) return model.send_msg({ large: { serial: of, size } });
    try {
      const data = await bytes();
      if (of === serial) model.send_msg({ look: { serial: of, data } });
    } catch {
      if (of === serial) complain("The file can't be read. Choose it once more.");
    }
  };
  const look = () => {
    clearTimeout(waiting);
    const text = pasted.value;
    if (file !== null) return send(serial, () => file.arrayBuffer(), file.size);
    if (text === "") return;
    if (text.isWellFormed && !text.isWellFormed()) return complain("The text holds half of a character. Copy it once more.");
    const bytes = new TextEncoder().encode(text);
    send(serial, () => bytes.buffer, bytes.length);
  };
  const changed = (wait) => {
    serial += 1;
    own = "";
    clearTimeout(waiting);
    waiting = setTimeout(look, wait);
    show();
  };
  const take = (files) => {
    const focused = box.getRootNode().activeElement === pasted;
    if (files.length === 0) return;
    if (files.length > 1) return complain("Bring one file at a time.");
    file = files[0];
    if (title.value === "" || title.dataset.given === title.value) {
      title.dataset.given = title.value = file.name.replace(/\.[^.]*$/, "").slice(0, LONGEST_TITLE);
    }
    changed(0);
    if (focused) find(".remove").focus(); // the field that had the focus is out of sight
  };
  const drop = () => {
    file = null;
    picker.value = "";
    if (title.dataset.given === title.value) title.value = "";
    changed(0);
  };
  pasted.addEventListener("input", () => changed(PAUSE));
  pasted.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (text.length <= model.largest) return;
    event.preventDefault(); // to lay out so many characters takes a browser a minute
    serial += 1;
    own = "";
    clearTimeout(waiting);
    send(serial, null, new TextEncoder().encode(text).length);
    show();
  });
  find(".choose").addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => take(picker.files));
  find(".remove").addEventListener("click", () => {
    drop();
    begin();
  });
  dialog.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return; // a dragged text goes where the browser puts it
    event.preventDefault();
    dialog.classList.add("over");
  });
  dialog.addEventListener("dragleave", (event) => dialog.contains(event.relatedTarget) || dialog.classList.remove("over"));
  dialog.addEventListener("drop", (event) => {
    dialog.classList.remove("over");
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });

  // The dialog --------------------------------------------------------------------------------------------------------

  const begin = () => {
    // Where fingers point, a keyboard would come up and cover the dialog.
    (window.matchMedia("(pointer: fine)").matches ? pasted : find(".choose")).focus();
  };
  find(".bring").addEventListener("click", () => {
    show();
    dialog.showModal();
    begin();
  });
  find(".cancel").addEventListener("click", () => dialog.close());
  find(".learn").addEventListener("click", () => model.send_msg({ learn: { serial, title: title.value } }));
  find(".probe").addEventListener("click", () => model.send_msg({ probe: { serial } }));
  find(".usual button").addEventListener("click", () => {
    model.send_msg({ usual: true });
    dialog.close();
  });
  dialog.addEventListener("close", () => {
    pasted.value = title.value = "";
    drop();
    clearTimeout(waiting);
    model.send_msg({ forget: true });
  });
  // The page's own keys are not meant here: Escape closes the dialog, a letter typed is a letter.
  box.addEventListener("keydown", (event) => dialog.open && event.stopPropagation());

  model.on("msg:custom", (news) => news.done && dialog.close());
  model.on("said", show);
  model.on("probing", show);
  show();
  return box;
}
