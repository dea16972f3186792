// Share: the page's address says the run's settings, and a menu saves the run, copies its settings and makes files of them.
// Everything to be copied is here before it is asked for, since browsers copy only in the moment of a press.

const COPIES = { link: "Copy link", python: "Copy as Python", yaml: "Copy as YAML" };
const SAID = 2000; // ms that a button says what it has done

export function render({ model }) {
  const box = document.createElement("div");
  box.className = "sharing";
  box.innerHTML = `
    <button type="button" class="share" aria-haspopup="dialog" aria-expanded="false">Share</button>
    <div class="menu" role="dialog" aria-label="Save and share" popover>
      <form>
        <label for="run-name">Save this run</label>
        <input id="run-name" type="text" maxlength="80" autocomplete="off" spellcheck="false">
        <button type="submit" class="save">Save</button>
        <p class="saved" role="status"></p>
        <p class="problem" role="alert"></p>
      </form>
      <div class="copies">
        ${Object.entries(COPIES).map(([what, words]) => `<button type="button" data-copy="${what}">${words}</button>`).join("")}
        <button type="button" data-file="config">Download config (YAML)</button>
        <button type="button" data-file="model">Download model (safetensors)</button>
        <div data-slot="snapshot"></div>
      </div>
      <p class="by-hand" hidden>This browser lets no page copy. Press Ctrl+C, or on a phone hold and choose Copy.</p>
      <textarea readonly rows="5" aria-label="To be copied" hidden></textarea>
      <p class="failed problem" role="alert"></p>
    </div>`;
  const find = (selector) => box.querySelector(selector);
  const [button, menu, name, byHand] = [".share", ".menu", "#run-name", "textarea"].map(find);
  let typed = false;
  let trouble = ""; // why there is no snapshot
  find("[data-slot]").append(model.get_child("snapshot"));

  // The address -----------------------------------------------------------------------------------------------------

  const query = (settings) => {
    const beside = [...new URLSearchParams(window.location.search)].filter(([key]) => model.beside.includes(key));
    return [new URLSearchParams(beside).toString(), settings].filter(Boolean).join("&");
  };
  const address = () => {
    const settings = model.settings.address;
    if (!model.served || settings === undefined || settings === null) return;
    const { pathname, search, hash } = window.location;
    const asked = query(settings);
    const wanted = asked && `?${asked}`;
    // In place of the present entry: turning knobs must not fill the browser's Back.
    if (search !== wanted) window.history.replaceState(window.history.state, "", `${pathname}${wanted}${hash}`);
  };
  const link = () => `${window.location.origin}${window.location.pathname}?${model.settings.query}`;

  // Saving ----------------------------------------------------------------------------------------------------------

  const show = () => {
    const { name: kept, step, busy, problem } = model.kept;
    const save = find(".save");
    save.disabled = busy || model.settings.query === undefined;
    save.textContent = busy ? "Saving …" : kept && name.value !== kept ? "Rename" : "Save";
    find(".saved").textContent = kept ? `Saved as “${kept}” at step ${step.toLocaleString("en")}. It goes on recording while it trains.` : "";
    find("form .problem").textContent = problem;
    button.classList.toggle("wrong", (problem || trouble) !== "");
    button.title = problem || trouble || (kept ? `Saved as “${kept}”` : "Save the run, copy or download its settings");
  };
  const propose = () => {
    if (!typed) name.value = model.proposal;
    show();
  };
  name.addEventListener("input", () => {
    typed = true;
    show();
  });
  find("form").addEventListener("submit", (event) => {
    event.preventDefault();
    typed = false;
    model.send_msg({ save: name.value });
  });

  box.addEventListener("snapshot-problem", (event) => {
    trouble = event.detail;
    show();
  });

  // Copies and files -------------------------------------------------------------------------------------------------

  const say = (pressed, words) => {
    const before = pressed.dataset.words ?? (pressed.dataset.words = pressed.textContent);
    pressed.textContent = words;
    setTimeout(() => (pressed.textContent = before), SAID);
  };
  const offer = (text) => {
    byHand.hidden = find(".by-hand").hidden = text === null;
    if (text === null) return;
    byHand.value = text;
    byHand.focus();
    byHand.setSelectionRange(0, text.length, "backward"); // with its beginning in sight
    byHand.scrollTop = 0;
  };
  const copy = async (pressed) => {
    const what = pressed.dataset.copy;
    const text = what === "link" ? link() : model.settings[what];
    try {
      await navigator.clipboard.writeText(text); // there is no clipboard where the page came by plain http
      offer(null);
      say(pressed, "Copied");
    } catch {
      offer(text);
    }
  };
  const download = (filename, parts, type) => {
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob(parts, { type }));
    anchor.download = filename;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
  };
  for (const pressed of box.querySelectorAll("[data-copy]")) pressed.addEventListener("click", () => copy(pressed));
  find('[data-file="config"]').addEventListener("click", () =>
    download(`${model.settings.name}.yaml`, [model.settings.yaml], "application/yaml"));
  find('[data-file="model"]').addEventListener("click", (event) => {
    say(event.target, "Packing …");
    find(".failed").textContent = "";
    model.send_msg({ model: true });
  });
  model.on("msg:custom", (news) => {
    if (news.file) download(news.file.name, [news.file.data], "application/octet-stream");
    if (news.failed) find(".failed").textContent = news.failed;
  });

  // The menu --------------------------------------------------------------------------------------------------------

  const place = () => {
    const at = button.getBoundingClientRect();
    const below = at.bottom < window.innerHeight / 2; // the bar is at the bottom of a phone
    menu.style.inset = "auto";
    const rightmost = document.documentElement.clientWidth - 8 - menu.offsetWidth;
    menu.style.left = `${Math.max(8, Math.min(at.right - menu.offsetWidth, rightmost))}px`;
    menu.style[below ? "top" : "bottom"] = `${below ? at.bottom + 6 : window.innerHeight - at.top + 6}px`;
    menu.style.maxHeight = `${(below ? window.innerHeight - at.bottom : at.top) - 14}px`;
  };
  button.popoverTargetElement = menu;
  menu.addEventListener("toggle", (event) => {
    const open = event.newState === "open";
    button.setAttribute("aria-expanded", String(open));
    if (!open) return offer(null);
    typed = false;
    model.send_msg({ open: true });
    place();
    if (window.matchMedia("(pointer: fine)").matches) name.focus(); // elsewhere a keyboard would cover the menu
  });
  // The page's own keys are not meant here: Escape closes the menu, a letter typed is a letter.
  box.addEventListener("keydown", (event) => menu.matches(":popover-open") && event.stopPropagation());

  const settle = () => {
    for (const pressed of box.querySelectorAll("[data-copy], [data-file]")) pressed.disabled = model.settings.query === undefined;
    find('[data-copy="link"]').hidden = !model.served; // a notebook has no address that others could open
    address();
    show();
  };
  model.on("settings", settle);
  model.on("served", settle);
  model.on("kept", show);
  model.on("proposal", propose);
  window.addEventListener("popstate", address); // an older entry says older settings
  model.on("remove", () => window.removeEventListener("popstate", address));
  settle();
  propose();
  return box;
}
