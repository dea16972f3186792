// What changed: sentences and the buttons that go with them. Python composes them; a press sends its action back, or turns
// to the page that shows what was said.

export function render({ model }) {
  const panel = document.createElement("div");
  panel.className = "changes-panel";
  panel.innerHTML = `<h2>What changed</h2><div class="sentences"></div><div class="actions"></div>`;
  const press = (detail) => {
    const tell = (name, what) => panel.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail: what }));
    if (detail.page) tell("tlab-page", detail.page);
    else if (detail.lesson) tell("tlab-lesson", detail.lesson);
    else model.send_msg({ action: detail.action });
  };
  const make = (label, detail, look = "") => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label, className: look });
    button.addEventListener("click", () => press(detail));
    return button;
  };
  const lines = panel.querySelector(".sentences"), buttons = panel.querySelector(".actions");
  // Where a sentence lies beyond the edge, the last line in sight fades.
  const fade = () => lines.classList.toggle("more", lines.scrollHeight > lines.scrollTop + lines.clientHeight + 2);
  lines.addEventListener("scroll", fade, { passive: true });
  const watcher = new ResizeObserver(fade);
  watcher.observe(lines);
  model.on("remove", () => watcher.disconnect());
  // Numbers come several times a second: a line keeps its nodes, so that a link can be pressed and keeps the focus.
  const show = () => {
    while (lines.childElementCount > model.sentences.length) lines.lastElementChild.remove();
    model.sentences.forEach(({ text, kind, link, title = "" }, i) => {
      const line = lines.children[i] ?? lines.appendChild(document.createElement("p"));
      if (!line.firstChild) line.append("");
      if (line.className !== kind) line.className = kind;
      if (line.title !== title) line.title = title;
      const words = link ? `${text} ` : text;
      if (line.firstChild.data !== words) line.firstChild.data = words;
      const wanted = JSON.stringify(link ?? null);
      if (line.dataset.link === wanted) return;
      line.dataset.link = wanted;
      line.querySelector("button")?.remove();
      if (link) line.append(make(link.label, link, "link"));
    });
    fade();
  };
  const offer = () => {
    const wanted = JSON.stringify(model.actions);
    if (buttons.dataset.offered === wanted) return;
    buttons.dataset.offered = wanted;
    buttons.replaceChildren(...model.actions.map(({ name, label, title }) =>
      Object.assign(make(label, { action: name }), { title: title ?? "" })));
  };
  model.on("sentences", show);
  model.on("actions", offer);
  show();
  offer();
  return panel;
}
