// One saved run: figures, loss, texts and settings. Python sends `details`; everything in it only ever becomes text.

const moment = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });

function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

const pairs = (list, entries) =>
  list.replaceChildren(...entries.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value }))));

function when(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? "" : moment.format(time);
}

export function render({ model }) {
  const panel = make("div", { className: "one-run" });
  panel.innerHTML = `
    <div class="heading"><h2></h2><button type="button" data-act="close" aria-label="Close this run">✕</button></div>
    <p class="message" role="alert"></p>
    <p class="stopped warning"></p>
    <div class="acts">
      <button type="button" data-act="start" title="A new run of the same settings, from step 0">Open in the lab</button>
      <button type="button" data-act="resume" title="Train this run on from where it stopped, and keep it in its folder">Go on training</button>
    </div>
    <p class="caption times"></p>
    <dl class="facts"></dl>
    <div class="plot" data-slot="curves"></div>
    <section class="wrote"><h3>What it wrote</h3><ol class="texts"></ol></section>
    <section><h3>Settings unlike the first page's</h3><dl class="settings unusual"></dl><p class="caption same">None: all are as on the first page.</p></section>
    <details><summary>All other settings</summary><dl class="settings usual"></dl></details>
    <details><summary>Where it was made</summary><dl class="settings machine"></dl></details>`;
  const find = (selector) => panel.querySelector(selector);
  find('[data-slot="curves"]').append(model.get_child("curves"));
  for (const button of panel.querySelectorAll("[data-act]"))
    button.addEventListener("click", () => model.send_msg({ act: button.dataset.act }));

  const show = () => {
    const run = model.details, readable = run.facts !== undefined;
    panel.hidden = run.name === undefined;
    if (panel.hidden) return;
    find("h2").textContent = run.name;
    find(".message").textContent = run.message;
    for (const part of panel.querySelectorAll(".acts, .times, .facts, .plot, section, details")) part.hidden = !readable;
    if (!readable) return;
    find(".stopped").textContent = run.stopped && `Stopped: ${run.stopped}`;
    find('[data-act="resume"]').hidden = run.stopped !== "";
    find(".times").textContent = `Begun ${when(run.created)}, saved ${when(run.written)}.`;
    pairs(find(".facts"), run.facts);
    find(".wrote").hidden = run.samples.length === 0;
    find(".texts").replaceChildren(...run.samples.map(({ step, prompt, text }) => make("li", {},
      make("span", { className: "when", textContent: step }),
      make("span", { className: "text" }, make("i", { textContent: prompt }), make("b", { textContent: text })))));
    pairs(find(".unusual"), run.unusual);
    find(".same").hidden = run.unusual.length > 0;
    pairs(find(".usual"), run.usual);
    pairs(find(".machine"), run.machine);
  };
  model.on("details", show);
  show();
  return panel;
}
