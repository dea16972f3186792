// The list of lessons: each is a button that begins it.

export function render({ model }) {
  const list = document.createElement("ul");
  list.className = "lesson-questions";
  // The frame asks for the lesson: the list has only just come, and Bokeh would send it back whole in a message of its own.
  const tell = (what, detail) => list.dispatchEvent(new CustomEvent(what, { bubbles: true, composed: true, detail }));
  const show = () => {
    list.replaceChildren(...model.lessons.map((lesson) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.dataset.lesson = lesson.name;
      for (const [part, words] of [["title", lesson.title], ["source", lesson.source], ["seconds", lesson.taken ? "You are in it" : `about ${lesson.seconds} s`]])
        button.append(Object.assign(document.createElement("span"), { className: `lesson-${part}`, textContent: words }));
      if (lesson.taken) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => (lesson.taken ? tell("tlab-page", "") : tell("tlab-lesson", lesson.name)));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  };
  model.on("lessons", show);
  show();
  return list;
}
