// The code of one part of the model with its colours, and a table of what flowed through it.

export function render({ model }) {
  const page = document.createElement("div");
  page.className = "code-beside";
  page.innerHTML = `
    <section class="source" aria-label="Source code">
      <label class="which">Part <select aria-label="Part"></select></label>
      <div class="listings" tabindex="0"></div>
    </section>
    <section class="flow" aria-label="What flowed through it">
      <p class="remark" role="status"></p>
      <p class="where"></p>
      <table><thead><tr></tr></thead><tbody></tbody></table>
    </section>`;
  const find = (selector) => page.querySelector(selector);
  const put = (node, words) => { if (node.textContent !== words) node.textContent = words; };
  const made = (tag, className, words = "") => Object.assign(document.createElement(tag), { className, textContent: words });

  const select = find("select");
  select.addEventListener("change", () => model.send_msg({ part: select.value }));
  let offered = "";
  const showParts = () => {
    const key = JSON.stringify(model.parts);
    if (key !== offered) select.replaceChildren(...model.parts.map(([value, words]) => new Option(words, value)));
    offered = key;
    select.value = model.part;
  };
  const listing = ({ name, place, first, lines, missing }) => {
    const block = made("div", "listing");
    block.append(made("p", "place", first ? `${place} · ${name} · from line ${first}` : `${place} · ${name}`));
    if (missing) {
      block.append(made("p", "missing", missing));
      return block;
    }
    const pre = document.createElement("pre");
    pre.append(...lines.map((line, i) => {
      const row = made("span", "line");
      row.dataset.number = first + i;
      row.style.setProperty("--inside", `${line.search(/[^ ]|$/) + 4}ch`);
      row.innerHTML = line || " "; // made by Python, which escapes all that stands in the code
      return row;
    }));
    block.append(pre);
    return block;
  };
  const showCode = () => {
    find(".listings").replaceChildren(...model.code.map(listing));
    find(".listings").scrollTop = 0;
  };
  const showFlow = () => {
    const { remark = "", where = "", head = [], rows = [] } = model.flow;
    put(find(".remark"), remark);
    put(find(".where"), where);
    find("thead tr").replaceChildren(...head.map((words) => Object.assign(made("th", "", words), { scope: "col" })));
    find("tbody").replaceChildren(...rows.flatMap(({ name, site, shape, cells, first }) => {
      const row = made("tr", "numbers"), title = made("th", "", name);
      title.scope = "row";
      title.title = site;
      row.append(title, ...cells.map((cell) => made("td", "", cell)));
      if (!shape) return [row];
      const detail = made("tr", "detail"), cell = made("td");
      cell.colSpan = head.length;
      cell.append(made("span", "shape", shape), made("span", "first", `first: ${first}`));
      detail.append(cell);
      return [row, detail];
    }));
    find("table").hidden = !rows.length;
  };
  for (const [name, show] of Object.entries({ parts: showParts, part: showParts, code: showCode, flow: showFlow }))
    model.on(name, show);
  showParts();
  showCode();
  showFlow();
  return page;
}
