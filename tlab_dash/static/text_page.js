// The text page: a long newest text, what could have stood in place of each character, and the texts kept before.

export function render({ model }) {
  const page = document.createElement("div");
  page.className = "long-text tip-room";
  page.innerHTML = `
    <section class="newest" aria-label="The newest text">
      <div class="title"><h3></h3><p class="message" role="alert"></p><button type="button" class="now" hidden>Now</button></div>
      <p class="story"><i></i><b></b></p>
    </section>
    <section class="place" aria-label="The chosen character">
      <h3>In its place</h3>
      <p class="said" role="status"></p>
      <ol class="bars"></ol>
      <p class="aside">The model's own shares, before temperature, top-k and top-p.</p>
    </section>
    <section class="kept" aria-label="Kept texts">
      <h3>What it wrote on the way</h3>
      <ol></ol>
    </section>
    <section class="how" aria-label="How it is drawn"><h3>How it is drawn</h3></section>`;
  const find = (selector) => page.querySelector(selector);
  const put = (node, words) => {
    if (node.textContent !== words) node.textContent = words;
  };
  const made = (tag, className, words = "") => Object.assign(document.createElement(tag), { className, textContent: words });
  const controls = samplingControls(model);
  const key = shadeKey();
  find(".message").before(controls.prompt);
  find(".message").after(key);
  find(".how").append(controls.temperature, made("p", "aside", "Low: it plays safe. High: it takes chances."), controls.cuts);
  find(".now").addEventListener("click", () => model.send_msg({ now: true }));

  const prompt = shadedText(find(".story i"), { label: "Prompt" });
  const story = shadedText(find(".story b"), {
    label: "Newest text, arrow keys walk through its characters",
    chosen: (at) => model.send_msg({ character: at }),
  });
  const showStory = () => {
    const { when = "", past = false, shades, tips, text = "" } = model.story;
    put(find(".newest h3"), when && (past ? `As written at ${when}` : `Written now, at ${when}`));
    prompt(model.story.prompt ?? "");
    story(text, shades, tips);
    find(".now").hidden = !past;
    key.hidden = past;
    showPlace();
  };
  const bar = ({ name, share, percent, written }) => {
    const row = made("li", written ? "written" : "");
    const drawn = made("span", "bar");
    const filled = made("span", "filled");
    filled.style.width = `${100 * share}%`;
    drawn.append(filled);
    row.append(made("span", "name", name), drawn, made("span", "percent", percent), made("span", "mark", written ? "written" : ""));
    return row;
  };
  const showPlace = () => {
    put(find(".said"), model.place.said ?? "");
    find(".bars").replaceChildren(...(model.place.bars ?? []).map(bar));
    story.mark(model.place.at ?? null);
  };
  // In sight is what comes last, until someone has scrolled to something else.
  const list = find(".kept ol");
  const atEnd = () => list.scrollHeight - list.scrollTop - list.clientHeight < 30;
  const showKept = () => {
    const follow = atEnd();
    list.replaceChildren(...model.kept.map(({ when, prompt: start, text, shown }, number) => {
      const row = made("li", shown ? "shown" : "");
      const button = made("button", "when", when);
      button.type = "button";
      button.title = "Look back at this step, in every view";
      button.setAttribute("aria-pressed", String(shown));
      button.addEventListener("click", () => model.send_msg({ sample: number }));
      const line = made("p", "line");
      line.append(made("i", "", start), made("span", "", text));
      row.append(button, line);
      return row;
    }));
    if (follow) list.scrollTop = list.scrollHeight;
  };
  const showMessage = () => put(find(".message"), model.message);
  for (const [name, show] of Object.entries({ story: showStory, place: showPlace, kept: showKept, message: showMessage }))
    model.on(name, show);
  showStory();
  showKept();
  showMessage();
  return page;
}
