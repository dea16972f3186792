// The knobs. Python describes each one (`groups`) and its value (`values`); turning one sends {knob, value} back.
// A slider runs over a list of stops, so that a learning rate can go 0.001, 0.002, 0.003 and a width can be "auto".

const WEIGHING = 100; // ms
const PAUSE = 300; // ms: arrow keys fire a change each, so wait for the last

export function render({ model }) {
  const panel = document.createElement("div");
  panel.className = "knob-list";
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  const setters = new Map();
  const waiting = new Map();

  const turn = (knob, value, wait) => {
    clearTimeout(waiting.get(knob));
    waiting.set(knob, setTimeout(() => {
      waiting.delete(knob);
      model.send_msg({ turn: { knob, value } });
    }, wait));
  };

  // While a slider is held: what would it cost? The newest place of it, a few times a second.
  let weighing = 0;
  let latest = null;
  const weigh = (knob, value) => {
    latest = { knob, value };
    weighing ||= setTimeout(() => {
      weighing = 0;
      model.send_msg({ weigh: latest });
    }, WEIGHING);
  };

  const control = (knob, id) => {
    if (knob.kind === "choice") {
      const select = document.createElement("select");
      const offer = (own) => {
        const names = knob.options.map((name) => new Option(name, name));
        select.replaceChildren(...own.map(({ value, label, title }) => Object.assign(new Option(label, value), { title })), ...names);
      };
      offer(knob.name === "corpus" ? model.texts : []);
      if (knob.name === "corpus") {
        model.on("texts", () => {
          offer(model.texts);
          show();
        });
      }
      select.addEventListener("change", () => turn(knob.name, select.value, 0));
      setters.set(knob.name, (value) => {
        select.value = value;
        select.title = select.selectedOptions[0]?.title ?? "";
      });
      return [select];
    }
    if (knob.kind === "switch") {
      const box = document.createElement("input");
      box.type = "checkbox";
      box.addEventListener("change", () => turn(knob.name, box.checked, 0));
      setters.set(knob.name, (value) => (box.checked = value));
      return [box];
    }
    if (knob.kind === "number") {
      const field = document.createElement("input");
      Object.assign(field, { type: "number", min: knob.minimum, step: 1 });
      field.addEventListener("change", () => field.value !== "" && turn(knob.name, Number(field.value), PAUSE));
      setters.set(knob.name, (value) => (field.value = value));
      return [field];
    }
    const slider = document.createElement("input");
    const output = document.createElement("output");
    output.htmlFor = id;
    Object.assign(slider, { type: "range", min: 0, step: 1 });
    let stops = knob.stops;
    const say = () => {
      output.textContent = stops[slider.value].label;
      slider.setAttribute("aria-valuetext", `${stops[slider.value].label} ${knob.unit}`.trim());
      slider.style.setProperty("--filled", `${(100 * slider.value) / Math.max(1, stops.length - 1)}%`);
    };
    slider.addEventListener("input", () => {
      say();
      weigh(knob.name, stops[slider.value].value);
    });
    slider.addEventListener("change", () => turn(knob.name, stops[slider.value].value, PAUSE));
    setters.set(knob.name, (value) => {
      stops = knob.stops;
      let at = stops.findIndex((stop) => stop.value === value);
      if (at < 0) {
        // A value that no stop has, from a script or a link, gets a stop of its own.
        const after = stops.findIndex((stop) => stop.value !== null && stop.value > value);
        at = after < 0 ? stops.length : after;
        stops = [...stops.slice(0, at), { value, label: String(value) }, ...stops.slice(at)];
      }
      slider.max = stops.length - 1;
      slider.value = at;
      say();
    });
    return [slider, output];
  };

  const help = (knob, line) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "help", textContent: "?" });
    button.setAttribute("aria-label", `What is ${knob.label}? ${knob.doc}`);
    const open = () => {
      tip.textContent = [model.unheeded[knob.name], knob.doc].filter(Boolean).join(" ");
      tip.hidden = false;
      const at = button.getBoundingClientRect();
      const edge = panel.getBoundingClientRect().right; // beside the panel, or in it below the knob where there is no room
      const width = Math.min(280, window.innerWidth - 24);
      const beside = edge + width + 12 < window.innerWidth;
      tip.classList.toggle("inline", !beside);
      tip.popover = beside ? "manual" : null; // above everything: what the panel fades out below, it would cut off beside it
      (beside ? panel : line).append(tip);
      if (beside) tip.showPopover();
      tip.style.width = beside ? `${width}px` : "";
      tip.style.left = `${edge + 4}px`;
      tip.style.top = `${Math.max(8, Math.min(at.top - 8, window.innerHeight - tip.offsetHeight - 8))}px`;
      if (!beside) tip.scrollIntoView({ block: "nearest" });
    };
    const close = () => (tip.hidden = true);
    button.addEventListener("mouseenter", open);
    button.addEventListener("focus", open);
    button.addEventListener("click", open);
    button.addEventListener("mouseleave", () => button.matches(":focus") || close());
    button.addEventListener("blur", close);
    button.addEventListener("keydown", (event) => event.key === "Escape" && close());
    return button;
  };

  const row = (knob) => {
    const line = document.createElement("div");
    line.className = `knob ${knob.kind}`;
    line.dataset.knob = knob.name;
    const id = `knob-${knob.name.replace(".", "-")}`;
    const label = document.createElement("label");
    label.htmlFor = id;
    label.textContent = knob.label;
    const [input, output] = control(knob, id);
    input.id = id;
    const problem = document.createElement("div");
    problem.className = "problem";
    problem.setAttribute("role", "alert");
    line.append(label, help(knob, line), ...(output ? [output] : []), input, problem);
    if (knob.name === "corpus") line.append(model.get_child("own_text"));
    return line;
  };

  const build = () => {
    setters.clear();
    const groups = model.groups.map((group) => {
      const box = document.createElement(group.folded ? "details" : "fieldset");
      const title = document.createElement(group.folded ? "summary" : "legend");
      title.textContent = group.title;
      box.append(title, ...group.knobs.map(row));
      return box;
    });
    const summary = document.createElement("p");
    summary.className = "summary";
    const warning = document.createElement("p");
    warning.className = "problem cost-warning";
    warning.setAttribute("role", "status");
    const elsewhere = document.createElement("div");
    elsewhere.className = "problem elsewhere";
    const cost = document.createElement("div");
    cost.className = "cost";
    cost.append(summary, warning);
    panel.replaceChildren(...groups, elsewhere, cost, tip);
  };

  const show = () => {
    for (const [name, set] of setters) if (!waiting.has(name)) set(model.values[name]);
  };
  const grey = () => {
    for (const line of panel.querySelectorAll(".knob")) {
      const why = model.unheeded[line.dataset.knob] ?? "";
      line.classList.toggle("idle", why !== "");
      line.title = why;
      line.querySelector("select, input").disabled = why !== "";
    }
  };
  const explain = (problem) => {
    const words = document.createElement("p");
    words.textContent = problem.message;
    if (!problem.fix) return words;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = problem.fix;
    button.addEventListener("click", () => model.send_msg({ fix: problem.index }));
    words.append(" ", button);
    return words;
  };
  const complain = () => {
    const elsewhere = model.problems.filter((problem) => !setters.has(problem.knob)); // of what has no knob here
    panel.querySelector(".elsewhere").replaceChildren(...elsewhere.map(explain));
    for (const line of panel.querySelectorAll(".knob")) {
      const mine = model.problems.filter((problem) => problem.knob === line.dataset.knob);
      line.classList.toggle("wrong", mine.length > 0);
      line.querySelector(".problem").replaceChildren(...mine.map(explain));
      const folded = line.closest("details");
      if (mine.length && folded) folded.open = true;
    }
  };
  const count = () => {
    panel.querySelector(".summary").textContent = model.summary;
    panel.querySelector(".cost-warning").textContent = model.warning;
  };

  const all = () => {
    build();
    show();
    grey();
    complain();
    count();
  };
  all();
  model.on("groups", all);
  model.on("values", show);
  model.on("unheeded", grey);
  model.on("problems", complain);
  model.on("summary", count);
  model.on("warning", count);
  return panel;
}
