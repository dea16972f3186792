// A text in which each character is shaded by how little the model expected it. Pointing at one, tapping it or walking to
// it with the arrow keys says what else could have stood there.

const LINE_ENDS = /(⏎+|\n+)/;

function shadedText(node, { label, chosen = null }) {
  node.classList.add("shaded");
  node.setAttribute("role", "group");
  const tip = document.createElement("div");
  tip.className = "tip likelihood";
  tip.setAttribute("role", "tooltip");
  tip.setAttribute("aria-live", "polite");
  tip.hidden = true;
  let [drawn, tips, at] = ["", [], null];

  const characters = () => node.querySelectorAll("[data-i]");
  const close = () => (tip.hidden = true);
  const open = (i) => {
    const character = characters()[i];
    if (!character || !tips[i]) return close();
    if (!tip.isConnected) node.closest(".tip-room").append(tip);
    tip.textContent = tips[i];
    tip.hidden = false;
    const place = character.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(place.left, window.innerWidth - tip.offsetWidth - 8))}px`;
    const above = place.top - tip.offsetHeight - 6;
    tip.style.top = `${above >= 8 ? above : place.bottom + 6}px`;
  };
  const walk = (i) => {
    at = Math.max(0, Math.min(i, tips.length - 1));
    mark();
    if (!chosen) return open(at);
    close();
    chosen(at); // which says more than a tip
  };
  const mark = () => {
    for (const other of node.querySelectorAll(".at")) other.classList.remove("at");
    characters()[at]?.classList.add("at");
  };
  const pointed = (event) => Number(event.target.closest?.("[data-i]")?.dataset.i ?? NaN);

  // Where a chosen character is told of at length, it needs no tip.
  node.addEventListener("mouseover", (event) => (chosen && pointed(event) === at ? close() : open(pointed(event))));
  node.addEventListener("mouseleave", close);
  node.addEventListener("click", (event) => pointed(event) >= 0 && walk(pointed(event)));
  node.addEventListener("blur", close);
  node.addEventListener("keydown", (event) => {
    const stride = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") close();
    if (stride === undefined || !tips.length) return;
    event.preventDefault();
    event.stopPropagation();
    walk(at === null ? (stride > 0 ? 0 : tips.length - 1) : at + stride);
  });

  // `shades` has a digit and `says` a tip for each character that is known about; without them the text stays plain.
  const show = (text, shades = "", says = []) => {
    tips = says;
    node.tabIndex = tips.length ? 0 : -1;
    if (tips.length) node.setAttribute("aria-label", `${label}: ${text}`);
    else node.removeAttribute("aria-label");
    if (drawn === text + shades) return;
    drawn = text + shades;
    const line = (piece) => (LINE_ENDS.test(piece) ? Object.assign(document.createElement("s"), { textContent: piece }) : piece);
    if (!shades) return node.replaceChildren(...text.split(LINE_ENDS).map(line)); // whatever the model writes stays text
    node.replaceChildren(...[...text].map((character, i) => {
      const span = document.createElement("span");
      span.className = `shade-${shades[i] ?? 0}`;
      span.dataset.i = i;
      span.append(line(character));
      return span;
    }));
    mark();
    close();
  };
  show.mark = (i) => {
    at = i;
    mark();
  };
  return show;
}

// What the shades mean, in the shades themselves.
function shadeKey(lead = "") {
  const key = document.createElement("p");
  key.className = "key";
  key.title = "Shade and line say how little the model expected a character. Point at one.";
  key.innerHTML = `${lead}<span class="shade-1">less</span> <span class="shade-2">and less</span> <span class="shade-3">expected</span>`;
  return key;
}
