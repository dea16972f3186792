// Time travel: a slider over the recorded steps, a button that plays them, and one that comes back to now. Python knows
// which step a stop is; the page sends a stop's number and hears what it shows.

const FRAME = 200; // ms a stop while playing
const MOST_FRAMES = 60; // a long run is played in larger strides: 12 seconds from its first step to now
const PATIENCE = 8; // frames to wait for an answer that does not come

export function render({ model }) {
  const strip = document.createElement("div");
  strip.className = "timeline";
  strip.innerHTML = `
    <button type="button" class="play"></button>
    <input type="range" min="0" step="1" aria-label="Step to look at">
    <p class="words"></p>
    <button type="button" class="now"></button>`;
  const find = (selector) => strip.querySelector(selector);
  const play = find(".play");
  const slider = find("input");
  find(".now").textContent = model.button;
  let timer = null;
  let asked = null; // the stop that Python was asked for and has not shown yet
  let count = 0; // of questions, so that an answer to an earlier one is known as such
  let waited = 0;
  let held = false; // the thumb is under a finger, so it must not slip away

  const fill = () => slider.style.setProperty("--filled", `${(100 * slider.value) / Math.max(1, slider.max)}%`);
  const show = () => {
    const place = model.place;
    if (place.answered === count) asked = null;
    if (!held) {
      slider.max = Math.max(1, place.last);
      slider.value = place.last > 0 ? asked ?? place.at : 1;
      fill();
    }
    slider.disabled = play.disabled = place.last < 1;
    slider.setAttribute("aria-valuetext", place.words);
    find(".words").textContent = place.words;
    find(".now").style.visibility = place.past ? "" : "hidden"; // it keeps its place, or the slider would change its length
    strip.classList.toggle("past", place.past);
  };
  const go = (stop) => {
    asked = stop;
    waited = 0;
    slider.value = stop;
    fill();
    model.send_msg({ stop: { at: stop, question: ++count } });
  };
  const label = () => {
    play.textContent = timer === null ? "▶" : "❚❚";
    play.setAttribute("aria-label", timer === null ? "Play the run from its first step" : "Stop playing");
    play.title = play.getAttribute("aria-label");
  };
  const halt = () => {
    clearInterval(timer);
    timer = null;
    label();
  };
  const advance = () => {
    const { at, last, past } = model.place;
    if (asked !== null && waited++ < PATIENCE) return; // the last frame has not come yet
    if (!past) return halt();
    go(Math.min(last, at + Math.max(1, Math.ceil(last / MOST_FRAMES))));
  };

  play.addEventListener("click", () => {
    if (timer !== null) return halt();
    if (!model.place.past) go(0);
    timer = setInterval(advance, FRAME);
    label();
  });
  slider.addEventListener("input", () => {
    halt();
    go(Number(slider.value));
  });
  slider.addEventListener("pointerdown", () => (held = true));
  for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"])
    slider.addEventListener(end, () => {
      held = false;
      show();
    });
  find(".now").addEventListener("click", () => {
    halt();
    model.send_msg({ now: true });
    slider.focus(); // the button goes away
  });
  model.on("place", show);
  model.on("remove", halt);
  label();
  show();
  return strip;
}
