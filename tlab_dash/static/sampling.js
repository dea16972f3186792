// The controls of how a text is drawn: the prompt, temperature, and top-k, top-p and dice. Used by what shows a text.

const PAUSE = 80; // ms that a slider rests before what it says is sent

function samplingControls(model) {
  const made = (html) => {
    const holder = document.createElement("div");
    holder.innerHTML = html;
    return holder.firstElementChild;
  };

  const prompt = made(
    `<label class="prompt">after <input type="text" aria-label="Prompt" spellcheck="false" autocomplete="off" maxlength="60"></label>`);
  const typed = prompt.querySelector("input");
  const grow = () => (typed.size = Math.max(6, typed.value.length + 1));
  typed.addEventListener("input", grow);
  typed.addEventListener("change", () => model.send_msg({ prompt: typed.value }));
  const showPrompt = () => {
    if (prompt.getRootNode().activeElement !== typed || !model.message) typed.value = model.prompt;
    typed.setAttribute("aria-invalid", String(model.message !== ""));
    grow();
  };

  const temperature = made(
    `<label class="temperature">Temperature <output></output><input type="range" aria-label="Temperature" min="0" max="2" step="0.05"></label>`);
  const cuts = made(`
    <div class="cuts">
      <label class="top-k">Top-k <output></output><input type="range" aria-label="Top-k" min="1" step="1"></label>
      <p>Only so many of the likeliest characters may come.</p>
      <label class="top-p">Top-p <output></output><input type="range" aria-label="Top-p" min="0.05" max="1" step="0.05"></label>
      <p>Only the likeliest that together have this share may come.</p>
      <div class="dice">
        <label>Dice <input type="number" aria-label="Dice" min="0" max="2147483647" step="1"></label>
        <button type="button">Other dice</button>
      </div>
      <p>The same dice fall the same way, so only the model changes the text.</p>
    </div>`.trim());
  const dice = cuts.querySelector(".dice input");
  dice.addEventListener("change", () => model.send_msg({ seed: dice.value === "" ? null : Number(dice.value) }));
  cuts.querySelector(".dice button").addEventListener("click", () => model.send_msg({ again: true }));

  // A slider says what it stands for while it is moved, and sends it when it rests.
  const slider = (node, name, words, place) => {
    const [input, output] = [node.querySelector("input"), node.querySelector("output")];
    let timer = null;
    const tell = () => {
      output.textContent = words(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
      input.style.setProperty("--filled", `${(100 * (input.value - input.min)) / Math.max(1e-9, input.max - input.min)}%`);
    };
    input.addEventListener("input", () => {
      tell();
      clearTimeout(timer);
      timer = setTimeout(() => {
        timer = null;
        model.send_msg({ [name]: Number(input.value) });
      }, PAUSE);
    });
    return () => {
      if (timer === null) place(input, model.drawing);
      tell();
    };
  };
  const sliders = [
    slider(temperature, "temperature", (value) => value.toFixed(2), (input, now) => (input.value = now.temperature)),
    slider(cuts.querySelector(".top-k"), "top_k", (count) => (count >= model.drawing.most ? "all" : String(count)), (input, now) => {
      input.max = now.most;
      input.value = now.top_k ?? now.most;
    }),
    slider(cuts.querySelector(".top-p"), "top_p", (share) => (share >= 1 ? "all" : `${Math.round(100 * share)} %`), (input, now) => {
      input.value = now.top_p ?? 1;
    }),
  ];
  const showDrawing = () => {
    for (const show of sliders) show();
    if (dice.getRootNode().activeElement !== dice || !model.message) dice.value = model.drawing.seed;
  };

  model.on("prompt", showPrompt);
  model.on("message", showPrompt);
  model.on("drawing", showDrawing);
  showPrompt();
  showDrawing();
  return { prompt, temperature, cuts };
}
