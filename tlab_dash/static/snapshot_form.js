// Save a snapshot: an entry of the Share menu that opens a form. Python makes the file and says how that went (`making`,
// `made`, `problem`); what was typed stays in its fields.

export function render({ model }) {
  const box = document.createElement("div");
  box.className = "snapshot";
  box.innerHTML = `
    <button type="button" class="entry" aria-expanded="false" aria-controls="snapshot-form">Save a snapshot (HTML)</button>
    <form id="snapshot-form" aria-label="Save a snapshot" hidden>
      <p class="aside">One file that opens in any browser, without the lab. Its pictures still answer.</p>
      <label for="snapshot-title">Title</label>
      <input id="snapshot-title" type="text" maxlength="${model.longest}" autocomplete="off" dir="auto">
      <label for="snapshot-notes">Notes in Markdown</label>
      <textarea id="snapshot-notes" rows="4" dir="auto" aria-describedby="snapshot-hint"></textarea>
      <p class="aside" id="snapshot-hint">Say what you expected, and what came out.</p>
      <label class="beside"><input type="checkbox" checked> Put the ghost beside the run</label>
      <button type="submit">Save snapshot</button>
      <div class="made" role="status"></div>
      <p class="problem" role="alert"></p>
    </form>`;
  const find = (selector) => box.querySelector(selector);
  const [entry, form, title, notes, save] = [".entry", "form", "#snapshot-title", "textarea", '[type="submit"]'].map(find);
  let typed = false;

  const line = (text) => Object.assign(document.createElement("p"), { textContent: text });
  const show = () => {
    find(".beside").hidden = !model.ghost;
    // Not `disabled`, which would take the focus from whoever pressed it with a key.
    save.setAttribute("aria-disabled", String(model.making || !model.ready));
    save.textContent = model.making ? "Making it …" : "Save snapshot";
    find(".made").replaceChildren(...(model.making ? ["It takes some seconds. Go on meanwhile."] : model.made).map(line));
    find(".problem").textContent = model.problem;
    box.dispatchEvent(new CustomEvent("snapshot-problem", { detail: model.problem, bubbles: true, composed: true }));
    if (!form.hidden) form.lastElementChild.scrollIntoView({ block: "nearest" });
  };
  const propose = () => {
    if (!typed) title.value = model.proposal;
  };
  title.addEventListener("input", () => (typed = title.value !== ""));
  entry.addEventListener("click", () => {
    form.hidden = !form.hidden;
    entry.setAttribute("aria-expanded", String(!form.hidden));
    if (form.hidden) return;
    form.scrollIntoView({ block: "nearest" });
    if (window.matchMedia("(pointer: fine)").matches) title.focus(); // elsewhere a keyboard would cover the form
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (model.making || !model.ready) return;
    model.send_msg({ make: { title: title.value, notes: notes.value, ghost: model.ghost && find(".beside input").checked } });
  });

  for (const name of ["ready", "ghost", "making", "made", "problem"]) model.on(name, show);
  model.on("proposal", propose);
  show();
  propose();
  return box;
}
