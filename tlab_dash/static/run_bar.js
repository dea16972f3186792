// The run bar: what the run is doing and the buttons that drive it. Python sends `status`; presses go back as messages.

const number = new Intl.NumberFormat("en");

export function render({ model }) {
  const bar = document.createElement("div");
  bar.className = "console";
  bar.innerHTML = `
    <h1>Transformer Intuition Lab</h1>
    <div class="drive" role="group" aria-label="Training">
      <button type="button" data-action="train" class="primary"></button>
      <button type="button" data-action="step">Step</button>
      <button type="button" data-action="reset">Reset</button>
    </div>
    <label class="pace">Speed
      <select aria-label="Speed"><option value="full">Full</option><option value="slow">Slow, 5 steps/s</option></select>
    </label>
    <dl class="figures">
      <div><dt>step</dt><dd data-figure="step"></dd></div>
      <div><dt>loss</dt><dd data-figure="loss"></dd></div>
      <div class="rate"><dt>characters/s</dt><dd data-figure="rate"></dd></div>
      <div class="left" hidden><dt>left</dt><dd data-figure="left" title="Until training stops by itself"></dd></div>
    </dl>
    <p class="notice" role="status"></p>
    <div class="share-place"></div>
    <button type="button" class="theme" aria-label="Switch between light and dark">◐</button>
    <button type="button" class="knobs-button" aria-expanded="false">Knobs</button>`;
  const find = (selector) => bar.querySelector(selector);
  const train = find('[data-action="train"]');
  const share = model.get_child("share");
  if (share) find(".share-place").append(share);

  let status = model.status;
  const [step, reset, pace, notice, left] = ['[data-action="step"]', '[data-action="reset"]', "select", ".notice", ".left"].map(find);
  const figures = Object.fromEntries([...bar.querySelectorAll("[data-figure]")].map((node) => [node.dataset.figure, node]));
  // Five times a second a browser works out anew what it takes to be changed, also where the same is written again.
  const put = (object, name, value) => {
    if (object[name] !== value) object[name] = value;
  };
  const show = () => {
    const training = status.state === "training";
    const name = training ? "Pause" : "Train";
    put(train, "textContent", name);
    put(train.dataset, "action", name.toLowerCase());
    train.classList.toggle("primary", !training);
    put(train, "disabled", !status.ready || status.state === "stopped");
    put(step, "disabled", !status.ready || training || status.state === "stopped");
    put(reset, "disabled", !status.ready || (status.step === 0 && !training));
    put(figures.step, "textContent", status.ready ? number.format(status.step) : "–");
    put(figures.loss, "textContent", status.loss === null ? "–" : status.loss < 1000 ? status.loss.toFixed(2) : status.loss.toExponential(1).replace("+", ""));
    put(figures.rate, "textContent", status.rate === null ? "–" : number.format(status.rate));
    put(figures.left, "textContent", status.left);
    put(left, "hidden", !status.left);
    put(pace, "value", status.pace);
    put(notice, "textContent", status.notice);
    put(notice, "title", status.notice);
    put(bar.dataset, "state", status.state);
  };
  for (const button of bar.querySelectorAll(".drive button"))
    button.addEventListener("click", () => model.send_msg({ action: button.dataset.action }));
  find("select").addEventListener("change", (event) => model.send_msg({ pace: event.target.value }));

  const tell = (name, detail) => bar.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  find(".theme").addEventListener("click", () => tell("tlab-theme"));
  const knobs = find(".knobs-button");
  knobs.addEventListener("click", () => {
    const open = knobs.getAttribute("aria-expanded") !== "true";
    knobs.setAttribute("aria-expanded", String(open));
    bar.classList.toggle("open", open);
    tell("tlab-sheet", open);
  });

  model.on("msg:custom", (news) => {
    status = news.status;
    show();
  });
  show();
  return bar;
}
