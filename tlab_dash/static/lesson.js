// A lesson's card: the steps, and the blocks of the one that is open. Python composes them; presses go back as messages.

export function render({ model }) {
  const card = document.createElement("div");
  card.className = "lesson-leaf";
  card.innerHTML = `
    <div class="lesson-head">
      <h2 class="question"></h2>
      <button type="button" class="fold" aria-expanded="true" aria-label="Fold the lesson away">▾</button>
      <button type="button" class="leave" title="Your own run and its knobs come back.">Leave</button>
    </div>
    <ol class="lesson-steps" aria-label="Steps of the lesson"></ol>
    <div class="lesson-body"><h3 tabindex="-1"></h3><div class="blocks"></div></div>
    <div class="lesson-turn">
      <button type="button" class="back">Back</button>
      <button type="button" class="next">Next</button>
    </div>
    <p class="aloud" aria-live="polite"></p>`;
  const find = (selector) => card.querySelector(selector);
  const put = (node, words) => { if (node.textContent !== words) node.textContent = words; };
  const make = (tag, properties, ...inside) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...inside);
    return node;
  };
  const act = (action) => model.send_msg({ action });

  // Each kind of block: how it is made, and how it becomes another one of its kind without losing the focus.
  const pickers = (name, message) => ({
    make: (block) => {
      const group = make("div", { className: "picker" });
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", block.label);
      group.append(make("span", { textContent: block.label }));
      for (const { key, label } of block.options) {
        const button = make("button", { type: "button", textContent: label });
        button.dataset.key = key;
        button.addEventListener("click", () => message(key, group));
        group.append(button);
      }
      return group;
    },
    change: (group, block) => {
      for (const button of group.querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(button.dataset.key === (block.chosen ?? flipped)));
        button.disabled = Boolean(block.locked);
      }
    },
  });
  let flipped = "", flipping = 0;
  const flip = (key) => {
    flipped = key;
    model.send_msg({ flip: key });
    show();
  };
  const KINDS = {
    text: { make: () => make("p", {}), change: (node, block) => {
      node.className = block.style;
      put(node, block.text);
    } },
    link: {
      make: (block) => make("p", { className: "paper" }, make("span", { textContent: block.about }),
        make("a", { textContent: block.text, href: block.url, target: "_blank", rel: "noopener" })),
      change: () => {},
    },
    button: {
      make: (block) => {
        const button = make("button", { type: "button" });
        button.addEventListener("click", () => act(block.action));
        return make("div", { className: "lesson-action" }, button, make("p", { className: "aside" }));
      },
      change: (node, block) => {
        const button = node.querySelector("button");
        put(button, block.label);
        button.classList.toggle("primary", block.primary);
        button.disabled = block.disabled;
        put(node.querySelector("p"), block.hint);
      },
    },
    choice: {
      make: (block) => {
        const set = make("fieldset", { className: "choice" }, make("legend", { textContent: block.question }));
        for (const { key, label } of block.options) {
          const input = make("input", { type: "radio", name: "answer", value: key });
          input.addEventListener("change", () => model.send_msg({ predict: key }));
          set.append(make("label", {}, input, make("span", { textContent: label })));
        }
        return set;
      },
      change: (set, block) => {
        set.disabled = block.locked;
        for (const input of set.querySelectorAll("input")) input.checked = input.value === block.chosen;
      },
    },
    flip: pickers("flip", (key) => {
      clearInterval(flipping);
      flip(key);
    }),
    stage: pickers("stage", (key) => model.send_msg({ stage: key })),
    mend: pickers("mend", (key) => model.send_msg({ turn_up: key === "1" })),
    table: { make: () => make("div", {}), change: (node, block) => {
      node.className = `lesson-table ${block.style}`;
      const rows = block.rows.map(([label, value]) => make("div", {}, make("dt", { textContent: label }), make("dd", { textContent: value })));
      node.replaceChildren(...(block.heading ? [make("h4", { textContent: block.heading })] : []), make("dl", {}, ...rows));
    } },
    progress: { make: () => make("div", { className: "standing" }), change: (node, block) => {
      while (node.children.length > block.rows.length) node.lastChild.remove();
      while (node.children.length < block.rows.length)
        node.append(make("div", {}, make("span", { className: "line" }), make("span", { className: "who" }), make("span", { className: "where" }), make("progress", {})));
      block.rows.forEach((row, i) => {
        const [line, who, where, bar] = node.children[i].children;
        line.className = `line ${row.line}`;
        put(who, row.label);
        put(where, [`step ${row.step.toLocaleString("en")}`, row.words].filter(Boolean).join(", "));
        bar.max = row.of;
        bar.value = Math.min(row.step, row.of);
        bar.setAttribute("aria-label", `${row.label}, step ${row.step} of ${row.of}`);
      });
    } },
  };

  // The two drawings take turns on the map until one is chosen, unless things should hold still.
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const takeTurns = () => {
    clearInterval(flipping);
    const choice = model.leaf.blocks?.find((block) => block.kind === "flip");
    flipped = choice ? choice.options[0].key : "";
    if (!choice || still.matches) return;
    flipping = setInterval(() => {
      const keys = choice.options.map(({ key }) => key);
      flip(keys[(keys.indexOf(flipped) + 1) % keys.length]);
    }, 2500);
  };

  const made = new Map(); // id -> node, and the block that it shows as text
  let step = "", lesson = "", able = false;
  const show = () => {
    const leaf = model.leaf;
    if (!leaf.blocks) {
      clearInterval(flipping);
      lesson = step = "";
      return;
    }
    const turned = leaf.step !== step || leaf.name !== lesson;
    const inside = card.contains(card.getRootNode().activeElement);
    if (turned) {
      made.clear();
      find(".blocks").replaceChildren();
      find(".lesson-body").scrollTop = 0;
    }
    put(find(".question"), leaf.title);
    put(find("h3"), leaf.heading);
    const hasFlip = leaf.blocks.some((block) => block.kind === "flip");
    if (turned || hasFlip !== able) {
      able = hasFlip;
      [step, lesson] = [leaf.step, leaf.name];
      takeTurns();
    }
    const nodes = leaf.blocks.map((block) => {
      let known = made.get(block.id);
      if (known?.kind !== block.kind) made.set(block.id, (known = { kind: block.kind, node: KINDS[block.kind].make(block) }));
      KINDS[block.kind].change(known.node, block);
      return known.node;
    });
    const blocks = find(".blocks");
    if (nodes.length !== blocks.children.length || nodes.some((node, i) => blocks.children[i] !== node)) {
      const held = card.getRootNode().activeElement;
      blocks.replaceChildren(...nodes);
      if (blocks.contains(held)) held.focus({ preventScroll: true });  // what is put in anew has lost it
    }
    steps(leaf);
    find(".back").disabled = !leaf.back;
    find(".next").disabled = !leaf.next;
    put(find(".aloud"), leaf.announce);
    if (turned && inside) find("h3").focus();
  };
  const steps = (leaf) => {
    const list = find(".lesson-steps");
    if (list.children.length !== leaf.steps.length)
      list.replaceChildren(...leaf.steps.map((_, i) => {
        const button = make("button", { type: "button", textContent: String(i + 1) });
        button.addEventListener("click", () => model.send_msg({ go: model.leaf.steps[i].name }));
        return make("li", {}, button);
      }));
    leaf.steps.forEach(({ name, label, open }, i) => {
      const button = list.children[i].firstChild;
      button.title = label;
      button.setAttribute("aria-label", `Step ${i + 1}: ${label}`);
      button.disabled = !open;
      if (name === leaf.step) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
  };
  find(".back").addEventListener("click", () => model.send_msg({ go: model.leaf.back }));
  find(".next").addEventListener("click", () => model.send_msg({ go: model.leaf.next }));
  find(".leave").addEventListener("click", () => act("leave"));
  find(".fold").addEventListener("click", () => {
    const folded = find(".fold").getAttribute("aria-expanded") === "true";
    find(".fold").setAttribute("aria-expanded", String(!folded));
    find(".fold").setAttribute("aria-label", folded ? "Open the lesson" : "Fold the lesson away");
    find(".fold").textContent = folded ? "▴" : "▾";
    card.dispatchEvent(new CustomEvent("tlab-fold", { bubbles: true, composed: true, detail: folded }));
  });
  model.on("leaf", show);
  model.on("remove", () => clearInterval(flipping));
  show();
  return card;
}
