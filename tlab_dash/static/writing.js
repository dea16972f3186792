// What it writes: the same prompt and the same dice at several steps, so that only the model changes the text.

export function render({ model }) {
  const panel = document.createElement("div");
  panel.className = "writing-panel";
  panel.innerHTML = `
    <div class="title">
      <h2>What it writes</h2>
      <label class="prompt">after <input type="text" aria-label="Prompt" spellcheck="false" autocomplete="off" maxlength="60"></label>
      <p class="message" role="alert"></p>
      <label class="temperature">Temperature <output></output>
        <input type="range" aria-label="Temperature" min="0" max="2" step="0.05"></label>
      <button type="button" aria-label="Write again with other dice">Write</button>
    </div>
    <ol class="texts" aria-live="off"></ol>`;
  const find = (selector) => panel.querySelector(selector);
  const prompt = find(".prompt input");
  const slider = find(".temperature input");
  const texts = find(".texts");
  let timer = null;

  const warm = () => {
    find("output").textContent = Number(slider.value).toFixed(2);
    slider.style.setProperty("--filled", `${50 * slider.value}%`);
  };
  slider.addEventListener("input", () => {
    warm();
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      model.send_msg({ temperature: Number(slider.value) });
    }, 80);
  });
  prompt.addEventListener("input", () => (prompt.size = Math.max(6, prompt.value.length + 1)));
  prompt.addEventListener("change", () => model.send_msg({ prompt: prompt.value }));
  find("button").addEventListener("click", () => model.send_msg({ write: true }));

  const line = () => {
    const row = document.createElement("li");
    for (const part of ["when", "text"]) {
      const span = document.createElement("span");
      span.className = part;
      row.append(span);
    }
    row.lastChild.append(document.createElement("i"), document.createElement("b"));
    return row;
  };
  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text; // textContent: whatever the model writes stays text
  };
  const writeStory = (node, text) => {
    if (node.dataset.text === text) return;
    node.dataset.text = text;
    node.replaceChildren(...text.split(/(⏎+)/).map((piece) => {
      if (!piece.startsWith("⏎")) return piece;
      const sign = document.createElement("s");
      sign.textContent = piece;
      return sign;
    }));
  };
  const showTexts = () => {
    while (texts.children.length < model.texts.length) texts.append(line());
    while (texts.children.length > model.texts.length) texts.lastChild.remove();
    model.texts.forEach((entry, i) => {
      const row = texts.children[i];
      row.className = entry.kind;
      write(row.querySelector(".when"), entry.when);
      writeStory(row.querySelector("i"), entry.prompt);
      writeStory(row.querySelector("b"), entry.text);
    });
  };
  const showPrompt = () => {
    if (panel.getRootNode().activeElement !== prompt || !model.message) prompt.value = model.prompt;
    prompt.size = Math.max(6, prompt.value.length + 1);
  };
  const showMessage = () => {
    write(find(".message"), model.message);
    prompt.setAttribute("aria-invalid", String(model.message !== ""));
  };
  const showTemperature = () => {
    if (timer === null) slider.value = model.temperature;
    warm();
  };
  for (const [name, show] of Object.entries({ texts: showTexts, prompt: showPrompt, message: showMessage, temperature: showTemperature })) {
    model.on(name, show);
    show();
  }
  return panel;
}
