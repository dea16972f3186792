"""What it writes, in a real browser: shades, tips, keys, the menu of how it is drawn, and the text page."""

import re

import pytest

from tests.browser.conftest import PATIENCE
from tlab_core.experiment import default_experiment
from tlab_core.run import LiveRun
from tlab_dash import surprise

PROMPT = default_experiment().prompt


@pytest.fixture(scope="module")
def run():
    """What the page's run is before its first step."""
    return LiveRun(default_experiment())


def whole(tab, length=120):
    tab.page.locator(".texts .now [data-i]").nth(length - 1).wait_for(state="attached")


def set_slider(tab, name, value):
    tab.page.get_by_role("slider", name=name, exact=True).fill(str(value))


def written(tab):
    """What the card shows, with line ends as they are."""
    return tab.page.locator(".texts .now b").inner_text().replace("⏎", "\n")


def test_each_character_has_the_shade_and_the_tip_of_what_the_model_thought_of_it(tab, run):
    whole(tab)
    choices = list(run.write_choices(run.experiment.prompt, 120))
    assert written(tab) == "".join(choice.token for choice in choices)
    classes = tab.page.locator(".texts .now [data-i]").evaluate_all("spans => spans.map((span) => span.className)")
    assert classes == [f"shade-{digit}" for digit in surprise.shades(choices)]
    tip = tab.page.locator(".tip.likelihood")
    for at in (0, 7, 20):
        tab.page.locator(f'.texts .now [data-i="{at}"]').hover()
        assert tip.inner_text() == surprise.words(choices[at])
    tab.page.mouse.move(5, 5)
    tip.wait_for(state="hidden")
    assert tab.page.locator(".texts .then [data-i]").count() == 0


def test_arrow_keys_walk_through_the_text_without_moving_anything_else(tab, run):
    whole(tab)
    choices = list(run.write_choices(run.experiment.prompt, 120))
    tab.page.locator(".texts .now b").focus()
    tip = tab.page.locator(".tip.likelihood")
    pressed = {"ArrowRight": [0, 1], "End": [119], "ArrowLeft": [118, 117], "Home": [0]}
    for key, at in [(key, at) for key, places in pressed.items() for at in places]:
        tab.page.keyboard.press(key)
        assert tip.inner_text() == surprise.words(choices[at])
    tab.page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_top_k_top_p_and_dice_redraw_the_text_and_the_menu_moves_nothing(tab, run):
    whole(tab)
    boxes = [tab.page.locator(f".card.{name}").bounding_box() for name in ("writing", "loss", "map")]
    tab.press("More about how it is drawn")
    menu = tab.page.get_by_role("dialog", name="How it is drawn")
    menu.wait_for()
    assert [tab.page.locator(f".card.{name}").bounding_box() for name in ("writing", "loss", "map")] == boxes

    def shows(**drawn):
        expected = "".join(run.write(run.experiment.prompt, 120, **drawn))
        tab.wait(lambda: written(tab) == expected, f"the text drawn with {drawn}")

    shows()
    set_slider(tab, "Top-k", 3)
    shows(top_k=3)
    set_slider(tab, "Top-p", 0.5)
    shows(top_k=3, top_p=0.5)
    assert menu.locator("output").all_inner_texts() == ["3", "50 %"]
    set_slider(tab, "Top-k", 53)
    set_slider(tab, "Top-p", 1)
    shows()
    assert menu.locator("output").all_inner_texts() == ["all", "all"]
    menu.get_by_role("button", name="Other dice").click()
    shows(seed=1)
    dice = menu.get_by_role("spinbutton", name="Dice")
    dice.fill("7")
    dice.press("Enter")
    shows(seed=7)
    dice.fill("-1")
    dice.press("Enter")
    tab.page.get_by_text("Dice are numbered with whole numbers").wait_for()
    tab.page.keyboard.press("Escape")
    menu.wait_for(state="hidden")
    assert tab.step == 0


def test_on_a_phone_a_tap_says_what_else_could_have_come_and_nothing_is_wider_than_the_page(open_tab):
    tab = open_tab(390, 844, has_touch=True)
    whole(tab)
    tab.page.locator('.texts .now [data-i="3"]').tap()
    tip = tab.page.locator(".tip.likelihood")
    tip.wait_for()
    box = tip.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    tab.press("More about how it is drawn")
    box = tab.page.get_by_role("dialog", name="How it is drawn").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


@pytest.fixture
def text_page(open_tab):
    tab = open_tab()
    tab.press("Text")
    tab.page.locator(".long-text [data-i]").nth(399).wait_for()
    return tab


def test_the_text_page_shows_a_long_text_and_the_shares_of_the_chosen_character(text_page, run):
    choices = list(run.write_choices(run.experiment.prompt, 400))
    spans = text_page.page.locator(".long-text [data-i]")
    assert spans.evaluate_all("spans => spans.map((span) => span.textContent)") == [choice.token for choice in choices]
    at = next(i for i, one in enumerate(choices) if surprise.shade(one.probability) == 3 and not one.token.isspace())
    spans.nth(at).click()
    text_page.page.get_by_text(re.compile(f"^Character {at + 1}: ")).wait_for()
    bars = surprise.bars(choices[at])
    rows = text_page.page.locator(".bars li")
    assert rows.locator(".name").all_inner_texts() == [bar["name"] for bar in bars]
    assert rows.locator(".percent").all_inner_texts() == [bar["percent"] for bar in bars]
    widths = "nodes => nodes.map((node) => node.offsetWidth)"
    drawn, room = (rows.locator(part).evaluate_all(widths) for part in (".filled", ".bar"))
    shares = [width / most for width, most in zip(drawn, room, strict=True)]
    assert shares == pytest.approx([bar["share"] for bar in bars], abs=0.02)
    text_page.page.keyboard.press("ArrowRight")
    text_page.page.get_by_text(re.compile(f"^Character {at + 2}: ")).wait_for()


def test_the_text_page_lists_what_was_kept_leads_back_to_it_and_home_again(text_page):
    page = text_page.page
    for made in range(1, 7):
        text_page.press("Step")
        text_page.wait(lambda made=made: text_page.step == made, "one step more")
    page.locator(".kept li").nth(1).wait_for(timeout=PATIENCE)
    first = page.locator(".kept li").first
    first.get_by_role("button", name="step 0").click()
    page.get_by_role("heading", name="As written at step 0").wait_for()
    assert page.locator(".long-text [data-i]").count() == 0
    assert page.locator(".long-text .story").inner_text().startswith(PROMPT)
    page.locator(".long-text").get_by_role("button", name="Now", exact=True).click()
    page.get_by_role("heading", name="Written now, at step 6").wait_for()
    page.locator(".long-text [data-i]").nth(399).wait_for()
