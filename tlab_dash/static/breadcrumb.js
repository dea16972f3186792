// Layer › head › character: where the page looks, as three selects. Python sends the options and what is selected.

export function render({ model }) {
  const nav = document.createElement("nav");
  nav.className = "crumbs";
  nav.setAttribute("aria-label", "Selection");
  nav.innerHTML = `
    <label>Layer <select data-part="layer" aria-label="Layer"></select></label><span aria-hidden="true">›</span>
    <label>Head <select data-part="head" aria-label="Head"></select></label><span aria-hidden="true">›</span>
    <select data-part="position" aria-label="Character"></select>
    <span class="following"></span>
    <button type="button" class="release">Release</button>`;
  const selects = [...nav.querySelectorAll("select")];
  const show = () => {
    const state = model.trail;
    for (const select of selects) {
      const options = state.options[select.dataset.part];
      const key = JSON.stringify(options);
      if (select.dataset.options !== key) {
        select.replaceChildren(...options.map((label, i) => new Option(label, i)));
        select.dataset.options = key;
      }
      select.value = state.at[select.dataset.part];
    }
    nav.querySelector(".following").textContent = state.note;
    nav.querySelector(".release").hidden = !state.pinned;
  };
  for (const select of selects)
    select.addEventListener("change", () => model.send_msg({ [select.dataset.part]: Number(select.value) }));
  nav.querySelector(".release").addEventListener("click", () => model.send_msg({ release: true }));
  model.on("trail", show);
  show();
  return nav;
}
