"""Lessons about norms, activations and writing: verdicts by hand-made numbers, measures against plain transcriptions."""

import math

import numpy as np
import pytest

from tests.benchmarks import lessons as benchmark
from tlab_core import LiveRun
from tlab_core.knob_text import with_values
from tlab_core.lessons import LESSONS, Outcome, dead_units, gated_units, norm_first, temperature, which_norm

SMALL = {"architecture.hidden_dim": 8, "architecture.num_heads": 2, "architecture.num_layers": 3,
         "training.batch_size": 2, "training.seq_len": 16, "training.steps": 10, "training.eval_every": 5,
         "training.statistics_every": 5}  # fmt: skip


def small_runs(lesson):
    """Return a lesson's runs with few and narrow layers, a few steps on."""
    runs = {}
    for key in lesson.runs:
        runs[key] = LiveRun(with_values(lesson.experiment(key, 1), SMALL))
        runs[key].advance(until=10)
        runs[key].trainer.close()
    return runs


def numbers(lesson, **given):
    return {**dict.fromkeys(lesson.numbers, 0.0), **given}


# ---- norm-first


@pytest.mark.parametrize(("pre", "post", "found"), [
    (2.0, 3.0, "pre"), (3.0, 2.0, "post"), (2.0, 2.29, "same"), (2.0, 2.31, "pre"), (2.0, math.inf, "pre"),
])
def test_norm_first_judges_the_runs_without_warm_up(pre, post, found):
    assert norm_first.outcome(numbers(norm_first.LESSON, pre=pre, post=post, pre_warm=9.0, post_warm=1.0)) == found


def test_norm_first_says_the_losses_with_warm_up_apart():
    measured = [numbers(norm_first.LESSON, pre=2.0 + seed, post=4.0, pre_warm=1.5, post_warm=1.75, pre_early=2.0,
                        post_early=300.0) for seed in (0, 1)]
    verdict = norm_first.LESSON.verdict(measured)
    assert verdict.sentence == (
        "Without warm-up, Pre-LN reaches loss 2.50 and Post-LN 4.00. "
        "After 5 steps the last layer's gradient is 300× the first one's in Post-LN, 2× in Pre-LN. "
        "Each number is the mean of 2 seeds. 2 of 2 seeds agree with the paper: seen.")
    assert verdict.mended == "With warm-up, Pre-LN reaches loss 1.50 and Post-LN 1.75."


def test_norm_first_says_so_where_post_ln_learned_without_warm_up():
    measured = [numbers(norm_first.LESSON, pre=2.1, post=post) for post in (3.1, 3.0, 1.9)]
    verdict = norm_first.LESSON.verdict(measured)
    assert verdict.seen
    assert verdict.sentence.endswith(
        "2 of 3 seeds agree with the paper: seen. With 1 of 3 seeds the runs say: About the same.")


def test_norm_first_measures():
    runs = small_runs(norm_first.LESSON)
    found = norm_first.measure(runs)
    loss = {key: run.history["validation"]["loss"].sel(step=10).item() for key, run in runs.items()}
    assert {key: found[key] for key in loss} == loss
    assert found["gap"] == loss["post"] - loss["pre"]
    assert found["warm_gap"] == loss["post_warm"] - loss["pre_warm"]
    for key in ("pre", "post"):
        gradient = runs[key].history["layers"]["gradient_rms"].sel(step=0, site="mlp")
        assert found[f"{key}_fresh"] == pytest.approx(gradient.sel(layer=2).item() / gradient.sel(layer=0).item())
        again = LiveRun(runs[key].experiment)
        again.advance(until=4)
        _, gradients = again.model.loss_and_grads(*again.trainer.batch(5))
        first, last = (np.sqrt(np.mean(gradients[f"blocks.{layer}.mlp.down.weight"] ** 2)) for layer in (0, 2))
        assert found[f"{key}_early"] == pytest.approx(last / first, rel=1e-3)
    assert set(found) == set(norm_first.LESSON.numbers)


# ---- which-norm


@pytest.mark.parametrize(("layer", "rms", "none", "found"), [
    (1.0, 1.04, 1.5, "norms"), (1.0, 1.06, 1.5, "layer"), (1.06, 1.0, 1.5, "rms"), (1.0, 1.0, 1.09, "same"),
    (1.0, 1.0, 0.85, "none"), (1.0, 1.04, math.inf, "norms"), (1.0, 1.0, 1.0, "same"), (1.2, 1.0, 0.85, "none"),
])
def test_which_norm_judges(layer, rms, none, found):
    assert which_norm.outcome(numbers(which_norm.LESSON, layer=layer, rms=rms, none=none)) == found


def test_which_norm_measures():
    runs = small_runs(which_norm.LESSON)
    found = which_norm.measure(runs)
    for key, run in runs.items():
        signal = run.history["residual"]["rms"].sel(step=10)
        assert found[f"{key}_growth"] == pytest.approx(signal[6].item() / signal[0].item())
        assert found[key] == run.history["validation"]["loss"].sel(step=10).item()
    assert found["gap"] == found["none"] - max(found["layer"], found["rms"])
    assert set(found) == set(which_norm.LESSON.numbers)


# ---- dead-units


@pytest.mark.parametrize(("relu", "gelu", "swish", "found"), [
    (0.1, 0.0, 0.0, "relu"), (0.1, 0.095, 0.0, "same"), (0.0, 0.1, 0.0, "gelu"), (0.0, 0.01, 0.1, "swish"),
    (0.009, 0.0, 0.0, "same"), (0.0, 0.0, 0.0, "same"),
])
def test_dead_units_judges(relu, gelu, swish, found):
    measured = numbers(dead_units.LESSON, relu_dead=relu, gelu_dead=gelu, swish_dead=swish)
    assert dead_units.outcome(measured) == found


def test_dead_units_measures():
    runs = small_runs(dead_units.LESSON)
    found = dead_units.measure(runs)
    for key, run in runs.items():
        dead = [float(np.mean(record)) for record in run.history["layers"]["dead_share"].values]
        assert found[f"{key}_dead"] == pytest.approx(dead[-1])
        assert found[f"{key}_peak"] == pytest.approx(max(dead))
    assert set(found) == set(dead_units.LESSON.numbers)


def test_the_probe_of_dead_units_is_read_whole():
    assert len(LiveRun(dead_units.LESSON.experiment("relu")).probe_tokens) == len(dead_units.PROBE) - 1


# ---- gated-units


@pytest.mark.parametrize(("gelu", "relu", "geglu", "swiglu", "found"), [
    (1.2, 1.1, 1.0, 1.3, "gated"), (1.0, 1.3, 1.2, 1.1, "plain"), (1.0, 1.3, 0.96, 1.1, "same"),
])
def test_gated_units_judges_the_best_of_each_kind(gelu, relu, geglu, swiglu, found):
    measured = numbers(gated_units.LESSON, gelu=gelu, relu=relu, geglu=geglu, swiglu=swiglu)
    assert gated_units.outcome(measured) == found


def test_gated_units_have_exactly_as_many_parameters():
    runs = gated_units.LESSON.runs
    assert len({LiveRun(gated_units.LESSON.experiment(key)).model.parameter_count for key in runs}) == 1


def test_gated_units_measures():
    runs = small_runs(gated_units.LESSON)
    found = gated_units.measure(runs)
    loss = {key: run.history["validation"]["loss"].sel(step=10).item() for key, run in runs.items()}
    assert found == {**loss, "gap": min(loss["gelu"], loss["relu"]) - min(loss["geglu"], loss["swiglu"])}


# ---- temperature


def test_known_and_repeated_shares():
    assert temperature.known_share("the cat xqz, the 12 dog.", {"the", "cat", "dog"}) == 4 / 5
    assert temperature.known_share("12 .,", {"the"}) == 0
    # rows: a b c d, b c d a, c d a b, d a b c, a b c d
    assert temperature.repeated_share("a b c d a b c d") == pytest.approx(1 / 5)
    assert temperature.repeated_share("a a a a a a") == pytest.approx(2 / 3)
    assert temperature.repeated_share("a b c") == 0


@pytest.mark.parametrize(("cold", "hot", "found"), [
    (0.6, 0.5, "both"), (0.6, 0.85, "cold"), (0.25, 0.5, "hot"), (0.25, 0.85, "same"), (0.1, 1.0, "same"),
])
def test_temperature_judges(cold, hot, found):
    measured = numbers(temperature.LESSON, repeated_1=0.2, known_1=0.9)
    assert temperature.outcome({**measured, "repeated_0.2": cold, "known_2": hot}) == found


def test_temperature_measures_what_the_model_writes():
    runs = small_runs(temperature.LESSON)
    before = runs["model"].model.flat.copy()
    found = temperature.measure(runs)
    assert set(found) == set(temperature.LESSON.numbers)
    text = "".join(runs["model"].write("One day ", temperature.LENGTH, 1.5, 1))
    assert found["repeated_1.5"] == temperature.repeated_share(text)
    assert np.array_equal(runs["model"].model.flat, before)
    assert temperature.measure(runs) == found  # the dice are the seed's


def test_temperature_shows_how_the_texts_begin_that_it_counts():
    runs = small_runs(temperature.LESSON)
    shown = temperature.LESSON.examples(runs)
    assert list(shown) == ["At temperature 0.2", "At temperature 1", "At temperature 2"]
    whole = "One day " + "".join(runs["model"].write("One day ", temperature.LENGTH, 2.0, 1))
    assert whole.startswith(shown["At temperature 2"])
    assert len(shown["At temperature 2"]) == len("One day ") + temperature.SHOWN


# ---- the page of all lessons


def test_the_page_of_lessons_has_each_number_with_its_spread():
    found = []
    for _, lesson in LESSONS.items():
        measured = tuple(numbers(lesson, **{lesson.headline: value}) for value in (1.0, 2.0, 3.0))
        found.append((lesson, Outcome(lesson.name, (0, 1, 2), measured, (9.0, 10.0, 11.0), lesson.verdict(measured))))
    page = benchmark.page(found)
    for lesson, outcome in found:
        number = lesson.numbers[lesson.headline]
        assert f"| {number.label} | {number.text(2.0)} ± {number.text(1.0).removeprefix('+')} |" in page
        assert f"\n## {lesson.name}\n" in page
        assert outcome.verdict.sentence in page
        assert lesson.paper.url in page
    table = [line for line in page.splitlines() if line.startswith("| [")]
    assert len(table) == len(found)
    assert all(line.count(" | ") == 5 and line.endswith("| 10 |") for line in table)
