"""What somebody who is here for the first time must be told by the page itself, in a real browser."""

import pytest

from tests.browser.test_race_in_browser import SMALL
from tlab_dash.words import on_the_page

PHONE = {"width": 390, "height": 844, "has_touch": True, "is_mobile": True}
TURNED_AROUND = "\u202e"


def names_shown(tab):
    return tab.page.locator(".key-tip").evaluate("tip => tip.matches(':popover-open') ? tip.innerText : ''")


def test_the_names_of_heads_are_explained_to_a_pointer_and_to_the_keyboard(tab):
    key = tab.page.locator(".key-button")
    assert names_shown(tab) == ""
    key.hover()
    said = names_shown(tab)
    for name in ("previous", "first", "induction", "even", "mixed"):
        assert name in said
    assert "28 % of its attention" in key.get_attribute("aria-label")
    tab.page.mouse.move(5, 5)
    tab.wait(lambda: names_shown(tab) == "", "gone again")
    key.focus()
    tab.wait(lambda: "induction" in names_shown(tab), "by the keyboard")
    key.press("Escape")
    tab.wait(lambda: names_shown(tab) == "", "gone by Escape")


def test_the_words_on_axes_are_explained_at_the_question_mark(tab):
    tab.page.get_by_role("button", name="Keys of the keyboard, and words").click()
    for word, meaning in on_the_page():
        assert f"{word}\n{meaning}" in tab.page.locator(".help-tip").inner_text()


def test_what_is_drawn_of_the_run_before_is_marked_while_a_new_one_is_built(open_tab):
    tab = open_tab(query=SMALL)
    card = tab.page.locator("main > .loss")
    tab.page.evaluate("""() => {
      const find = (root) => [...root.querySelectorAll("*")].reduce(
        (found, node) => found ?? (node.matches(".bench") ? node : node.shadowRoot && find(node.shadowRoot)), undefined);
      const bench = find(document);
      window.marks = [];
      new MutationObserver(() => window.marks.push([bench.matches(".building"),
        bench.querySelector("main > .loss").getAttribute("aria-busy"), bench.querySelector(".of-before").textContent]))
        .observe(bench, { attributes: true, attributeFilter: ["class"] });
    }""")
    assert card.get_attribute("aria-busy") == "false"
    # A width takes the longest to build of all that one knob can ask for.
    tab.page.locator('[data-knob="architecture.hidden_dim"] input').evaluate("""slider => {
      slider.value = slider.max;
      for (const name of ["input", "change"]) slider.dispatchEvent(new Event(name));
    }""")
    marked = [True, "true", "Building the new model … This is the one before."]
    tab.wait(lambda: marked in tab.page.evaluate("window.marks"), "the mark")
    tab.wait(lambda: tab.page.evaluate("window.marks.at(-1)") == [False, "false", ""], "the new run's pictures")


def test_a_knobs_help_lies_above_all_beside_the_panel(open_tab):
    tab = open_tab(query=SMALL)
    knob = tab.page.locator(".knob-list .knob").nth(1)
    knob.hover()
    knob.locator(".help").hover()
    tip = tab.page.locator(".knob-list .tip")
    tip.wait_for()
    assert tip.evaluate("tip => tip.matches(':popover-open')")
    panel = tab.page.locator(".knob-list").bounding_box()
    assert tip.bounding_box()["x"] >= panel["x"] + panel["width"]
    tab.page.locator(".card.map").hover()
    tip.wait_for(state="hidden")
    knob.locator(".help").focus()
    tip.wait_for()


def test_what_waits_for_a_knob_to_be_mended_is_said_in_sight(open_tab):
    tab = open_tab(query=SMALL)
    tab.page.get_by_label("Heads", exact=True).press("ArrowRight")
    said = tab.page.locator(".cost-warning")
    tab.wait(lambda: "Heads waits" in said.inner_text(), "what waits")
    box, panel = said.bounding_box(), tab.page.locator(".knob-list").bounding_box()
    assert box["y"] + box["height"] <= panel["y"] + panel["height"]
    tab.press("Undo")
    tab.wait(lambda: said.inner_text() == "", "nothing waits")


def test_a_phone_shows_that_the_tabs_go_on_and_a_knobs_help_covers_no_other_knob(open_tab):
    tab = open_tab(query=SMALL, **PHONE)
    tabs = tab.page.locator(".bench > .pages")
    tab.wait(lambda: "more-after" in tabs.get_attribute("class"), "more to come")
    assert "more-before" not in tabs.get_attribute("class")
    tabs.evaluate("row => row.scrollLeft = row.scrollWidth")
    tab.wait(lambda: "more-before" in tabs.get_attribute("class"), "more before")
    assert "more-after" not in tabs.get_attribute("class")
    assert tab.page.locator('[data-caption="loss"]').is_visible()
    tab.page.get_by_role("button", name="Knobs").tap()
    knobs = tab.page.locator(".knob-list .knob")
    knobs.nth(2).locator(".help").tap()
    tip = tab.page.locator(".knob-list .tip")
    tip.wait_for()
    box, before, after = tip.bounding_box(), knobs.nth(1).bounding_box(), knobs.nth(3).bounding_box()
    assert before["y"] + before["height"] <= box["y"]
    assert box["y"] + box["height"] <= after["y"]
    tab.page.get_by_role("button", name="Knobs").tap()
    tab.page.locator(".key-button").tap()
    tab.wait(lambda: "induction" in names_shown(tab), "by a finger")


@pytest.mark.parametrize("width", [1440, 390])
def test_all_that_is_wrong_with_a_link_can_be_read_without_scrolling(open_tab, width):
    tab = open_tab(width=width, height=900, query="?a.num_layer=8&t.learning_rate=-1&corpus=storys&a.num_heads=3")
    said = tab.sentences()[0]
    assert said.startswith("4 things are wrong with the link:")
    assert len(said.split("\n")) == 5
    lines = tab.page.locator(".sentences")
    assert lines.evaluate("node => node.scrollHeight <= node.clientHeight + 1")


def test_a_text_that_turns_writing_around_turns_nothing_else(open_tab):
    tab = open_tab(query=SMALL)
    page = tab.page
    page.get_by_role("button", name="Use my own text…").click()
    page.locator("dialog textarea").fill(f"{TURNED_AROUND}abc def. " * 400)
    page.locator("dialog .learn").click()
    tab.wait(lambda: tab.step > 0, "it is learned", seconds=60)
    texts = page.locator(".texts .now .text")
    tab.wait(lambda: "�" in texts.inner_text(), "the sign for what can't be seen", seconds=60)
    shown = page.evaluate("""() => {
      const words = (root) => [...root.childNodes].map((node) => node.nodeType === 3 ? node.data
        : (node.shadowRoot ? words(node.shadowRoot) : "") + (node.matches?.("style, script") ? "" : words(node))).join(" ");
      return words(document.body);
    }""")
    assert TURNED_AROUND not in shown


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_places_of_the_cards_are_seen_before_any_script_has_come(chromium, address, theme):
    page = chromium.new_page(viewport={"width": 1440, "height": 900}, color_scheme=theme)
    held = []
    page.route("**/*.js*", lambda script: held.append(script) if held is not None else script.continue_())
    page.goto(address, wait_until="commit")
    page.get_by_text("One moment: the lab is on its way").wait_for()
    assert page.locator("html").get_attribute("data-theme") == theme
    kept, held = held, None
    for script in kept:
        script.continue_()
    page.get_by_role("button", name="Train", exact=True).wait_for()
    assert page.locator("#first-paint").count() == 0
    page.close()
