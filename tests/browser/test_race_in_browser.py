"""Turning a knob in a real browser: the race, the sentences and where they lead, three seeds, a step's sweep, the keys."""

import re

import pytest

from tlab_core.experiment import default_experiment
from tlab_core.share import to_query
from tlab_dash.knob_names import with_knobs
from tlab_dash.measures import MEASURES

SMALL = "?" + to_query(with_knobs(default_experiment(), {
    "architecture.hidden_dim": 32, "architecture.num_layers": 3, "architecture.num_heads": 2, "architecture.ff_dim": 64,
    "training.batch_size": 2, "training.seq_len": 32,
}))  # fmt: skip
BREAK = "Break it: 30× learning rate"
# Notes each part's number as it is written while the sweep is on.
WATCH_MAP = """() => {
  const find = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.classList.contains("tlab-map-holder")) return node;
      const inside = node.shadowRoot && find(node.shadowRoot);
      if (inside) return inside;
    }
  };
  const holder = find(document);
  window.swept = [];
  new MutationObserver(() => {
    const number = holder.querySelector('.sweep [data-key="residual.0"] .number');
    if (number) window.swept.push(number.textContent);
  }).observe(holder, { subtree: true, characterData: true, childList: true, attributes: true });
}"""


@pytest.fixture
def small(open_tab):
    return open_tab(query=SMALL)


def test_a_knob_races_to_the_target_and_says_what_changed_with_a_way_to_see_it(small):
    small.press("Train")
    small.wait(lambda: small.step >= 60, "step 60", seconds=60)
    small.page.get_by_label("Residual layout", exact=True).select_option("Post-LN")
    small.page.locator(".notice", has_text="Racing to step ").wait_for()
    target = int(small.page.locator(".notice").inner_text().strip(".").split()[-1].replace(",", ""))
    small.wait(lambda: small.page.get_by_role("button", name="Continue both", exact=True).count(), "the end", seconds=90)
    assert small.step == target >= 300
    small.wait(lambda: small.sentences()[0].startswith(f"Step {target:,}: loss "), "sentences about the end")
    assert any("with Post-LN" in sentence for sentence in small.sentences())
    assert small.page.locator(".sentences .link", has_text="Try 3 seeds").count() == 1
    small.page.locator(".sentences .link", has_text=re.compile("^See ")).first.click()  # to the page of what differs most
    small.page.wait_for_url(re.compile(f"#({'|'.join({measure.page for measure in MEASURES})})$"))
    small.page.locator('[data-page=""]').click()
    small.press("Continue both")
    small.wait(lambda: small.step == target + 300, "300 steps more", seconds=90)
    small.press("Undo")
    small.page.locator(".sentences", has_text="with Pre-LN").wait_for()
    small.page.locator(".sentences .link", has_text="Lesson: Why does everyone put the norm first?").click()
    small.page.locator(".lesson-leaf .question", has_text="Why does everyone put the norm first?").wait_for()


def test_break_it_begins_a_race_with_undo(small):
    small.press(BREAK)
    small.wait(lambda: small.step > 5, "training", seconds=60)
    assert small.page.locator(".notice").inner_text() == "Racing to step 300."
    small.page.get_by_role("button", name=BREAK, exact=True).wait_for(state="hidden")
    assert small.sentences()[0].startswith("This run was broken on purpose: 30 times the learning rate.")
    small.press("Pause")
    small.press("Undo")
    small.page.locator(".sentences", has_text="with learning rate 0.002").first.wait_for()


def test_a_step_sweeps_the_map_and_not_for_whom_motion_is_too_much(small, open_tab):
    small.page.evaluate(WATCH_MAP)
    small.press("Step")
    small.wait(lambda: len(set(small.page.evaluate("window.swept"))) > 1, "signal, then gradient")
    still = open_tab(query=SMALL, reduced_motion="reduce")
    still.page.evaluate(WATCH_MAP)
    still.press("Step")
    still.wait(lambda: still.step == 1, "a step")
    still.page.wait_for_timeout(800)
    assert still.page.evaluate("window.swept") == []


def test_arrows_move_the_selection_but_not_in_a_control(small):
    small.page.get_by_label("Layer", exact=True).select_option("1")
    small.page.get_by_label("Head", exact=True).select_option("0")
    small.page.evaluate("document.activeElement.blur()")
    for key, expected in (("ArrowRight", (1, 1)), ("ArrowDown", (2, 1)), ("ArrowUp", (1, 1)), ("ArrowLeft", (1, 0))):
        small.page.keyboard.press(key)
        small.wait(lambda expected=expected: small.trail()[:2] == expected, f"{key} to {expected}")
    prompt = small.page.get_by_label("Prompt")
    prompt.click()
    small.page.keyboard.press("ArrowRight")
    small.page.keyboard.press("[")
    small.page.wait_for_timeout(500)
    assert small.trail()[:2] == (1, 0)
    assert "[" in prompt.input_value()


def test_brackets_step_through_time_and_the_question_mark_lists_the_keys(small):
    small.press("Step")
    small.wait(lambda: small.step == 1, "a step")
    words = small.page.locator(".timeline .words")
    small.page.keyboard.press("[")
    small.page.locator(".timeline .words", has_text="Step 0 of 1").wait_for()
    small.page.keyboard.press("]")
    small.wait(lambda: "Now" in words.inner_text(), "the newest step")
    small.page.keyboard.press("?")
    small.page.get_by_text("train or pause").wait_for()
    small.page.keyboard.press("Escape")
    small.page.get_by_text("train or pause").wait_for(state="hidden")
