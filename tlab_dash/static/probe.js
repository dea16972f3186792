// The probe text with each character shaded by how strongly the chosen one reads it; a click chooses a character.

export function render({ model }) {
  const strip = document.createElement("div");
  strip.className = "strip";
  const show = () => (strip.innerHTML = model.markup); // made by Python, every character escaped there
  strip.addEventListener("click", (event) => {
    const span = event.target.closest("[data-position]");
    if (span) model.send_msg({ position: Number(span.dataset.position) });
  });
  model.on("markup", show);
  show();
  return strip;
}
