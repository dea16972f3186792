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
      <p class="of-before" role="status"></p>
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
    ${TITLED("heads", `<button type="button" class="key-button" data-key="heads">?</button>${SLOT("heads")}`)}
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

function helpTip(words) {
  const help = Object.assign(document.createElement("button"), { type: "button", textContent: "?", className: "help", title: "Keys and words" });
  help.setAttribute("aria-label", "Keys of the keyboard, and words");
  const tip = Object.assign(document.createElement("div"), { className: "menu help-tip", popover: "auto" });
  const list = (rows, name) => `<dl>${rows.map(([term, meaning]) => `<dt>${name(term)}</dt><dd>${meaning}</dd>`).join("")}</dl>`;
  tip.innerHTML = `<section class="of-keyboard"><h2>Keys</h2>${list(KEYS, (key) => `<kbd>${key}</kbd>`)}</section>
    <section><h2>Words</h2>${list(words, (word) => word)}</section>`;
  help.popoverTargetElement = tip;
  return [help, tip];
}

// What a card's names mean, at its "?": there for a pointer, for a finger and for the keyboard.
function explainNames(button, { title, rows }) {
  const tip = Object.assign(document.createElement("div"), { className: "menu key-tip", popover: "manual" });
  const made = (tag, words) => Object.assign(document.createElement(tag), { textContent: words });
  const list = document.createElement("dl");
  list.append(...rows.flatMap(([name, meaning]) => [made("dt", name), made("dd", meaning)]));
  tip.append(made("h2", title), list);
  tip.setAttribute("role", "tooltip");
  button.setAttribute("aria-label", `${title}: ${rows.map((row) => row.join(": ")).join(" ")}`);
  button.after(tip);
  const open = () => {
    if (!tip.matches(":popover-open")) tip.showPopover();
    const at = button.getBoundingClientRect(), room = document.documentElement;
    tip.style.left = `${Math.max(8, Math.min(at.left, room.clientWidth - tip.offsetWidth - 8))}px`;
    const below = at.bottom + 6;
    tip.style.top = `${below + tip.offsetHeight < room.clientHeight ? below : Math.max(8, at.top - tip.offsetHeight - 6)}px`;
  };
  const close = () => tip.matches(":popover-open") && tip.hidePopover();
  for (const way of ["mouseenter", "focus", "click"]) button.addEventListener(way, open);
  button.addEventListener("mouseleave", () => button.matches(":focus") || close());
  button.addEventListener("blur", close);
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
}

// A row of tabs that goes on beyond an edge fades out there.
function fadeWhereMore(row) {
  const look = () => {
    row.classList.toggle("more-before", row.scrollLeft > 2);
    row.classList.toggle("more-after", row.scrollLeft + row.clientWidth < row.scrollWidth - 2);
  };
  row.addEventListener("scroll", look, { passive: true });
  const watcher = new ResizeObserver(look);
  watcher.observe(row);
  return watcher;
}

// The theme of the notebook that the lab stands in: JupyterLab, VS Code and Colab each say it in another way.
function notebookTheme() {
  const { body, documentElement: root } = document;
  const dark = body.dataset.jpThemeLight === "false" || /vscode-(dark|high-contrast)(?!-light)/.test(body.className)
    || root.getAttribute("theme") === "dark";
  return dark ? "dark" : "light";
}

// Keys act on the lab while the focus is in it, and then not on the notebook: to JupyterLab, d d deletes a cell.
function keepKeys(page, act) {
  page.tabIndex = -1;
  page.addEventListener("keydown", (event) => {
    act(event);
    event.stopPropagation();
  });
  const claim = () => {
    let node = page;
    while (node.getRootNode() instanceof ShadowRoot) node = node.getRootNode().host;
    node.setAttribute("data-lm-suppress-shortcuts", "true"); // what JupyterLab looks for
  };
  for (const way of ["focusin", "pointerdown"]) page.addEventListener(way, claim);
}

// Scrolls a row of tabs alone, and not the page, so that a tab stands in its middle.
function bringIntoSight(row, tab) {
  const [frame, at] = [row, tab].map((node) => node.getBoundingClientRect());
  row.scrollLeft += at.left + at.width / 2 - frame.left - frame.width / 2;
}

// Each time Bokeh draws a plot it asks the browser some hundred times what style sheets say of its lines, fills and letters,
// for which the browser works out its styles anew. No style sheet here says anything of them. To the same effect it writes
// where each line, axis and legend lies, into a style sheet for each, though lines are not elements, and most others stay.
function drawWithoutStyleSheets() {
  const bokeh = (name) => window.Bokeh?.require?.(name);
  const visual = bokeh("core/visuals/visual")?.VisualProperties;
  if (visual) visual.prototype._get_css_value = () => "";
  const glyphs = bokeh("models/renderers/glyph_renderer")?.GlyphRendererView;
  if (glyphs) glyphs.prototype.update_position = () => {};
  const sheet = bokeh("core/dom")?.InlineStyleSheet?.prototype;
  if (!sheet || sheet.writesNews) return;
  const write = sheet._update;
  sheet.writesNews = true;
  sheet._update = function (css) {
    if (css !== this.css) write.call(this, css);
  };
}

// A notebook's page would send whatever it gets from the kernel back to it: whole pictures, where one takes another's place.
function sayNothingTwice(document) {
  const tell = document._trigger_on_change;
  document._trigger_on_change = (event) => {
    if (event.sync || !event.model) tell.call(document, event);
  };
}

// The page or lesson that the end of an address names; what was broken on its way names none.
function placeOf(hash) {
  try {
    return decodeURIComponent(hash.slice(1));
  } catch {
    return "";
  }
}

// By this name the server knows what the tab showed before its page was loaded again, be it by way of a place in the line.
// Another address in the same tab is another page, and begins with what it asks for.
function tabName(token) {
  const fresh = crypto.getRandomValues(new Uint32Array(4)).join("-");
  try {
    const [visit] = performance.getEntriesByType("navigation");
    const again = visit && (visit.type === "reload" || new URL(visit.name).searchParams.has(token));
    const name = (again && sessionStorage.getItem("tlab-tab")) || fresh;
    sessionStorage.setItem("tlab-tab", name);
    return name;
  } catch {
    return fresh; // a browser that keeps nothing
  }
}

export function render({ model, view }) {
  const alone = !model.embedded; // in a notebook the address, the colours around it and the keys are not the lab's
  if (alone) drawWithoutStyleSheets();
  else sayNothingTwice(view.model.document);
  if (alone) model.send_msg({ tab_name: tabName(model.token) }); // before the address speaks of a lesson
  const page = document.createElement("div");
  page.className = alone ? "bench" : "bench embedded";
  page.innerHTML = PAGE;
  for (const slot of page.querySelectorAll("[data-slot]")) slot.append(model.get_child(slot.dataset.slot));

  // Titles and captions come from the views; some name the layer that is selected. These three change by messages.
  const told = {
    titles: model.titles, captions: model.captions, statistics: model.statistics, lesson: model.lesson, bright: model.bright,
    building: model.building, trouble: model.trouble,
  };
  for (const button of page.querySelectorAll("[data-key]")) explainNames(button, model.keys[button.dataset.key]);
  // Until a new run's first picture, what is drawn is of the run before.
  const before = page.querySelector(".of-before");
  const mark = () => {
    page.classList.toggle("building", told.building);
    page.classList.toggle("in-trouble", told.trouble);
    for (const part of page.querySelectorAll(".card.map, main > :is(.writing, .loss, .depth, .heads, .head, .page)"))
      part.setAttribute("aria-busy", String(told.building));
    before.textContent = told.building ? "Building the new model … This is the one before." : "";
  };
  mark();
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
  const [help, tip] = helpTip(model.words);
  nav.append(help, tip);
  const fading = fadeWhereMore(nav);
  const turnTo = (name) => {
    sheet.hidden = name !== "runs";
    beside.hidden = name === "" || name === "runs";
    page.classList.toggle("paged", !beside.hidden);
    beside.style.setProperty("--tall", `${model.pages.find((other) => other.name === name)?.tall ?? 0}px`);
    for (const part of page.querySelectorAll(":scope > main, :scope > aside, :scope > .pages")) part.inert = !sheet.hidden;
    if (alone) document.body.style.overflow = sheet.hidden ? "" : "hidden";
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
  const note = (how, place) => alone && history[how](how === "pushState" ? null : history.state, "", place);
  const go = (name) => {
    if (name === shown) return;
    const place = window.location.pathname + window.location.search;
    if (name) note("pushState", `#${name}`);
    else note("replaceState", place + (lesson && `#lesson=${lesson}`));
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
      note("pushState", place); // Back leads to the list that it was chosen from
      turnTo("");
    } else if (!shown) note("replaceState", place);
  };
  // Whatever lies under a pointer that rests is not looked at: it was there when the step was turned.
  const moved = () => page.classList.remove("turned");
  page.addEventListener("pointermove", moved);
  const dim = () => {
    page.classList.toggle("turned", told.bright.length > 0);
    page.classList.toggle("map-first", told.bright.length === 1 && told.bright[0] === "map");
    for (const [card, watched] of Object.entries(WATCHED))
      page.querySelector(`main > .${card}`).classList.toggle("bright", watched.some((view) => told.bright.includes(view)));
  };
  const travel = () => {
    const place = alone ? placeOf(window.location.hash) : "";
    const wanted = place.startsWith("lesson=") ? place.slice(7) : "";
    turnTo(names.includes(place) ? place : "");
    if (!names.includes(place) && wanted !== lesson) model.send_msg({ lesson: wanted });
  };
  page.addEventListener("tlab-page", (event) => go(event.detail));
  page.addEventListener("tlab-lesson", (event) => model.send_msg({ lesson: event.detail }));
  if (alone) window.addEventListener("popstate", travel);
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
    if ("again" in news) return window.location.reload();
    if ("page" in news) return go(news.page);
    Object.assign(told, news);
    name();
    if ("statistics" in news) colour();
    if ("lesson" in news) beginOrEnd();
    if ("bright" in news) dim();
    if ("building" in news || "trouble" in news) mark();
  });
  model.on("tab", turn);
  name();
  turn();

  const style = document.createElement("style");
  style.textContent = model.colours;
  if (alone) document.head.append(style);
  else page.append(style);

  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = alone ? new URLSearchParams(window.location.search).get("theme") : notebookTheme();
  let worn = "";
  const dress = () => {
    const theme = ["light", "dark"].includes(chosen) ? chosen : system.matches ? "dark" : "light";
    worn = theme;
    if (alone) root.dataset.theme = theme;
    else for (const other of ["light", "dark"]) page.classList.toggle(`tlab-${other}`, other === theme);
    (alone ? root : page).style.colorScheme = theme;
    model.send_msg({ theme });
  };
  system.addEventListener("change", dress);
  page.addEventListener("tlab-theme", () => {
    chosen = worn === "dark" ? "light" : "dark";
    dress();
    if (!alone) return;
    const address = new URL(window.location); // a refresh keeps it
    address.searchParams.set("theme", chosen);
    history.replaceState(history.state, "", address);
  });
  dress();
  const narrow = window.matchMedia("(max-width: 760px)");
  const measure = () => model.send_msg({ narrow: narrow.matches });
  narrow.addEventListener("change", measure);
  measure();
  // Narrower than a laptop, but no phone: of a notebook's cell it is the cell's width that counts.
  const middling = window.matchMedia("(min-width: 761px) and (max-width: 1199px)");
  const fit = () => page.classList.toggle("middling", alone ? middling.matches : page.clientWidth < 1200 && !narrow.matches);
  middling.addEventListener("change", fit);
  // The map is a drawing of fixed proportions: it is laid out for the room that it has.
  const room = page.querySelector('[data-slot="map"]');
  let drawn = "";
  const watcher = new ResizeObserver(() => {
    fit();
    const size = [room.clientWidth, room.clientHeight];
    if (narrow.matches || String(size) === drawn) return;
    drawn = String(size);
    model.send_msg({ room: size });
  });
  watcher.observe(room);
  if (alone) fit();
  else watcher.observe(page);
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
  if (alone) document.addEventListener("keydown", key);
  else keepKeys(page, key);
  model.on("remove", () => {
    document.removeEventListener("keydown", key);
    window.removeEventListener("popstate", travel);
    system.removeEventListener("change", dress);
    narrow.removeEventListener("change", measure);
    middling.removeEventListener("change", fit);
    watcher.disconnect();
    fading.disconnect();
    style.remove();
  });
  document.getElementById("first-paint")?.remove();
  return page;
}
