// What changed: sentences and the buttons that go with them. Python composes them; a press sends its action back.

export function render({ model }) {
  const panel = document.createElement("div");
  panel.className = "changes-panel";
  panel.innerHTML = `<h2>What changed</h2><div class="sentences"></div><div class="actions"></div>`;
  const show = () => {
    panel.querySelector(".sentences").replaceChildren(...model.sentences.map((sentence) => {
      const line = document.createElement("p");
      line.textContent = sentence.text;
      line.className = sentence.kind;
      return line;
    }));
  };
  const offer = () => {
    panel.querySelector(".actions").replaceChildren(...model.actions.map((action) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = action.label;
      button.addEventListener("click", () => model.send_msg({ action: action.name }));
      return button;
    }));
  };
  model.on("sentences", show);
  model.on("actions", offer);
  show();
  offer();
  return panel;
}
