// What it writes: the same prompt and the same dice at several steps, so that only the model changes the text.

export function render({ model }) {
  const panel = document.createElement("div");
  panel.className = "writing-panel tip-room";
  panel.innerHTML = `
    <div class="title">
      <h2>What it writes</h2>
      <p class="message" role="alert"></p>
      <button type="button" class="more" aria-haspopup="dialog" aria-expanded="false" aria-label="More about how it is drawn">More</button>
    </div>
    <ol class="texts" aria-live="off"></ol>
    <div class="menu drawing" role="dialog" aria-label="How it is drawn" popover></div>`;
  const find = (selector) => panel.querySelector(selector);
  const [message, more, menu, texts] = [".message", ".more", ".menu", ".texts"].map(find);
  const controls = samplingControls(model);
  const key = shadeKey();
  find("h2").after(controls.prompt);
  message.after(key, controls.temperature);
  menu.append(controls.cuts, shadeKey("Shades: "));

  more.popoverTargetElement = menu;
  menu.addEventListener("toggle", (event) => {
    const open = event.newState === "open";
    more.setAttribute("aria-expanded", String(open));
    if (!open) return;
    const at = more.getBoundingClientRect();
    menu.style.inset = "auto";
    menu.style.left = `${Math.max(8, Math.min(at.right, document.documentElement.clientWidth - 8) - menu.offsetWidth)}px`;
    menu.style.top = `${panel.getBoundingClientRect().bottom + 6}px`; // the text stays in sight
  });
  // The page's own keys are not meant there: Escape closes the menu.
  menu.addEventListener("keydown", (event) => event.stopPropagation());

  const line = () => {
    const row = document.createElement("li");
    for (const part of ["when", "text"]) {
      const span = document.createElement("span");
      span.className = part;
      row.append(span);
    }
    row.lastChild.append(document.createElement("i"), document.createElement("b"));
    row.prompt = shadedText(row.querySelector("i"), { label: "Prompt" });
    row.story = shadedText(row.querySelector("b"), { label: "Newest text, arrow keys walk through its characters" });
    return row;
  };
  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  const showTexts = () => {
    while (texts.children.length < model.texts.length) texts.append(line());
    while (texts.children.length > model.texts.length) texts.lastChild.remove();
    model.texts.forEach((entry, i) => {
      const row = texts.children[i];
      row.className = entry.kind;
      write(row.querySelector(".when"), entry.when);
      row.prompt(entry.prompt);
      row.story(entry.text, entry.shades, entry.tips);
    });
    key.hidden = model.message !== "" || !model.texts.at(-1)?.shades;
  };
  const showMessage = () => {
    write(message, model.message);
    showTexts();
  };
  model.on("texts", showTexts);
  model.on("message", showMessage);
  showMessage();
  return panel;
}
