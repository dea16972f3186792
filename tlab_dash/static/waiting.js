// Waiting for a place in the lab. Python says where one stands, and calls when it is one's turn.

export function render({ model }) {
  const page = document.createElement("main");
  page.className = "waiting";
  page.innerHTML = `<section class="card"><h1>Transformer Intuition Lab</h1><h2>The lab is full</h2>
    <p class="full"></p><p class="before" role="status"></p><p class="hint"></p></section>`;
  let line = model.line;
  const show = () => {
    for (const name of ["full", "before", "hint"]) {
      const node = page.querySelector(`.${name}`);
      if (node.textContent !== line[name]) node.textContent = line[name];
    }
  };
  const come = (token) => {
    page.querySelector(".before").textContent = "It is your turn. The lab opens …";
    const address = new URL(window.location); // the lab takes the token out of it again
    address.searchParams.set(model.token, token);
    setTimeout(() => window.location.replace(address), 300);
  };
  model.on("msg:custom", (news) => {
    if ("come" in news) return come(news.come);
    line = news.line;
    show();
  });
  show();
  const style = Object.assign(document.createElement("style"), { textContent: `${model.colours} html, body { margin: 0; background: var(--tlab-background); }` });
  const viewport = Object.assign(document.createElement("meta"), { name: "viewport", content: "width=device-width, initial-scale=1" });
  document.head.append(style, viewport);
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const asked = new URLSearchParams(window.location.search).get("theme");
  document.documentElement.dataset.theme = ["light", "dark"].includes(asked) ? asked : dark ? "dark" : "light";
  return page;
}
