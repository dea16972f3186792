"""Time travel in a real browser: slider, keys, play and the way back."""

import numpy as np
import pytest

from tlab_core.experiment import default_experiment
from tlab_core.run import LiveRun


def slider(tab):
    return tab.page.get_by_role("slider", name="Step to look at")


def words(tab):
    return tab.page.locator(".timeline .words").inner_text()


def train(tab, steps):
    for made in range(1, steps + 1):
        tab.press("Step")
        tab.wait(lambda made=made: tab.step == made, "one step more")
    tab.wait(lambda: slider(tab).is_enabled(), "a past")


def test_without_a_past_it_says_how_to_get_one(tab):
    assert slider(tab).is_disabled()
    assert words(tab) == "Train, then slide back to any step."
    assert not tab.page.get_by_role("button", name="Now", exact=True).is_visible()


def test_keys_walk_through_the_recorded_steps_and_now_comes_back(tab):
    train(tab, 10)
    tab.page.get_by_label("Head", exact=True).select_option("1")
    layer = tab.trail()[0]
    run = LiveRun(default_experiment())
    for _ in range(10):
        run.advance(steps=1, look=True)  # as Step does
    maps = np.where(np.tri(64, dtype=bool), run.recorder.group("attention")["weight"].values[:, layer, 1], np.nan)

    def shows(record):
        return lambda: np.allclose(tab.attention(), maps[record], atol=1e-6, equal_nan=True)

    tab.wait(shows(10), "the newest map")
    slider(tab).focus()
    tab.page.keyboard.press("ArrowLeft")
    tab.wait(lambda: words(tab) == "Step 9 of 10: the past.", "step 9")
    tab.wait(shows(9), "the map of step 9")
    assert slider(tab).get_attribute("aria-valuetext") == "Step 9 of 10: the past."
    tab.page.keyboard.press("Home")
    tab.wait(lambda: words(tab) == "Step 0 of 10: the past.", "step 0")
    tab.wait(shows(0), "the map of step 0")
    assert any(sentence.startswith("Step 0: loss") for sentence in tab.sentences())
    assert tab.step == 10
    tab.press("Now")
    tab.wait(lambda: words(tab) == "Now: the newest step.", "now")
    tab.wait(shows(10), "the newest map again")
    assert not tab.page.get_by_role("button", name="Now", exact=True).is_visible()


def test_play_runs_from_the_first_step_to_now(tab):
    train(tab, 6)
    seen = []
    tab.press("Play the run from its first step")
    tab.page.get_by_role("button", name="Stop playing").wait_for()

    def over():
        seen.append(words(tab))
        return words(tab) == "Now: the newest step." and len(set(seen)) > 1

    tab.wait(over, "the end of the film")
    film = [said for said in dict.fromkeys(seen) if said.startswith("Step")]
    assert film == [f"Step {step} of 6: the past." for step in range(6)]
    tab.page.get_by_role("button", name="Play the run from its first step").wait_for()


def test_training_goes_on_while_one_looks_back(tab):
    train(tab, 5)
    slider(tab).focus()
    tab.page.keyboard.press("Home")
    tab.wait(lambda: words(tab) == "Step 0 of 5: the past.", "step 0")
    tab.press("Train")
    tab.wait(lambda: tab.step > 30, "more steps", seconds=90)
    tab.press("Pause")
    assert words(tab).startswith("Step 0 of ")
    assert slider(tab).input_value() == "0"
    tab.wait(lambda: int(slider(tab).get_attribute("max")) > 3, "the new steps on the slider")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_it_stands_below_the_loss(open_tab, theme):
    tab = open_tab(390, 844, query=f"?theme={theme}")
    loss, strip = (tab.page.locator(where).bounding_box() for where in (".card.loss", ".timeline"))
    assert strip["y"] >= loss["y"] + loss["height"]
    assert strip["x"] + strip["width"] <= 390
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
