// A page beside the bench: a sentence, some selects, and cards in a grid of twelve columns.

export function render({ model }) {
  const page = document.createElement("div");
  page.className = "board";
  const head = Object.assign(document.createElement("div"), { className: "board-head" });
  const lead = Object.assign(document.createElement("p"), { className: "lead", textContent: model.lead });
  const grid = Object.assign(document.createElement("div"), { className: "cards" });
  grid.style.setProperty("--rows", model.rows);
  head.append(lead, model.get_child("selects"));
  page.append(head, grid);

  const contents = model.get_child("contents");
  const cards = model.places.map((place, i) => {
    const card = document.createElement("section");
    card.className = "card";
    card.style.gridColumn = `span ${place.columns}`;
    card.style.gridRow = `span ${place.rows}`;
    card.style.setProperty("--tall", `${place.tall}px`);
    card.innerHTML = `<div class="title"><h2></h2><p class="caption"></p><p class="note" role="status"></p></div><div class="slot"></div>`;
    card.querySelector(".slot").append(contents[i]);
    grid.append(card);
    return card;
  });
  const put = (node, words) => { if (node.textContent !== words) node.textContent = words; };
  const told = { places: model.places, notes: model.notes };
  const show = () => cards.forEach((card, i) => {
    put(card.querySelector("h2"), told.places[i].title);
    put(card.querySelector(".caption"), told.places[i].caption);
    put(card.querySelector(".note"), told.notes[i]);
    card.setAttribute("aria-label", told.places[i].title);
  });
  model.on("msg:custom", (news) => {
    Object.assign(told, news);
    show();
  });
  show();
  // On a phone the page is as high as this and its cards, which only the page around it can make room for.
  const tell = (name, detail) => page.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  const watcher = new ResizeObserver(() => tell("tlab-head", head.offsetHeight));
  watcher.observe(head);
  model.on("remove", () => watcher.disconnect());
  // See shell.js: what has only just come is told to be known.
  setTimeout(() => tell("tlab-arrived", model.page_name));
  return page;
}
