// The page: one grid of cards. Each card's content is a Panel component, put into the slot that carries its name.

const SLOT = (name) => `<div class="slot" data-slot="${name}"></div>`;
const TITLED = (name, content) => `
  <section class="card ${name}" aria-labelledby="title-${name}">
    <div class="title"><h2 id="title-${name}" data-title="${name}"></h2><p class="caption" data-caption="${name}"></p></div>
    ${content}
  </section>`;

const PAGE = `
  <header class="bar">${SLOT("run_bar")}</header>
  <aside class="card knobs" aria-label="Knobs">${SLOT("knobs")}</aside>
  <aside class="card lesson" aria-label="Lesson" hidden>${SLOT("lesson_card")}</aside>
  <nav class="pages tabs" aria-label="Pages"></nav>
  <main>
    <section class="card map" aria-label="Architecture map">
      <div class="title tabs" role="group" aria-label="Colour the map by"></div>
      ${SLOT("map")}
    </section>
    <section class="card writing" aria-label="What the model writes">${SLOT("writing")}</section>
    ${TITLED("loss", SLOT("loss"))}
    <section class="card depth" aria-label="Signals">
      <div class="title tabs" role="tablist">
        <button type="button" role="tab" data-tab="signal"></button>
        <button type="button" role="tab" data-tab="layer_statistics"></button>
      </div>
      <p class="caption" data-caption="depth"></p>
      <div class="stack">${SLOT("signal")}${SLOT("layer_statistics")}</div>
    </section>
    ${TITLED("heads", SLOT("heads"))}
    <section class="card head" aria-label="The selected head">
      ${SLOT("breadcrumb")}
      ${SLOT("probe")}
      <div class="pair">
        <figure><figcaption data-caption="attention"></figcaption>${SLOT("attention")}</figure>
        <figure><figcaption data-caption="qk"></figcaption>${SLOT("qk")}</figure>
      </div>
    </section>
    <section class="card changes" aria-label="What changed">${SLOT("changes")}</section>
    <section class="page" hidden>${SLOT("page")}</section>
    <section class="time" aria-label="Time travel">${SLOT("time")}</section>
  </main>
  <section class="sheet" aria-label="Runs" hidden>${SLOT("runs")}</section>`;

function typing(event) {
  const target = event.composedPath()[0];
  if (target.type === "range") return false; // a slider has no use for Space
  return target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA", "BUTTON", "SUMMARY", "A"].includes(target.tagName);
}

// What is pressed to move the selection. A control that has a use for arrows keeps them, as does a page that is higher than
// the window: there they scroll.
const ARROWS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
const KEYS = [
  ["Space", "train or pause"], ["← →", "head before, head after"], ["↑ ↓", "layer before, layer after"],
  ["[ ]", "one look back or forward in time"], ["Esc", "follow the liveliest head again"], ["?", "this list"],
];

function taken(event) {
  const target = event.composedPath()[0];
  return event.defaultPrevented || target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName)
    || event.composedPath().some((node) => node.matches?.("dialog, [popover], [role=slider], [role=listbox]"));
}

function moves(event) {
  if (taken(event) || event.metaKey) return "";
  if (event.key === "[" || event.key === "]") return event.key;
  if (event.ctrlKey || event.altKey || event.shiftKey) return "";
  const root = document.documentElement;
  return event.key.startsWith("Arrow") && (/Left|Right/.test(event.key) || root.scrollHeight <= root.clientHeight)
    ? ARROWS[event.key] : "";
}

function keysTip() {
  const help = Object.assign(document.createElement("button"), { type: "button", textContent: "?", className: "keys", title: "Keys" });
  help.setAttribute("aria-label", "Keys of the keyboard");
  const tip = Object.assign(document.createElement("div"), { className: "menu keys-tip", popover: "auto" });
  tip.innerHTML = `<h2>Keys</h2><dl>${KEYS.map(([key, does]) => `<dt><kbd>${key}</kbd></dt><dd>${does}</dd>`).join("")}</dl>`;
  help.popoverTargetElement = tip;
  return [help, tip];
}

// Scrolls a row of tabs alone, and not the page, so that a tab stands in its middle.
function bringIntoSight(row, tab) {
  const [frame, at] = [row, tab].map((node) => node.getBoundingClientRect());
  row.scrollLeft += at.left + at.width / 2 - frame.left - frame.width / 2;
}

export function render({ model }) {
  const page = document.createElement("div");
  page.className = "bench";
  page.innerHTML = PAGE;
  for (const slot of page.querySelectorAll("[data-slot]")) slot.append(model.get_child(slot.dataset.slot));

  // Titles and captions come from the views; some name the layer that is selected. These three change by messages.
  const told = { titles: model.titles, captions: model.captions, statistics: model.statistics, lesson: model.lesson, bright: model.bright };
  const name = () => {
    for (const [kind, attribute] of [["titles", "title"], ["captions", "caption"]])
      for (const node of page.querySelectorAll(`[data-${attribute}]`)) {
        const words = told[kind][node.dataset[attribute]] || "";
        if (node.textContent !== words) node.textContent = words;
      }
    for (const tab of page.querySelectorAll("[data-tab]")) tab.textContent = told.titles[tab.dataset.tab];
  };
  const turn = () => {
    for (const tab of page.querySelectorAll("[data-tab]")) {
      const chosen = tab.dataset.tab === model.tab;
      tab.setAttribute("aria-selected", String(chosen));
      page.querySelector(`[data-slot="${tab.dataset.tab}"]`).hidden = !chosen;
    }
  };
  for (const tab of page.querySelectorAll("[data-tab]"))
    tab.addEventListener("click", () => model.send_msg({ tab: tab.dataset.tab }));
  const statistics = page.querySelector(".map .tabs");
  const colour = () => {
    statistics.replaceChildren(...told.statistics.map((statistic) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: statistic.label, title: statistic.unavailable });
      button.setAttribute("aria-pressed", String(statistic.chosen));
      button.disabled = statistic.unavailable !== "";
      button.addEventListener("click", () => model.send_msg({ statistic: statistic.name }));
      return button;
    }));
  };
  colour();
  // Each page beside the bench has an address of its own, #training, so that the browser's Back leads out of it. The runs
  // lie over the knobs as well.
  const nav = page.querySelector(".pages"), sheet = page.querySelector(".sheet");
  const beside = page.querySelector("main > .page");
  const names = model.pages.map(({ name }) => name);
  let shown = "", lesson = "";
  for (const { name, title } of [{ name: "", title: "Bench" }, ...model.pages]) {
    const tab = Object.assign(document.createElement("button"), { type: "button", textContent: title });
    tab.dataset.page = name;
    tab.addEventListener("click", () => go(name));
    nav.append(tab);
  }
  const [help, tip] = keysTip();
  nav.append(help, tip);
  const turnTo = (name) => {
    sheet.hidden = name !== "runs";
    beside.hidden = name === "" || name === "runs";
    page.classList.toggle("paged", !beside.hidden);
    beside.style.setProperty("--tall", `${model.pages.find((other) => other.name === name)?.tall ?? 0}px`);
    for (const part of page.querySelectorAll(":scope > main, :scope > aside, :scope > .pages")) part.inert = !sheet.hidden;
    document.body.style.overflow = sheet.hidden ? "" : "hidden";
    for (const tab of nav.querySelectorAll("[data-page]")) {
      if (tab.dataset.page === name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    bringIntoSight(nav, nav.querySelector("[aria-current]"));
    if (name !== shown) {
      beside.classList.toggle("turning", !beside.hidden); // until it has come, the page before is not to be taken for it
      model.send_msg({ page: name });
    }
    shown = name;
  };
  const go = (name) => {
    if (name === shown) return;
    const place = window.location.pathname + window.location.search;
    if (name) history.pushState(null, "", `#${name}`);
    else history.replaceState(history.state, "", place + (lesson && `#lesson=${lesson}`));
    turnTo(name);
  };
  // A lesson takes the knobs' place, whatever page is on show. Its address is that of its bench: #lesson=norm-first.
  const WATCHED = { map: ["map"], writing: ["text"], loss: ["loss"], depth: ["signal", "layer_statistics"], heads: ["heads"], head: ["attention", "qk"] };
  const beginOrEnd = () => {
    const [before, now] = [lesson, told.lesson];
    lesson = now;
    page.classList.toggle("lesson-on", now !== "");
    page.querySelector(":scope > .lesson").hidden = now === "";
    if (before === now) return;
    const place = window.location.pathname + window.location.search + (now && `#lesson=${now}`);
    if (now && shown) {
      history.pushState(null, "", place); // Back leads to the list that it was chosen from
      turnTo("");
    } else if (!shown) history.replaceState(history.state, "", place);
  };
  const dim = () => {
    page.classList.toggle("map-first", told.bright.length === 1 && told.bright[0] === "map");
    for (const [card, watched] of Object.entries(WATCHED))
      page.querySelector(`main > .${card}`).classList.toggle("bright", watched.some((view) => told.bright.includes(view)));
  };
  const travel = () => {
    const place = decodeURIComponent(window.location.hash.slice(1));
    const wanted = place.startsWith("lesson=") ? place.slice(7) : "";
    turnTo(names.includes(place) ? place : "");
    if (!names.includes(place) && wanted !== lesson) model.send_msg({ lesson: wanted });
  };
  page.addEventListener("tlab-page", (event) => go(event.detail));
  page.addEventListener("tlab-lesson", (event) => model.send_msg({ lesson: event.detail }));
  window.addEventListener("popstate", travel);
  beginOrEnd();
  dim();
  travel();
  // Bokeh sends models that have only just come back, whole, in the next message that speaks of them, and the server warns
  // that it knows them. This message speaks of none, and makes them old.
  page.addEventListener("tlab-arrived", (event) => {
    if (event.detail === shown) beside.classList.remove("turning");
    model.send_msg({});
  });
  model.on("msg:custom", (news) => {
    if ("page" in news) return go(news.page);
    Object.assign(told, news);
    name();
    if ("statistics" in news) colour();
    if ("lesson" in news) beginOrEnd();
    if ("bright" in news) dim();
  });
  model.on("tab", turn);
  name();
  turn();

  const style = document.createElement("style");
  style.textContent = model.colours;
  const viewport = document.createElement("meta");
  Object.assign(viewport, { name: "viewport", content: "width=device-width, initial-scale=1" });
  document.head.append(style, viewport);

  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = new URLSearchParams(window.location.search).get("theme");
  const dress = () => {
    const theme = ["light", "dark"].includes(chosen) ? chosen : system.matches ? "dark" : "light";
    root.dataset.theme = theme;
    root.style.colorScheme = theme;
    model.send_msg({ theme });
  };
  system.addEventListener("change", dress);
  page.addEventListener("tlab-theme", () => {
    chosen = root.dataset.theme === "dark" ? "light" : "dark";
    dress();
  });
  dress();
  const narrow = window.matchMedia("(max-width: 760px)");
  const measure = () => model.send_msg({ narrow: narrow.matches });
  narrow.addEventListener("change", measure);
  measure();
  // The map is a drawing of fixed proportions: it is laid out for the room that it has.
  const room = page.querySelector('[data-slot="map"]');
  let drawn = "";
  const watcher = new ResizeObserver(() => {
    const size = [room.clientWidth, room.clientHeight];
    if (narrow.matches || String(size) === drawn) return;
    drawn = String(size);
    model.send_msg({ room: size });
  });
  watcher.observe(room);
  page.addEventListener("tlab-sheet", (event) => page.classList.toggle("sheet-open", event.detail));
  page.addEventListener("tlab-head", (event) => beside.style.setProperty("--head", `${event.detail}px`));
  page.addEventListener("tlab-fold", (event) => page.classList.toggle("lesson-folded", event.detail));

  const key = (event) => {
    const way = sheet.hidden ? moves(event) : "";
    if (event.code === "Space" && !typing(event) && !event.repeat) {
      event.preventDefault();
      model.send_msg({ key: "space" });
    } else if (event.key === "Escape" && !sheet.hidden) {
      go("");
    } else if (event.key === "Escape") {
      if (!tip.matches(":popover-open")) model.send_msg({ key: "escape" });
    } else if (event.key === "?" && !taken(event)) {
      tip.togglePopover();
    } else if (way) {
      event.preventDefault();
      model.send_msg({ key: way });
    }
  };
  document.addEventListener("keydown", key);
  model.on("remove", () => {
    document.removeEventListener("keydown", key);
    window.removeEventListener("popstate", travel);
    system.removeEventListener("change", dress);
    narrow.removeEventListener("change", measure);
    watcher.disconnect();
    style.remove();
    viewport.remove();
  });
  return page;
}
