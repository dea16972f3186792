// Layer › head › character: where the page looks, as selects. Python sends the options and what is selected.

export function render({ model }) {
  const nav = document.createElement("nav");
  nav.className = "crumbs";
  nav.setAttribute("aria-label", "Selection");
  const selects = new Map();
  model.trail.parts.forEach(({ part, label }, i) => {
    const select = document.createElement("select");
    select.dataset.part = part;
    select.setAttribute("aria-label", label);
    select.addEventListener("change", () => model.send_msg({ choose: { part, value: offered(part)[select.selectedIndex][0] } }));
    selects.set(part, select);
    if (i > 0) nav.append(Object.assign(document.createElement("span"), { textContent: "›", ariaHidden: "true" }));
    if (part === "position") return nav.append(select);  // “e” at 7 says what it is
    const named = document.createElement("label");
    named.append(`${label} `, select);
    nav.append(named);
  });
  nav.insertAdjacentHTML("beforeend", `<span class="following"></span><button type="button" class="release">Release</button>`);
  const offered = (part) => model.trail.parts.find((other) => other.part === part).options;

  const show = () => {
    for (const { part, options, at } of model.trail.parts) {
      const select = selects.get(part), key = JSON.stringify(options);
      if (select.dataset.options !== key) {
        select.replaceChildren(...options.map(([value, words]) => new Option(words, value)));
        select.dataset.options = key;
      }
      select.selectedIndex = options.findIndex(([value]) => value === at);
    }
    nav.querySelector(".following").textContent = model.trail.note;
    nav.querySelector(".release").hidden = !model.trail.pinned;
  };
  nav.querySelector(".release").addEventListener("click", () => model.send_msg({ release: true }));
  model.on("trail", show);
  show();
  return nav;
}
