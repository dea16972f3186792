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
    <section class="time" aria-label="Time travel">${SLOT("time")}</section>
  </main>
  <section class="sheet" aria-label="Runs" hidden>${SLOT("runs")}</section>`;

function typing(event) {
  const target = event.composedPath()[0];
  return target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA", "BUTTON", "SUMMARY", "A"].includes(target.tagName);
}

export function render({ model }) {
  const page = document.createElement("div");
  page.className = "bench";
  page.innerHTML = PAGE;
  for (const slot of page.querySelectorAll("[data-slot]")) slot.append(model.get_child(slot.dataset.slot));

  // Titles and captions come from the views; some name the layer that is selected. These three change by messages.
  const told = { titles: model.titles, captions: model.captions, statistics: model.statistics };
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
  // The runs page lies over the bench. It has an address of its own, #runs, so that the browser's Back leads out of it.
  const sheet = page.querySelector(".sheet");
  const cover = (covered) => {
    if (sheet.hidden !== covered) return;
    sheet.hidden = !covered;
    for (const part of page.querySelectorAll(":scope > main, :scope > .knobs")) part.inert = covered;
    document.body.style.overflow = covered ? "hidden" : "";
    model.send_msg({ runs: covered });
  };
  const uncover = () => {
    if (window.location.hash === "#runs") history.replaceState(history.state, "", window.location.pathname + window.location.search);
    cover(false);
  };
  const travel = () => cover(window.location.hash === "#runs");
  page.addEventListener("tlab-runs", () => {
    if (!sheet.hidden) return uncover();
    if (window.location.hash !== "#runs") history.pushState(null, "", "#runs");
    cover(true);
  });
  window.addEventListener("popstate", travel);
  travel();
  // Bokeh sends models that have only just come back, whole, in the next message that speaks of them, and the server warns
  // that it knows them. This message speaks of none, and makes them old.
  page.addEventListener("tlab-arrived", () => model.send_msg({}));
  model.on("msg:custom", (news) => {
    if ("runs" in news) return uncover();
    Object.assign(told, news);
    name();
    if ("statistics" in news) colour();
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

  const key = (event) => {
    if (event.code === "Space" && !typing(event) && !event.repeat) {
      event.preventDefault();
      model.send_msg({ key: "space" });
    } else if (event.key === "Escape" && !sheet.hidden) {
      uncover();
    } else if (event.key === "Escape") {
      model.send_msg({ key: "escape" });
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
