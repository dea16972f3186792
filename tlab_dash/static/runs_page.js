// The runs page: two tabs, and a way back to the bench.

export function render({ model }) {
  const page = document.createElement("div");
  page.className = "runs-sheet";
  page.innerHTML = `
    <div class="head">
      <div class="tabs" role="tablist" aria-label="Runs">
        <button type="button" role="tab" data-tab="list">Runs</button>
        <button type="button" role="tab" data-tab="compare">Compare</button>
      </div>
      <button type="button" class="back">Back to the lab</button>
    </div>
    <div class="body">
      <div class="card all"><div class="slot" data-slot="every_run"></div></div>
      <div class="card one"><div class="slot" data-slot="one_run"></div></div>
      <div class="comparing"><div class="slot" data-slot="several_runs"></div></div>
    </div>`;
  for (const slot of page.querySelectorAll("[data-slot]")) slot.append(model.get_child(slot.dataset.slot));
  const find = (selector) => page.querySelector(selector);
  for (const tab of page.querySelectorAll("[data-tab]"))
    tab.addEventListener("click", () => model.send_msg({ tab: tab.dataset.tab }));
  const tell = (name, detail) => page.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  find(".back").addEventListener("click", () => tell("tlab-page", ""));

  const show = () => {
    for (const tab of page.querySelectorAll("[data-tab]")) tab.setAttribute("aria-selected", String(tab.dataset.tab === model.tab));
    find('[data-tab="compare"]').textContent = model.ticked ? `Compare (${model.ticked})` : "Compare";
    find(".body").dataset.showing = model.tab;
    find(".body").classList.toggle("looking", model.looking);
  };
  for (const name of ["tab", "ticked", "looking"]) model.on(name, show);
  show();
  // What is compared stands in the address beside the settings, which are the Share menu's.
  const address = () => {
    if (model.comparing === null) return;
    const { pathname, search, hash } = window.location;
    const rest = search.slice(1).split("&").filter((part) => part && !part.startsWith("compare="));
    const said = model.comparing ? [new URLSearchParams({ compare: model.comparing }).toString()] : [];
    const wanted = [...said, ...rest].join("&");
    if (search !== (wanted && `?${wanted}`)) history.replaceState(history.state, "", `${pathname}${wanted && `?${wanted}`}${hash}`);
  };
  model.on("comparing", address);
  address();
  setTimeout(() => tell("tlab-arrived"));
  return page;
}
