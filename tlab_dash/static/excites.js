// The probe text and some passages, each character coloured by one unit's activation there. All text stays text.

export function render({ model }) {
  const card = document.createElement("div");
  card.className = "unit-texts";
  card.innerHTML = `
    <p class="remark" role="status"></p>
    <div class="what">
      <p class="unit"><b></b> <span class="said" role="status"></span>
        <span class="scale" aria-hidden="true"><i></i><span class="ramp"></span><i></i></span></p>
      <p class="probe" aria-label="Probe text"></p>
      <h3>Where it is most active in unseen text</h3>
      <ol class="passages"></ol>
    </div>`;
  const find = (selector) => card.querySelector(selector);
  const put = (node, words) => { if (node.textContent !== words) node.textContent = words; };

  const character = (text, i, marked) => {
    const span = document.createElement("span");
    const shade = text.shades[i];
    span.textContent = text.characters[i];
    span.title = text.tips[i];
    if (shade) {
      span.className = shade > 0 ? "above" : "below";
      span.style.setProperty("--strength", `${7 * Math.abs(shade)}%`);
    }
    if (i === marked) span.classList.add("marked");
    return span;
  };
  const written = (text, marked) => text.characters.map((_, i) => character(text, i, marked));

  find(".probe").addEventListener("click", (event) => {
    const at = [...find(".probe").children].indexOf(event.target);
    if (at >= 0) model.send_msg({ position: at });
  });
  const show = () => {
    const { remark = "", unit, said, key, at, probe, passages } = model.shown;
    put(find(".remark"), remark);
    find(".what").hidden = !probe;
    if (!probe) return;
    put(find(".unit b"), unit);
    put(find(".said"), said);
    find(".scale").querySelectorAll("i").forEach((end, i) => put(end, key[i]));
    find(".probe").replaceChildren(...written(probe, at));
    find(".passages").replaceChildren(...passages.map((passage) => {
      const row = document.createElement("li");
      const line = Object.assign(document.createElement("bdi"), { className: "line" });
      line.append(...written(passage, passage.peak));
      row.append(line, Object.assign(document.createElement("span"), { className: "largest", textContent: passage.largest }));
      return row;
    }));
  };
  model.on("shown", show);
  show();
  return card;
}
