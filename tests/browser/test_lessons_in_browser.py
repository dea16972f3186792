"""Lessons in a real browser: the list, the start of each, one from the first look to what to keep, and a phone."""

import pytest

from tlab_core.lessons import LESSONS

TRAINING = 240  # seconds that a lesson's runs may take on a busy machine

# Which cards are not dimmed, once the fading is over.
BRIGHT = """() => {
  const find = (root) => root.querySelector(".bench") ||
    [...root.querySelectorAll("*")].map((node) => node.shadowRoot && find(node.shadowRoot)).find(Boolean);
  return [...find(document).querySelectorAll("main > .card")].filter((card) => getComputedStyle(card).opacity === "1")
    .map((card) => card.className.split(" ")[1]);
}"""


@pytest.fixture
def lesson(open_tab):
    """Return a function that opens a lesson by its address, and waits until its models are built."""

    def open_one(name, **options):
        tab = open_tab(query=f"#lesson={name}", **options)
        tab.page.locator(".lesson-leaf .question", has_text=LESSONS.get(name).title).wait_for()
        tab.wait(lambda: tab.page.locator(".lesson-leaf .next").is_enabled(), "the lesson")
        tab.page.get_by_text("The models are being built").wait_for(state="detached")
        return tab

    return open_one


def heading(tab):
    return tab.page.locator(".lesson-leaf h3").inner_text()


def turn(tab, name):
    """Press the step of this name."""
    tab.page.get_by_role("button", name=name).click()
    tab.wait(lambda: heading(tab).endswith(name.split(": ")[-1]), name)


def bright(tab):
    return set(tab.page.evaluate(BRIGHT))


def test_the_list_begins_a_lesson_and_back_leads_to_it(open_tab):
    tab = open_tab()
    tab.page.locator('[data-page="lessons"]').click()
    tab.page.locator("[data-lesson]").nth(len(LESSONS.names()) - 1).wait_for()
    assert tab.page.locator("[data-lesson]").evaluate_all("all => all.map((one) => one.dataset.lesson)") == LESSONS.names()
    tab.page.locator('[data-lesson="rope-distance"]').click()
    tab.page.locator(".lesson-leaf .question", has_text=LESSONS.get("rope-distance").title).wait_for()
    tab.wait(lambda: tab.page.evaluate("location.hash") == "#lesson=rope-distance", "its address")
    assert tab.page.get_by_role("complementary", name="Knobs").is_hidden()
    tab.page.go_back()
    tab.page.locator('[data-lesson="rope-distance"][aria-current]').wait_for()
    assert tab.page.locator(".lesson-leaf .question").is_visible()  # it is still on
    tab.page.locator(".lesson-leaf .leave").click()
    tab.page.locator(".lesson-leaf .question").wait_for(state="hidden")
    tab.page.locator('[data-lesson="rope-distance"]:not([aria-current])').wait_for()


def test_beginning_a_lesson_sends_no_model_back(open_tab):
    """The list has only just come when one chooses from it; Bokeh sends such a model back whole, and the server warns."""
    tab, sent = open_tab(), []
    tab.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    tab.page.reload()
    tab.page.locator(".texts .now").wait_for()
    tab.page.locator('[data-page="lessons"]').click()
    tab.page.locator('[data-lesson="which-norm"]').click()
    tab.page.locator(".lesson-leaf .question", has_text=LESSONS.get("which-norm").title).wait_for()
    messages = [frame for frame in sent if isinstance(frame, str) and "which-norm" in frame]
    assert messages, "the choice is told to the server"
    assert not [frame for frame in messages if "LessonList" in frame]


@pytest.mark.parametrize("name", LESSONS.names())
def test_each_lesson_begins(lesson, name):
    tab = lesson(name)
    chosen = LESSONS.get(name)
    assert heading(tab) == "1. Look"
    assert tab.page.locator(".lesson-leaf .lead").inner_text() == chosen.look
    tab.wait(lambda: bright(tab) == {"map"}, "all but the map dims")
    assert tab.page.get_by_role("button", name="Step 3: Before training").is_disabled()
    turn(tab, "Step 2: Predict")
    assert tab.page.locator(".lesson-leaf .next").is_disabled()  # not past the guess
    tab.page.get_by_role("button", name="Skip the guess").wait_for()
    answers = tab.page.get_by_role("radio")
    assert answers.count() == len(chosen.prediction.options)
    answers.first.check()
    turn(tab, "Step 3: Before training")
    tab.page.get_by_role("button", name=f"Run to step {chosen.steps}").wait_for()
    assert tab.step == 0


def test_one_lesson_from_the_first_look_to_what_to_keep_and_back_by_the_keyboard(lesson):
    tab = lesson("logit-growth")
    chosen, page = LESSONS.get("logit-growth"), tab.page
    page.locator(".lesson-leaf .next").focus()
    page.keyboard.press("Enter")
    tab.wait(lambda: heading(tab) == "2. Predict", "the question")
    page.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    tab.wait(lambda: page.get_by_role("radio").first.is_checked(), "an answer")
    page.get_by_role("button", name="Skip the guess").wait_for(state="detached")  # which leaves the focus where it is
    page.keyboard.press("ArrowDown")  # another answer
    tab.wait(lambda: page.get_by_role("radio").nth(1).is_checked(), "another answer")
    turn(tab, "Step 3: Before training")
    page.get_by_role("button", name="Run to step 200").press("Enter")
    tab.wait(lambda: page.locator(".standing progress").count() == 2, "both race")
    tab.wait(lambda: bright(tab) == {"map", "writing", "loss", "head"}, "the lesson's views")
    tab.wait(lambda: heading(tab) == "5. Reveal", "the numbers", TRAINING)
    said = page.locator(".lesson-table.said dd").all_inner_texts()
    assert said == [chosen.prediction.options["qk_norm"], "Without QK-norm"]
    sentence = page.locator(".blocks > .lead").inner_text()
    assert "One seed was run, and it agrees with the paper." in sentence
    assert sentence in page.locator(".lesson-leaf .aloud").inner_text()

    turn(tab, "Step 6: Repair it")
    mend = page.get_by_role("button", name="Run it with learning rate 0.002")
    assert mend.is_disabled()
    page.get_by_role("group", name="Learning rate").get_by_role("button", name="0.002").press("Enter")
    tab.wait(mend.is_enabled, "the knob")
    mend.press("Enter")
    page.get_by_text("At a learning rate of 0.002 match scores reach").wait_for(timeout=1000 * TRAINING)
    assert page.locator(".standing .who").all_inner_texts() == ["Without, lower learning rate", "Without QK-norm"]

    turn(tab, "Step 7: Check")
    page.get_by_role("button", name="Run seeds 1 and 2").click()
    page.get_by_text("Seed 1: Without QK-norm").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Run seeds 1 and 2").wait_for()
    turn(tab, "Step 8: Take away")
    assert page.get_by_role("link", name=chosen.paper.title).get_attribute("href") == chosen.paper.url
    page.get_by_role("button", name="Back to my own run").press("Enter")
    page.get_by_role("complementary", name="Knobs").wait_for()
    tab.wait(lambda: tab.step == 0, "the run from before")
    assert page.evaluate("location.hash") == ""


def test_on_a_phone_the_card_is_a_sheet_that_folds(lesson):
    tab = lesson("which-norm", width=390, height=844)
    card = tab.page.get_by_role("complementary", name="Lesson")
    box = card.bounding_box()
    assert box["width"] == 390
    assert 350 < box["height"] < 422  # half of the screen
    assert tab.page.locator(".texts .now").is_visible()
    tab.page.get_by_role("button", name="Fold the lesson away").click()
    tab.wait(lambda: card.bounding_box()["height"] < 80, "it folds")
    tab.page.get_by_role("button", name="Open the lesson").click()
    tab.wait(lambda: card.bounding_box()["height"] > 350, "it opens")


def test_an_unknown_lesson_in_the_address_says_which_is_near(open_tab):
    tab = open_tab(query="#lesson=which-nrom")
    tab.wait(lambda: any("which-norm" in sentence for sentence in tab.sentences()), "the nearest name")
    assert tab.page.get_by_role("complementary", name="Knobs").is_visible()
