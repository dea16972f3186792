// Two small bar lists: the next characters that a unit raises, and those that it lowers.

export function render({ model }) {
  const card = document.createElement("div");
  card.className = "unit-writes";
  card.innerHTML = `
    <p class="remark" role="status"></p>
    <section class="raised" aria-label="Raised characters"><h3>Makes likelier</h3><ol></ol></section>
    <section class="lowered" aria-label="Lowered characters"><h3>Makes less likely</h3><ol></ol></section>`;
  const made = (className, words = "") => Object.assign(document.createElement("span"), { className, textContent: words });
  const row = ({ name, share, change }) => {
    const item = document.createElement("li"), drawn = made("drawn"), filled = made("filled");
    filled.style.width = `${100 * share}%`;
    drawn.append(filled);
    item.append(made("name", name), drawn, made("change", change));
    return item;
  };
  const show = () => {
    card.querySelector(".remark").textContent = model.shown.remark ?? "";
    for (const list of ["raised", "lowered"]) {
      const rows = model.shown[list];
      card.querySelector(`.${list}`).hidden = !rows;
      card.querySelector(`.${list} ol`).replaceChildren(...(rows ?? []).map(row));
    }
  };
  model.on("shown", show);
  show();
  return card;
}
