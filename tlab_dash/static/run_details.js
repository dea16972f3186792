// One saved run: figures, loss, any of its steps, texts and settings. Python sends `details`, and `looking` for what moves
// with the step; everything in them only ever becomes text.

const SQUARE = ["attention", "heads"]; // pictures whose two axes count the same thing
const number = new Intl.NumberFormat("en");
const moment = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });

function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

const pairs = (list, entries) =>
  list.replaceChildren(...entries.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))));

function fill(select, options, chosen) {
  const text = JSON.stringify(options);
  if (select.dataset.options !== text) {
    select.dataset.options = text;
    select.replaceChildren(...options.map(({ value, label }) => make("option", { value, textContent: label })));
  }
  select.value = String(chosen);
}

function when(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? "" : moment.format(time);
}

export function render({ model }) {
  const panel = make("div", { className: "one-run" });
  panel.innerHTML = `
    <div class="heading"><h2></h2><form class="naming" hidden><input type="text" aria-label="New name" autocomplete="off" spellcheck="false"><button type="submit">Keep</button><button type="button">Cancel</button></form><button type="button" class="rename">Rename</button><button type="button" data-act="close" aria-label="Close this run">✕</button></div>
    <p class="message" role="alert"></p>
    <p class="stopped warning"></p>
    <div class="acts">
      <button type="button" data-act="start" title="A new run of the same settings, from step 0">Open in the lab</button>
      <button type="button" data-act="resume" title="Train this run on from where it stopped, and keep it in its folder">Go on training</button>
    </div>
    <p class="caption times"></p>
    <dl class="facts"></dl>
    <div class="plot" data-slot="curves"></div>
    <div class="time" data-slot="time"></div>
    <div class="tools">
      <label>Show <select aria-label="Picture" data-name="view"></select></label>
      <label>Layer <select aria-label="Layer of this run" data-name="layer"></select></label>
      <label>Head <select aria-label="Head of this run" data-name="head"></select></label>
    </div>
    <p class="caption shown"></p>
    <div class="plot" data-slot="picture"></div>
    <section class="wrote"><h3>What it wrote</h3><ol class="texts"></ol></section>
    <section><h3>Settings unlike the first page's</h3><dl class="settings unusual"></dl><p class="caption same">None: all are as on the first page.</p></section>
    <section class="change"><h3>Changed on the way</h3><dl class="settings changed"></dl></section>
    <details><summary>All other settings</summary><dl class="settings usual"></dl></details>
    <details><summary>Where it was made</summary><dl class="settings machine"></dl></details>`;
  const find = (selector) => panel.querySelector(selector);
  for (const slot of panel.querySelectorAll("[data-slot]")) slot.append(model.get_child(slot.dataset.slot));
  for (const button of panel.querySelectorAll("[data-act]"))
    button.addEventListener("click", () => model.send_msg({ act: button.dataset.act }));

  for (const select of panel.querySelectorAll("select"))
    select.addEventListener("change", () => model.send_msg({ look: { name: select.dataset.name, value: select.value } }));

  // A name that is refused stays in its field, below which Python says why.
  const naming = find(".naming"), field = naming.querySelector("input");
  const edit = (begun) => {
    naming.hidden = !begun;
    find("h2").hidden = find(".rename").hidden = begun;
    if (!begun) return;
    field.value = model.details.name;
    field.select();
    field.focus();
  };
  const cancel = () => {
    edit(false);
    find(".rename").focus();
  };
  find(".rename").addEventListener("click", () => edit(true));
  naming.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value.trim() === model.details.name) return cancel();
    model.send_msg({ rename: field.value });
  });
  naming.querySelector('[type="button"]').addEventListener("click", cancel);
  naming.addEventListener("keydown", (event) => {
    event.stopPropagation(); // Escape would lead back to the lab
    if (event.key === "Escape") cancel();
  });

  let named; // the run whose name is in the heading
  const show = () => {
    const run = model.details, readable = run.facts !== undefined;
    panel.hidden = run.name === undefined;
    if (run.name !== named) edit(false);
    named = run.name;
    if (panel.hidden) return;
    find("h2").textContent = run.name;
    find(".message").textContent = run.message;
    for (const part of panel.querySelectorAll(".acts, .times, .facts, .plot, .time, .tools, .shown, section, details")) part.hidden = !readable;
    if (!readable) return;
    find(".stopped").textContent = run.stopped && `Stopped: ${run.stopped}`;
    find('[data-act="resume"]').hidden = run.stopped !== "";
    find(".times").textContent = `Begun ${when(run.created)}, saved ${when(run.written)}.`;
    pairs(find(".facts"), run.facts);
    find(".wrote").hidden = run.samples.length === 0;
    find(".texts").replaceChildren(...run.samples.map(({ step, prompt, text }) => make("li", {},
      make("span", { className: "when", textContent: number.format(step) }),
      make("span", { className: "text" }, make("i", { textContent: prompt }), make("b", { textContent: text })))));
    pairs(find(".unusual"), run.unusual);
    find(".same").hidden = run.unusual.length > 0;
    pairs(find(".usual"), run.usual);
    find(".change").hidden = run.changed.length === 0;
    pairs(find(".changed"), run.changed);
    pairs(find(".machine"), run.machine);
  };
  const look = () => {
    const { views, view, layers, heads, layer, head, caption, step } = model.looking;
    if (views === undefined) return;
    fill(find('[data-name="view"]'), views, view);
    const numbers = (count) => Array.from({ length: count }, (_, i) => ({ value: i, label: String(i) }));
    fill(find('[data-name="layer"]'), numbers(layers), layer);
    fill(find('[data-name="head"]'), numbers(heads), head);
    find(".shown").textContent = caption;
    find('[data-slot="picture"]').classList.toggle("square", SQUARE.includes(view));
    // Of the texts, what had been written last by then.
    const samples = model.details.samples ?? [], then = samples.findLastIndex((sample) => sample.step <= step);
    [...find(".texts").children].forEach((row, i) => row.toggleAttribute("data-then", i === then));
  };
  model.on("details", show);
  model.on("details", look);
  model.on("looking", look);
  show();
  look();
  return panel;
}
