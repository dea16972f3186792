"""The first page in a real browser: what is pressed, what is shown then, and that it fits."""

import numpy as np
import pytest

from tlab_core.experiment import default_experiment
from tlab_core.run import LiveRun
from tlab_dash.theme import LIGHT


def test_nothing_is_empty_before_training(tab):
    assert tab.step == 0
    assert 3 < tab.loss < 5
    tab.wait(lambda: len(tab.page.locator(".texts .now").inner_text()) > 100, "a whole text")
    assert tab.sentences() == ["Press Train. Watch the text."]
    assert tab.page.locator("[data-layer]").count() == 4
    for name in ("loss", "signal", "heads", "attention", "qk"):
        box = tab.page.locator(f'[data-slot="{name}"] canvas').first.bounding_box()
        assert box["width"] > 150, name
        assert box["height"] > 100, name


def test_training_brings_the_loss_down_and_changes_the_text(tab):
    tab.wait(lambda: len(tab.page.locator(".texts .now").inner_text()) > 100, "a whole text")
    before, text = tab.loss, tab.page.locator(".texts .now .text").inner_text()
    tab.press("Train")
    tab.wait(lambda: tab.step > 40, "step 40", seconds=90)
    assert tab.loss < before - 0.7
    tab.wait(lambda: tab.page.locator(".texts .now .text").inner_text() != text, "another text")
    tab.press("Pause")
    tab.wait(lambda: len(tab.page.locator(".texts .then").all()) > 0, "the first text is kept")
    assert tab.page.locator(".texts .then .text").first.inner_text()[:30] == text[:30]


def test_pause_stops_the_counter_and_step_adds_exactly_one(tab):
    tab.press("Train")
    tab.wait(lambda: tab.step > 3, "some steps")
    tab.press("Pause")
    tab.page.get_by_role("button", name="Train", exact=True).wait_for()
    tab.page.wait_for_timeout(1000)
    step = tab.step
    tab.page.wait_for_timeout(1000)
    assert tab.step == step
    for made in (1, 2):
        tab.press("Step")
        tab.wait(lambda made=made: tab.step == step + made, "one step more")
    tab.page.wait_for_timeout(500)
    assert tab.step == step + 2


def test_reset_goes_back_to_step_0(tab):
    tab.press("Step")
    tab.wait(lambda: tab.step == 1, "step 1")
    tab.press("Reset")
    tab.wait(lambda: tab.step == 0, "step 0")
    assert tab.sentences() == ["Press Train. Watch the text."]


def test_space_trains_and_pauses_but_not_while_typing(tab):
    prompt = tab.page.get_by_label("Prompt")
    prompt.click()
    tab.page.keyboard.press("End")
    tab.page.keyboard.press("Space")
    tab.page.wait_for_timeout(500)
    assert tab.step == 0
    tab.page.locator(".sentences").click()
    tab.page.evaluate("document.activeElement.blur()")
    tab.page.keyboard.press("Space")
    tab.page.get_by_role("button", name="Pause", exact=True).wait_for()
    tab.page.keyboard.press("Space")
    tab.page.get_by_role("button", name="Train", exact=True).wait_for()


@pytest.mark.slow
def test_a_layer_shows_its_heads_and_a_head_its_map(tab):
    for made in range(1, 6):
        tab.press("Step")
        tab.wait(lambda made=made: tab.step == made, "one step more")
    # The same settings give the same run, so this process knows what the page must show.
    run = LiveRun(default_experiment())
    run.advance(steps=5)
    weights = run.recorder.group("attention")["weight"].values[-1]

    layer = (tab.trail()[0] + 1) % 4
    tab.page.locator(f'[data-layer="{layer}"]').first.click()
    tab.wait(lambda: tab.trail()[0] == layer, "the layer in the breadcrumb")
    assert tab.page.get_by_role("heading", name=f"Heads of layer {layer}").is_visible()
    tab.page.get_by_role("tab", name=f"Inside layer {layer}", selected=True).wait_for()
    for head in (3, 1, 2, 0):
        tab.page.get_by_label("Head", exact=True).select_option(str(head))
        seen = np.tri(64, dtype=bool)
        expected = np.where(seen, weights[layer, head], np.nan)
        tab.wait(lambda expected=expected: np.allclose(tab.attention(), expected, atol=1e-6, equal_nan=True),
                 f"the map of layer {layer}, head {head}")
        assert tab.trail()[:2] == (layer, head)
    tab.page.keyboard.press("Escape")
    tab.page.get_by_text("Following the liveliest head").wait_for()


def test_a_head_that_is_chosen_right_after_a_layer_is_not_lost(tab):
    for layer, head in ((1, 2), (2, 1), (0, 3)):
        tab.page.locator(f'[data-layer="{layer}"]').first.click()
        tab.page.get_by_label("Head", exact=True).select_option(str(head))
        tab.wait(lambda wanted=(layer, head): tab.trail()[:2] == wanted, f"layer {layer}, head {head}")


def test_a_click_on_a_thumbnail_chooses_that_head(tab):
    canvas = tab.page.locator('[data-slot="heads"] canvas').first
    _, head, _ = tab.trail()
    wanted = 3 if head != 3 else 0
    across, down = (0.75, 0.75) if wanted == 3 else (0.25, 0.25)
    tab.tap(canvas, across, down, lambda: tab.trail()[1] == wanted, "the head in the breadcrumb")


def test_a_character_of_the_probe_text_can_be_chosen(tab):
    tab.page.locator('[data-position="7"]').click()
    tab.wait(lambda: tab.trail()[2] == 7, "the character in the breadcrumb")


@pytest.mark.slow
def test_a_wiring_knob_leaves_a_ghost_and_undo_brings_it_back(tab):
    tab.press("Train")
    tab.wait(lambda: tab.step >= 52, "step 52", seconds=120)
    tab.press("Pause")
    tab.page.get_by_label("Norm", exact=True).select_option("None")
    tab.page.locator(".texts .ghost").wait_for()
    tab.wait(lambda: tab.step == 0, "a new run")
    for _ in range(5):
        tab.press("Step")
    tab.wait(lambda: tab.step == 5, "step 5")
    tab.wait(lambda: any("Step 5:" in sentence for sentence in tab.sentences()), "sentences about step 5")
    assert any("with norm None" in sentence or "Too close to call" in sentence for sentence in tab.sentences())
    tab.press("Undo")
    tab.wait(lambda: tab.step >= 52, "the first run")
    assert tab.page.get_by_label("Norm", exact=True).input_value() == "RMSNorm"


def test_what_does_not_fit_is_explained_beside_the_knob_and_mended(tab):
    slider = tab.page.get_by_label("Heads", exact=True)
    slider.focus()
    tab.page.keyboard.press("ArrowRight")
    problem = tab.page.locator('[data-knob="architecture.num_heads"] .problem')
    problem.get_by_text("must divide Width = 128").wait_for()
    assert tab.page.locator("[data-layer]").count() == 4
    tab.press("Set Heads to 4")
    tab.wait(lambda: problem.inner_text() == "", "the problem is gone")


def test_a_prompt_that_cannot_be_read_is_named(tab):
    prompt = tab.page.get_by_label("Prompt")
    prompt.fill("Ω")
    prompt.press("Enter")
    tab.page.get_by_text("“Ω” never occurs in stories").wait_for()
    prompt.fill("One")
    prompt.press("Enter")
    tab.wait(lambda: tab.page.locator(".writing-panel .message").inner_text() == "", "the message is gone")


def test_temperature_rewrites_at_once_while_paused(tab):
    text = tab.page.locator(".texts .now .text")
    tab.wait(lambda: len(text.inner_text()) > 100, "a whole text")
    before = text.inner_text()
    slider = tab.page.get_by_role("slider", name="Temperature")
    slider.focus()
    tab.page.keyboard.press("Home")
    tab.wait(lambda: text.inner_text() != before, "another text")
    assert tab.step == 0


@pytest.mark.slow
def test_two_tabs_train_independently(open_tab):
    one, other = open_tab(), open_tab()
    one.press("Train")
    one.wait(lambda: one.step > 5, "steps in the first tab")
    assert other.step == 0
    other.press("Step")
    other.wait(lambda: other.step == 1, "one step in the second tab")
    one.press("Pause")
    assert other.step == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_scrolls_on_a_laptop_except_the_knobs(open_tab, theme):
    tab = open_tab(query=f"?theme={theme}")
    assert tab.page.evaluate("document.documentElement.dataset.theme") == theme
    assert tab.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [1440, 900]
    cards = [card.bounding_box() for card in tab.page.locator(".card:visible").all()]
    assert len(cards) == 8
    for card in cards:
        assert card["x"] >= 0
        assert card["x"] + card["width"] <= 1440
        assert card["y"] + card["height"] <= 900
    for i, one in enumerate(cards):
        for other in cards[i + 1 :]:
            apart = (
                one["x"] + one["width"] <= other["x"] + 0.5 or other["x"] + other["width"] <= one["x"] + 0.5
                or one["y"] + one["height"] <= other["y"] + 0.5 or other["y"] + other["height"] <= one["y"] + 0.5
            )
            assert apart, (one, other)


# Contrast of every heading and label with the page behind it, as the browser draws them, shadow roots included.
WORST_CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = (css) => {
    const [r, g, b] = css.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const behind = luminance(getComputedStyle(document.body).backgroundColor);
  let worst = [99, ""];
  const walk = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) walk(node.shadowRoot);
      if (!["H1", "H2", "H3", "LABEL", "DT", "DD", "LEGEND", "SUMMARY", "P"].includes(node.tagName)) continue;
      if (!node.textContent.trim() || !node.getClientRects().length) continue;
      const [a, b] = [luminance(getComputedStyle(node).color), behind].sort((x, y) => y - x);
      const contrast = (a + 0.05) / (b + 0.05);
      if (contrast < worst[0]) worst = [contrast, node.tagName + ": " + node.textContent.trim()];
    }
  };
  walk(document);
  return worst;
}"""


@pytest.mark.parametrize("system", ["light", "dark"])
def test_every_label_can_be_read_whatever_the_theme_was_when_the_page_was_loaded(open_tab, system):
    tab = open_tab(color_scheme=system)
    for theme in (system, {"light": "dark", "dark": "light"}[system]):
        worn = "document.documentElement.dataset.theme"
        tab.wait(lambda theme=theme, worn=worn: tab.page.evaluate(worn) == theme, f"the {theme} theme")
        contrast, where = tab.page.evaluate(WORST_CONTRAST)
        assert contrast >= 3.9, f"{theme}: {where}"
        tab.press("Switch between light and dark")


INKS = """() => [...window.Bokeh.documents[0]._all_models.values()]
  .filter((model) => model.type === "LinearAxis").map((axis) => axis.axis_label_text_color)"""


def test_the_theme_follows_the_system_and_can_be_switched(open_tab):
    tab = open_tab(color_scheme="dark")
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.press("Switch between light and dark")
    tab.wait(lambda: tab.page.evaluate("document.documentElement.dataset.theme") == "light", "the light theme")
    tab.wait(lambda: set(tab.page.evaluate(INKS)) == {LIGHT.muted}, "all plots in its ink")


def test_a_phone_has_one_column_and_the_knobs_in_a_sheet(open_tab):
    tab = open_tab(390, 844)
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.page.get_by_role("button", name="Train", exact=True).bounding_box()["y"] > 760
    norm = tab.page.get_by_label("Norm", exact=True)
    assert not norm.is_visible()
    tab.press("Knobs")
    assert norm.is_visible()
    sheet = tab.page.locator(".card.knobs").bounding_box()
    assert 844 * 0.4 < sheet["height"] < 844 * 0.55
    assert sheet["y"] >= 180
    tab.press("Step")
    tab.wait(lambda: tab.step == 1, "one step")


def test_to_draw_anew_makes_no_legend_and_writes_no_style_sheet_again(tab):
    """Which would have the browser work out the styles of the whole page, for nothing."""
    tab.press("Step")
    tab.wait(lambda: tab.step == 1, "step 1")
    tab.page.evaluate("""() => {
      const parts = (root, found = []) => {
        for (const node of root.querySelectorAll("*")) {
          found.push(node);
          if (node.shadowRoot) parts(node.shadowRoot, found);
        }
        return found;
      };
      const inside = (node) => /Axis|Grid|Legend|Renderer|Title/.test(node.getRootNode().host?.className);
      const sheets = new Map(parts(document).filter((node) => node.matches("style") && inside(node))
        .map((node) => [node, node.textContent]));
      window.sheets = sheets.size;
      window.again = 0;
      const watcher = new MutationObserver((records) => {
        for (const { target } of records) {
          if (sheets.get(target) === target.textContent) window.again += 1;
          sheets.set(target, target.textContent);
        }
      });
      for (const sheet of sheets.keys()) watcher.observe(sheet, { childList: true, characterData: true });
      window.legends = () => parts(document).filter((node) => node.matches(".bk-item canvas, .bk-glyph"));
      window.before = window.legends();
    }""")
    loss = tab.page.locator('[data-slot="loss"]')
    drawn = loss.screenshot()
    for made in range(2, 5):
        tab.press("Step")
        tab.wait(lambda made=made: tab.step == made, "one step more")
    tab.wait(lambda: loss.screenshot() != drawn, "the new losses")
    assert tab.page.evaluate("window.before.length") >= 3, "each step, average, unseen text"
    assert tab.page.evaluate("window.before.every((canvas, i) => canvas === window.legends()[i])")
    assert tab.page.evaluate("window.sheets") > 30, "of axes, lines and legends"
    assert tab.page.evaluate("window.again") == 0
