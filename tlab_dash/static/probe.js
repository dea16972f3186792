// The probe text with each character shaded by how strongly the chosen one reads it. Pointing at another character lights
// up what that one reads, a click chooses it. Where there is room, what is read most is said in words below.

const VISIBLE = { " ": "␣", "⏎": "⏎" };
const INK_FLIPS_AT = 0.5; // as in views/probe_text.py
const MOST_READ = 3;

export function render({ model }) {
  const strip = document.createElement("div");
  strip.className = "strip";
  const text = strip.appendChild(document.createElement("div"));
  const said = model.told ? strip.appendChild(Object.assign(document.createElement("p"), { className: "reads" })) : null;
  said?.setAttribute("role", "status");
  let weights = new Uint16Array(0), pointed = null, chosen = -1;

  const spans = () => [...text.querySelectorAll("[data-position]")];
  const weight = (query, key) => weights[(query * (query + 1)) / 2 + key] / 65535;
  const name = (span, i) => `“${VISIBLE[span.textContent] ?? span.textContent}” at ${i}`;
  const reads = (all, query) => {
    const keys = [...Array(query + 1).keys()].sort((a, b) => weight(query, b) - weight(query, a)).slice(0, MOST_READ);
    return `${name(all[query], query)} reads ${keys.map((key) => `${name(all[key], key)}: ${weight(query, key).toFixed(2)}`).join(", ")}`;
  };

  const light = (query) => {
    const all = spans();
    if (!all[query] || weights.length < ((query + 1) * (query + 2)) / 2) return;
    all.forEach((span, key) => {
      const later = key > query, opacity = later ? 0 : Math.sqrt(weight(query, key));
      span.style.background = later ? "" : `${model.ink}${Math.round(255 * opacity).toString(16).padStart(2, "0")}`;
      span.style.opacity = later ? 0.45 : 1;
      if (key !== chosen) span.style.outline = key === query ? "2px dotted var(--tlab-accent)" : "";
      span.style.color = opacity > INK_FLIPS_AT ? "var(--tlab-surface)" : "";
    });
    all[query].title = reads(all, query);
    say(query);
  };
  const say = (query) => {
    const all = spans();
    const words = all[query] && weights.length ? `${reads(all, query)}.` : "";
    if (said && said.textContent !== words) said.textContent = words;
  };
  const show = () => {
    const bytes = Uint8Array.from(atob(model.weights), (letter) => letter.charCodeAt(0));
    weights = new Uint16Array(bytes.length / 2).map((_, i) => bytes[2 * i] + 256 * bytes[2 * i + 1]);
    text.innerHTML = model.markup; // made by Python, every character escaped there
    chosen = spans().findIndex((span) => span.style.outlineStyle === "solid");
    if (pointed !== null) light(pointed);
    else say(chosen);
  };

  strip.addEventListener("mouseover", (event) => {
    const span = event.target.closest("[data-position]");
    if (!span || Number(span.dataset.position) === pointed) return;
    pointed = Number(span.dataset.position);
    light(pointed);
  });
  strip.addEventListener("mouseleave", () => {
    pointed = null;
    show();
  });
  strip.addEventListener("click", (event) => {
    const span = event.target.closest("[data-position]");
    if (span) model.send_msg({ position: Number(span.dataset.position) });
  });
  for (const news of ["markup", "weights", "ink"]) model.on(news, show);
  show();
  return strip;
}
