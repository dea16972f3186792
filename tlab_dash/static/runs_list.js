// The list of saved runs. Python sends `listing`; names, tags and notes come from files, so they only ever become text.

const COLUMNS = [
  ["name", "Name"], [null, "Settings that differ"], [null, "Tags"], [null, "Note"],
  ["steps", "Steps"], ["loss", "Loss"], ["date", "Saved"],
];
const SORTS = { name: "Name", date: "Saved", steps: "Steps", loss: "Loss" };
const number = new Intl.NumberFormat("en");
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
const hour = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hour12: false });
const TO_KEEP = "To keep one: “Share” in the bar with Train (on a phone behind “Knobs”), then “Save”.";
const PAUSE = 150; // milliseconds after the last key before a search begins

function moment(text) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return "";
  return time.toDateString() === new Date().toDateString() ? `today ${hour.format(time)}` : day.format(time);
}

function make(tag, attributes = {}, ...children) {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

export function render({ model }) {
  const page = make("div", { className: "every-run" });
  page.innerHTML = `
    <div class="tools">
      <input type="search" aria-label="Search" placeholder="Search name, tag, note or setting, such as num_layers=8" spellcheck="false" autocomplete="off">
      <label class="sorting">Sort by <select aria-label="Sort by"></select></label>
      <button type="button" class="refresh" aria-label="Look for new runs">Refresh</button>
      <span class="count" role="status"></span>
      <button type="button" class="untick">Untick all</button>
      <span class="undo" role="status"><span></span> <button type="button">Undo</button></span>
      <p class="message" role="alert"></p>
    </div>
    <div class="scroll"><table><thead><tr></tr></thead><tbody></tbody></table><p class="nothing"></p></div>
    <div class="pages"><button type="button" aria-label="Previous page">‹</button><span></span><button type="button" aria-label="Next page">›</button></div>`;
  const find = (selector) => page.querySelector(selector);
  const search = find('[type="search"]'), sorting = find("select"), body = find("tbody"), pages = find(".pages");
  const [previous, next] = pages.querySelectorAll("button");
  const send = (message) => model.send_msg(message);

  let timer = null;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => send({ search: search.value }), PAUSE);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value) event.stopPropagation(); // the browser empties the field
  });
  for (const [value, textContent] of Object.entries(SORTS)) sorting.append(make("option", { value, textContent }));
  sorting.addEventListener("change", () => send({ sort: sorting.value }));
  find(".refresh").addEventListener("click", () => send({ refresh: true }));
  find(".undo button").addEventListener("click", () => send({ undo: true }));
  find(".untick").addEventListener("click", () => send({ untick: true }));
  previous.addEventListener("click", () => send({ page: model.listing.page - 1 }));
  next.addEventListener("click", () => send({ page: model.listing.page + 1 }));

  const head = make("th", { scope: "col", className: "tick" }, make("span", { className: "hidden", textContent: "Compare" }));
  find("thead tr").append(head, ...COLUMNS.map(([sort, label]) => {
    const cell = make("th", { scope: "col", className: label.split(" ")[0].toLowerCase() });
    if (sort === null) cell.textContent = label;
    else {
      cell.dataset.sort = sort;
      const button = make("button", { type: "button", textContent: label });
      if (sort === "loss") button.title = model.listing.loss_words;
      button.addEventListener("click", () => send({ sort }));
      cell.append(button);
    }
    return cell;
  }), make("th", { scope: "col" }, make("span", { className: "hidden", textContent: "Delete" })));

  // A field in a row: what was typed is sent when it is left or on Enter, and forgotten on Escape. With nothing to forget,
  // Escape leads back to the lab from here too.
  const field = (kind, name, label, placeholder) => {
    const input = make("input", { type: "text", placeholder, autocomplete: "off" });
    input.setAttribute("aria-label", `${label} of ${name}`);
    input.addEventListener("change", () => send({ [kind]: { name, text: input.value } }));
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") input.blur();
      if (event.key === "Escape" && input.value !== input.dataset.saved) {
        input.value = input.dataset.saved;
        input.blur();
        event.stopPropagation();
      }
    });
    return make("td", { className: kind }, input);
  };

  const line = (run) => {
    const row = make("tr");
    row.dataset.run = run.name;
    const tick = make("input", { type: "checkbox", disabled: run.problem !== "" });
    tick.setAttribute("aria-label", `Compare ${run.name}`);
    tick.addEventListener("change", () => {
      tick.dataset.wanted = tick.checked;
      send({ tick: run.name });
    });
    const name = make("button", { type: "button", className: "name", textContent: run.name, title: run.name, disabled: run.problem !== "" });
    name.addEventListener("click", () => send({ open: run.name }));
    const title = make("td", { className: "name" }, name);
    if (run.state) title.append(make("small", { textContent: run.state, title: run.state, className: run.state === "in use" ? "" : "warning" }));
    const remove = make("button", { type: "button", className: "delete", textContent: "✕", title: "Delete" });
    remove.setAttribute("aria-label", `Delete ${run.name}`);
    remove.addEventListener("click", () => send({ delete: run.name }));
    const rest = run.problem
      ? [make("td", { className: "problem", colSpan: 6, textContent: run.problem, title: run.problem })]
      : [
          make("td", { className: "settings", textContent: run.settings, title: run.settings }),
          field("tags", run.name, "Tags", "tags"),
          field("note", run.name, "Note", "note"),
          make("td", { className: "number steps", textContent: run.steps }),
          make("td", { className: "number loss", textContent: run.loss }),
          make("td", { className: "date", textContent: moment(run.date), title: run.date }),
        ];
    row.append(make("td", { className: "tick" }, tick), title, ...rest, make("td", {}, remove));
    return row;
  };

  // What changes often is written into the row that is there, so that a field keeps the cursor.
  const update = (row, run) => {
    row.classList.toggle("opened", run.opened);
    // News that was on its way when a box was ticked must not take the tick away again.
    const tick = row.querySelector('[type="checkbox"]');
    if (tick.dataset.wanted === String(run.ticked)) delete tick.dataset.wanted;
    if (tick.dataset.wanted === undefined) tick.checked = run.ticked;
    for (const input of row.querySelectorAll('[type="text"]')) {
      const text = run[input.closest("td").className];
      if (input.dataset.saved !== text && page.getRootNode().activeElement !== input) input.value = text;
      input.dataset.saved = input.title = text;
    }
  };

  const drawn = new Map(); // name -> (what the row was drawn from, row)
  const show = () => {
    const listing = model.listing;
    const rows = listing.rows.map((run) => {
      const { ticked, opened, tags, note, ...rest } = run;
      const text = JSON.stringify(rest), known = drawn.get(run.name);
      const row = known && known[0] === text ? known[1] : line(run);
      drawn.set(run.name, [text, row]);
      update(row, run);
      return row;
    });
    for (const name of drawn.keys()) if (!listing.rows.some((run) => run.name === name)) drawn.delete(name);
    if (rows.length !== body.children.length || rows.some((row, i) => body.children[i] !== row)) body.replaceChildren(...rows);
    const some = listing.found > 0;
    find("table").hidden = !some;
    find(".nothing").hidden = some;
    find(".nothing").textContent = listing.reading ? "Reading the folder …"
      : listing.total ? "No run fits these words." : `No runs are saved in ${listing.folder} yet. ${TO_KEEP}`;
    find(".count").textContent = listing.found === listing.total
      ? `${number.format(listing.total)} ${listing.total === 1 ? "run" : "runs"}`
      : `${number.format(listing.found)} of ${number.format(listing.total)} runs`;
    find(".message").textContent = listing.message;
    find(".untick").hidden = listing.ticked === 0;
    find(".undo").hidden = listing.undo === "";
    find(".undo span").textContent = listing.undo;
    sorting.value = listing.sort;
    for (const cell of page.querySelectorAll("th[data-sort]")) {
      const chosen = cell.dataset.sort === listing.sort;
      if (chosen) cell.setAttribute("aria-sort", listing.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    pages.hidden = listing.pages < 2;
    pages.querySelector("span").textContent = `${number.format(listing.first + 1)} – ${number.format(listing.first + rows.length)}`;
    previous.disabled = listing.page === 0;
    next.disabled = listing.page === listing.pages - 1;
  };
  model.on("listing", show);
  show();
  return page;
}
