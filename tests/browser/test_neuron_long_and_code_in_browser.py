"""The pages Neuron, Long text and Code in a real browser."""

import inspect

import pytest

from tlab_core.experiment import default_experiment
from tlab_core.norms import LayerNorm, RMSNorm
from tlab_core.run import LiveRun


@pytest.fixture(scope="module")
def run():
    """What the page's run is before its first step."""
    return LiveRun(default_experiment())


def turn_to(tab, name):
    tab.page.locator(f'[data-page="{name}"]').click()
    tab.page.locator(".board .card").first.wait_for()


def notes(tab):
    return tab.page.locator(".board .note").all_inner_texts()


def chosen(tab, part):
    return tab.page.locator(f'.board select[data-part="{part}"]')


def words(select):
    return select.evaluate("select => select.selectedOptions[0].text")


def test_a_unit_is_probed(tab, run):
    turn_to(tab, "neuron")
    texts = tab.page.locator(".unit-texts")
    texts.locator(".probe span").first.wait_for()
    layer = int(words(chosen(tab, "layer")))
    found = run.analyse("neuron", layer=layer, unit=None, position=None)
    assert texts.locator(".unit b").inner_text() == f"Unit {found.attrs['unit']} of layer {layer}"
    assert texts.locator(".probe").inner_text().replace("␣", " ") == "".join(run.probe_tokens)
    rows = texts.locator(".passages li .line").all_inner_texts()
    assert rows[0].replace("␣", " ").replace("⏎", "\n") == "".join(found["passage_character"].values[0])

    texts.locator(".probe span").nth(10).click()
    tab.wait(lambda: words(chosen(tab, "position")).endswith(" at 10"), "the clicked character")
    tab.wait(lambda: "character 10:" in texts.locator(".said").inner_text(), "its activation")
    chosen(tab, "order").select_option(label="activation at the character")
    tab.wait(lambda: "the most active at" in notes(tab)[0], "the other order")
    chosen(tab, "unit").select_option(label="unit 7")
    tab.wait(lambda: texts.locator(".unit b").inner_text() == f"Unit 7 of layer {layer}", "the chosen unit")
    raised = run.analyse("neuron", layer=layer, unit=7, position=10)["raised_character"].values
    shown = tab.page.locator(".unit-writes .raised .name").all_inner_texts()
    assert shown[0] in (f"“{raised[0]}”", "a space", "a new line")


def test_a_tap_on_a_unit_chooses_it(tab):
    turn_to(tab, "neuron")
    unit = tab.page.locator(".unit-texts .unit b")
    unit.wait_for()
    before = unit.inner_text()
    card = tab.page.locator(".board .card").first
    tab.wait(lambda: card.locator("canvas").count() > 0, "the plot")
    tab.tap(card, 0.7, 0.6, lambda: unit.inner_text() != before, "another unit")
    assert words(chosen(tab, "unit")) in unit.inner_text().lower()


def test_a_long_text_is_read(tab):
    turn_to(tab, "long")
    tab.wait(lambda: notes(tab)[0].startswith("Past 64 characters the loss is"), "the measured loss")
    assert all(note.startswith("Layer ") for note in notes(tab)[1:])


def test_the_code_is_what_runs_and_follows_a_knob(tab):
    turn_to(tab, "code")
    lines = tab.page.locator(".listing").first.locator(".line")
    lines.first.wait_for()

    def shown():
        return "\n".join(lines.evaluate_all("lines => lines.map((line) => line.textContent.trimEnd())"))

    assert shown() == inspect.getsource(RMSNorm).rstrip("\n")
    first = inspect.getsourcelines(RMSNorm)[1]
    assert lines.first.get_attribute("data-number") == str(first)
    rows = tab.page.locator(".flow .numbers th")
    tab.wait(lambda: rows.all_inner_texts() == ["norm 1", "norm 2", "final norm"], "what flowed through the norms")
    tab.page.get_by_label("Norm", exact=True).first.select_option("LayerNorm")
    tab.wait(lambda: shown() == inspect.getsource(LayerNorm).rstrip("\n"), "the other norm's source")
    tab.page.get_by_label("Part", exact=True).select_option("attention")
    tab.wait(lambda: "class CausalSelfAttention" in shown(), "another part")
    tab.wait(lambda: "match scores" in rows.all_inner_texts(), "its sites")


@pytest.mark.parametrize("page", ["neuron", "long", "code"])
def test_a_page_fits_a_phone(open_tab, page):
    tab = open_tab(390, 844)
    turn_to(tab, page)
    tab.page.wait_for_timeout(500)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
