// The list of lessons: each is a button that begins it.

export function render({ model }) {
  const list = document.createElement("ul");
  list.className = "lesson-questions";
  const show = () => {
    list.replaceChildren(...model.lessons.map((lesson) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.dataset.lesson = lesson.name;
      for (const [part, words] of [["title", lesson.title], ["source", lesson.source], ["seconds", lesson.taken ? "You are in it" : `about ${lesson.seconds} s`]])
        button.append(Object.assign(document.createElement("span"), { className: `lesson-${part}`, textContent: words }));
      if (lesson.taken) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () =>
        lesson.taken
          ? list.dispatchEvent(new CustomEvent("tlab-page", { bubbles: true, composed: true, detail: "" }))
          : model.send_msg({ take: lesson.name }));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  };
  model.on("lessons", show);
  show();
  return list;
}
