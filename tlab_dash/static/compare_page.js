// Compare: curves of the chosen runs, what they ended with, in which settings they differ, and one view of two of them.
// Python sends `state`; names come from files, so they only ever become text.

function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

function fill(select, options, chosen) {
  const text = JSON.stringify(options);
  if (select.dataset.options !== text) {
    select.dataset.options = text;
    select.replaceChildren(...options.map(({ value, label }) => make("option", { value, textContent: label })));
  }
  select.value = String(chosen);
}

const swatch = (colour, dash) => {
  const line = make("i", { className: "swatch" });
  line.style.borderTopColor = colour || "transparent"; // a seed of a group has no line of its own
  line.style.borderTopStyle = dash === "dashdot" ? "double" : dash;
  return line;
};

export function render({ model }) {
  const page = make("div", { className: "compare" });
  page.innerHTML = `
    <p class="nothing"></p>
    <p class="message" role="alert"></p>
    <div class="content">
      <section class="block curves" aria-labelledby="compare-curves">
        <div class="tools">
          <h2 id="compare-curves">Curves</h2>
          <label>Show <select aria-label="Curve" data-name="measure"></select></label>
          <label>against <select aria-label="Against" data-name="against"></select></label>
          <label class="seeds"><input type="checkbox" data-name="seeds"> Join seeds</label>
          <span class="live"></span>
        </div>
        <div class="plot" data-slot="curves"></div>
      </section>
      <section class="block outcome" aria-labelledby="compare-outcome">
        <h2 id="compare-outcome">How they ended</h2>
        <div class="wide"><table class="ends"><thead></thead><tbody></tbody></table></div>
        <div class="groups">
          <h2>Two settings, several seeds</h2>
          <p class="choose"><select aria-label="First group" data-name="first"></select> against <select aria-label="Second group" data-name="second"></select></p>
          <p class="sentence" role="status"></p>
        </div>
      </section>
      <section class="block differing" aria-labelledby="compare-settings">
        <h2 id="compare-settings">Settings that differ</h2>
        <div class="wide"><table class="settings"><thead></thead><tbody></tbody></table></div>
        <p class="same"></p>
      </section>
      <section class="block pairing" aria-labelledby="compare-pair">
        <div class="tools">
          <h2 id="compare-pair">Side by side</h2>
          <select aria-label="View" data-name="view"></select>
          <label>Layer <select aria-label="Layer of both" data-name="layer"></select></label>
          <label>Head <select aria-label="Head of both" data-name="head"></select></label>
          <label class="step">Step <input type="range" aria-label="Step of both" min="0" step="1"><output></output></label>
        </div>
        <p class="caption"></p>
        <div class="pair-of-plots">
          <figure><figcaption><select aria-label="Left run" data-name="left"></select></figcaption><div class="plot" data-slot="left"></div></figure>
          <figure><figcaption><select aria-label="Right run" data-name="right"></select></figcaption><div class="plot" data-slot="right"></div></figure>
        </div>
      </section>
    </div>`;
  for (const slot of page.querySelectorAll("[data-slot]")) slot.append(model.get_child(slot.dataset.slot));
  const find = (selector) => page.querySelector(selector);
  const named = (name) => find(`[data-name="${name}"]`);
  for (const select of page.querySelectorAll("select[data-name]"))
    select.addEventListener("change", () => model.send_msg({ choose: { name: select.dataset.name, value: select.value } }));
  named("seeds").addEventListener("change", (event) => model.send_msg({ choose: { name: "seeds", value: event.target.checked } }));

  const slider = find('[type="range"]'), output = find("output");
  let timer = null;
  slider.addEventListener("input", () => {
    output.textContent = model.state.pair.steps[slider.value].toLocaleString("en");
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      model.send_msg({ choose: { name: "at", value: Number(slider.value) } });
    }, 60);
  });

  const table = (place, head, rows) => {
    place.querySelector("thead").replaceChildren(make("tr", {}, ...head.map((cell) => make("th", { scope: "col", ...cell }))));
    place.querySelector("tbody").replaceChildren(...rows.map((cells) => make("tr", {}, ...cells)));
  };

  const show = () => {
    const state = model.state;
    find(".nothing").textContent = state.nothing;
    find(".nothing").hidden = state.nothing === "";
    find(".content").hidden = state.nothing !== "";
    find(".message").textContent = state.message;
    if (state.nothing !== "") return;
    fill(named("measure"), state.measures, state.measure);
    fill(named("against"), state.axes, state.against);
    named("seeds").checked = state.seeds;
    find(".seeds").hidden = !state.has_seeds;
    find(".live").replaceChildren(...state.live.map(({ name, label, shown }) => {
      const box = make("input", { type: "checkbox", checked: shown });
      box.addEventListener("change", () => model.send_msg({ choose: { name: "live", value: name } }));
      return make("label", {}, box, ` ${label}`);
    }));
    table(find(".ends"), state.summary.head.map((textContent, i) => ({ textContent, className: i ? "number" : "" })),
      state.summary.rows.map(({ colour, dash, cells }) => cells.map((textContent, i) =>
        i ? make("td", { className: "number", textContent })
          : make("th", { scope: "row", title: textContent }, swatch(colour, dash), make("span", { textContent })))));
    find(".ends").querySelectorAll("tbody tr").forEach((row, i) => row.classList.toggle("named", state.summary.rows[i].colour !== ""));
    const { head, rows } = state.settings;
    table(find(".settings"), ["", ...head].map((textContent) => ({ textContent, title: textContent })),
      rows.map(({ label, values }) => [make("th", { scope: "row", textContent: label }),
        ...values.map((textContent) => make("td", { textContent, title: textContent }))]));
    find(".settings").hidden = rows.length === 0;
    find(".same").textContent = rows.length ? "" : state.settings.note;
    const groups = state.groups;
    find(".groups").hidden = groups.options.length === 0;
    fill(named("first"), groups.options, groups.first);
    fill(named("second"), groups.options, groups.second);
    find(".choose").hidden = groups.options.length < 3;
    find(".sentence").textContent = groups.sentence;
    const pair = state.pair;
    find(".pairing").hidden = pair === null;
    if (pair === null) return;
    fill(named("view"), pair.views, pair.view);
    for (const side of ["left", "right"]) fill(named(side), pair.names, pair[side]);
    for (const part of ["layer", "head"]) fill(named(part), pair[`${part}s`], pair[part]);
    find(".pairing .caption").textContent = pair.caption;
    find(".pair-of-plots").classList.toggle("square", pair.square);
    slider.max = Math.max(0, pair.steps.length - 1);
    slider.disabled = pair.steps.length < 2;
    if (timer === null) {
      slider.value = pair.at;
      output.textContent = pair.steps.length ? pair.steps[pair.at].toLocaleString("en") : "–";
    }
    slider.style.setProperty("--filled", `${pair.steps.length > 1 ? (100 * slider.value) / (pair.steps.length - 1) : 100}%`);
  };
  model.on("state", show);
  show();
  return page;
}
