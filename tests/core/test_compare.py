"""Comparing runs: curves, settings, losses, seeds, and what two groups may be said to show."""

import itertools
import math
import statistics

import numpy as np
import pytest

from tests.core.saved_runs import tiny_experiment
from tlab_core import History, LiveRun, Run, default_experiment
from tlab_core.compare import (
    AGAINST,
    CompareError,
    by_seed,
    compare_groups,
    curves,
    hedges_g,
    interval,
    settings_table,
    summary,
)
from tlab_core.divergence import Divergence
from tlab_core.knob_text import with_values
from tlab_core.run import Mark
from tlab_core.runs import RunStore
from tlab_core.schema import coordinates
from tlab_core.tokenizers import CharacterTokenizer


def run_with(validation=(), train=(), every=10, corpus_hash="same", **knobs) -> Run:
    """Return a run whose losses are these: of each step, and of the fresh model and then every tenth step."""
    history = History(coordinates(num_layers=1, num_heads=1, vocab_size=3, parameters=["w"], probe_length=2),
                      {"corpus_hash": corpus_hash, "shards": 2})
    for step, loss in enumerate(train, 1):
        history.append("train", step, {"loss": loss, "learning_rate": 0.1, "grad_norm": 1.0, "tokens": 100 * step,
                                       "seconds": 0.5 * step**2})
    for index, loss in enumerate(validation):
        history.append("validation", every * index, {"loss": loss})
    experiment = with_values(default_experiment(), {name.replace("__", "."): value for name, value in knobs.items()})
    return Run(experiment, CharacterTokenizer("abc"), history, ["a", "b"], {})


def seeds(*losses, first=0, **knobs) -> dict[str, Run]:
    """Return a run for each final loss, alike but for the seed."""
    return {f"{first + i}": run_with([3.0, loss], architecture__seed=first + i, **knobs) for i, loss in enumerate(losses)}


# ---- curves


def test_curves_against_each_axis():
    runs = {"a": run_with(validation=[3.0, 2.0, 1.5], train=np.linspace(3, 1, 20)), "b": run_with(train=[2.0, 1.0])}
    by_step, by_tokens, by_seconds = (curves(runs, against=axis)["a"] for axis in AGAINST)
    assert by_step[0].tolist() == list(range(1, 21))
    assert by_tokens[0].tolist() == [100 * step for step in range(1, 21)]
    assert by_seconds[0].tolist() == [0.5 * step**2 for step in range(1, 21)]
    assert all(np.array_equal(y, np.linspace(3, 1, 20)) for _, y in (by_step, by_tokens, by_seconds))
    assert curves(runs)["b"][1].tolist() == [2.0, 1.0]
    x, y = curves(runs, group="validation", against="seconds")["a"]
    assert (x.tolist(), y.tolist()) == ([0.0, 50.0, 200.0], [3.0, 2.0, 1.5])
    assert curves(runs, group="validation", against="tokens")["b"][0].size == 0


@pytest.mark.parametrize(("asked", "message"), [
    ({"group": "trian"}, "no group 'trian' of measurements. Did you mean 'train'"),
    ({"variable": "los"}, "no curve 'los'. Did you mean 'loss'"),
    ({"group": "attention", "variable": "weight"}, "No variable of attention is one number a record"),
    ({"against": "token"}, "Did you mean 'tokens'"),
])  # fmt: skip
def test_what_is_no_curve_is_refused(asked, message):
    with pytest.raises(CompareError, match=message):
        curves({"a": run_with(train=[1.0])}, **asked)


def test_runs_without_names_are_numbered_and_names_come_once(tmp_path):
    live = LiveRun(tiny_experiment(tmp_path))
    store = RunStore(tmp_path / "runs")
    store.create(live, "it").close()
    saved = store.open("it")
    assert list(curves([saved, live])) == ["it", "run 2"]
    with pytest.raises(CompareError, match="two runs have the name 'it'"):
        curves([saved, store.open("it")])


# ---- settings


def test_the_table_has_the_differences_and_nothing_else():
    runs = {"a": run_with(), "b": run_with(architecture__num_layers=6), "c": run_with(training__learning_rate=0.1)}
    assert [tuple(row) for row in settings_table(runs)] == [
        ("architecture.num_layers", {"a": 4, "b": 6, "c": 4}),
        ("training.learning_rate", {"a": 0.002, "b": 0.002, "c": 0.1}),
    ]
    assert settings_table([]) == settings_table({"a": runs["a"]}) == []


def test_a_live_run_and_its_saved_self_have_the_same_settings(tmp_path):
    live = LiveRun(tiny_experiment(tmp_path, shards="auto"))
    store = RunStore(tmp_path / "runs")
    store.create(live, "it").close()
    assert store.open("it").experiment != live.experiment
    assert settings_table({"live": live, "saved": store.open("it")}) == []


def test_what_was_turned_on_the_way_sets_a_run_apart():
    turned, plain = run_with([3.0, 2.0], training__learning_rate=0.1), run_with([3.0, 2.5], training__learning_rate=0.1)
    turned.marks = [Mark(5, "training.learning_rate", 0.002, 0.1)]
    assert [tuple(row) for row in settings_table({"turned": turned, "plain": plain})] == [
        ("changed on the way", {"turned": "training.learning_rate from 0.002 to 0.1 at step 5", "plain": "nothing"}),
    ]
    assert [group.count for group in by_seed([turned, plain])] == [1, 1]
    assert compare_groups({"plain": plain}, {"turned": turned}).difference == -0.5


def test_what_the_text_decides_is_not_a_difference_of_its_own():
    runs = {name: run_with(corpus=name, prompt=name, architecture__vocab_size=size)
            for name, size in (("stories", 40), ("copy", 9))}  # fmt: skip
    assert [row.knob for row in settings_table(runs)] == ["corpus"]


# ---- losses


def test_summary_of_a_run_worked_out_by_hand():
    losses = [*np.linspace(4, 1, 40), *np.linspace(1, 2, 15)]
    run = run_with(validation=[4.0, 2.5, 1.5, 1.75, math.nan], train=losses)
    run.divergence = Divergence(56, None, "loss", "infinite number")
    found = summary({"it": run})[0]
    windows = [statistics.fmean(losses[i : i + 20]) for i in range(len(losses) - 19)]
    assert (found.name, found.steps, found.tokens, found.seconds) == ("it", 55, 5500, 0.5 * 55**2)
    assert found.train_final == pytest.approx(windows[-1])
    assert found.train_best == pytest.approx(min(windows))
    assert min(windows) < windows[-1]
    assert (found.validation_best, found.validation_best_step) == (1.5, 20)
    assert math.isnan(found.validation_final)
    assert found.divergence.startswith("Stopped at step 56")


def test_summary_of_a_fresh_run_has_no_losses():
    found = summary([run_with()])[0]
    assert (found.name, found.steps, found.train_final, found.train_best) == ("run 1", 0, None, None)
    assert (found.validation_final, found.validation_best, found.validation_best_step) == (None, None, None)
    assert summary({"short": run_with(train=[3.0, 2.0])})[0].train_final == 2.5


# ---- seeds


def test_seeds_of_one_setting_are_one_group():
    runs = {f"pre {name}": run for name, run in seeds(1.0, 1.2, 1.7).items()}
    runs |= {"post": run_with([3.0, 2.0], architecture__residual_type="Post-LN", training__seed=9)}
    runs["pre 1"] = replace_knob(runs["pre 1"], "training.executor", "serial")
    pre, post = by_seed(runs)
    assert (pre.label, post.label) == ("residual_type=Pre-LN", "residual_type=Post-LN")
    assert (pre.count, pre.step, pre.losses) == (3, 10, {"pre 0": 1.0, "pre 1": 1.2, "pre 2": 1.7})
    assert pre.mean == pytest.approx(statistics.mean([1.0, 1.2, 1.7]))
    assert pre.spread == pytest.approx(statistics.stdev([1.0, 1.2, 1.7]))
    assert (post.count, post.mean, post.spread) == (1, 2.0, None)
    assert by_seed(seeds(1.0, 2.0))[0].label == "all"
    assert by_seed({}) == []


def test_a_run_that_was_saved_twice_counts_once():
    once, later, other = run_with([3.0, 2.5]), run_with([3.0, 2.5, 2.0]), run_with([3.0, 2.4, 1.0], training__seed=1)
    (group,) = by_seed({"once": once, "later": later, "other": other})
    assert (group.count, list(group.runs), list(group.seeds)) == (2, ["once", "later", "other"], ["later", "other"])
    assert group.losses == {"later": 2.0, "other": 1.0}
    assert by_seed([once, later])[0].spread is None


def replace_knob(run: Run, knob: str, value) -> Run:
    run.experiment = with_values(run.experiment, {knob: value})
    return run


def test_seeds_are_compared_at_a_step_that_all_have_reached():
    long, short = run_with([3.0, 2.0, 1.0]), run_with([3.0, 2.5], training__seed=1)
    assert (by_seed([long, short])[0].step, by_seed([long, short])[0].mean) == (10, 2.25)
    unmeasured = run_with(training__seed=2)
    group = by_seed([long, unmeasured])[0]
    assert (group.step, group.losses, group.mean, group.spread) == (None, {}, None, None)
    broken = run_with([3.0, math.inf], training__seed=3)
    assert by_seed([long, broken])[0].step == 0


# ---- two groups

A, B = np.array([0.61, 0.66, 0.64, 0.63, 0.67]), np.array([0.55, 0.58, 0.57, 0.52, 0.58, 0.56])


def test_hedges_g_as_it_is_written_down():
    pooled = math.sqrt((4 * statistics.variance(A) + 5 * statistics.variance(B)) / 9)
    expected = (statistics.mean(B) - statistics.mean(A)) / pooled * (1 - 3 / (4 * 11 - 9))
    assert hedges_g(A, B) == pytest.approx(expected)
    assert hedges_g(np.array([1.0, 1.0]), np.array([2.0, 2.0])) is None


def test_the_interval_of_two_runs_a_side_is_all_that_resampling_can_make():
    one, other = np.array([1.0, 2.0]), np.array([5.0, 9.0])
    every = [np.mean(b) - np.mean(a) for a in itertools.product(one, repeat=2) for b in itertools.product(other, repeat=2)]
    assert interval(one, other) == (min(every), max(every)) == (3.0, 8.0)


def test_the_interval_is_that_of_a_bootstrap_written_out():
    dice = np.random.default_rng(5)
    drawn = [dice.choice(B, B.size).mean() - dice.choice(A, A.size).mean() for _ in range(20_000)]
    tail = statistics.NormalDist().cdf(-math.sqrt(5 / 4) * 2.776445)  # of the t distribution with 4 degrees of freedom
    assert interval(A, B) == pytest.approx(tuple(np.quantile(drawn, [tail, 1 - tail])), abs=0.004)
    assert interval(A, B) == interval(A, B)


@pytest.mark.slow
def test_the_interval_of_five_seeds_a_side_holds_the_truth_as_often_as_it_says():
    dice = np.random.default_rng(1)
    held = [low <= 0 <= high for low, high in (interval(dice.normal(size=5), dice.normal(size=5)) for _ in range(1000))]
    assert 0.94 <= np.mean(held) <= 0.98  # 0.87 by plain percentiles


def test_a_difference_with_enough_seeds():
    found = compare_groups(seeds(*A), seeds(*B, architecture__norm_type="LayerNorm"), ("RMSNorm", "LayerNorm"))
    assert found.difference == pytest.approx(B.mean() - A.mean())
    assert (found.step, found.counts, found.mixed) == (10, (5, 6), ())
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.effect == hedges_g(A, B)
    low, high = found.interval
    assert found.sentence == (
        "At step 10, the validation loss of LayerNorm is 0.082 nats lower than that of RMSNorm (0.560 against 0.642, 11 "
        f"runs: 6 and 5). The 95 % interval of the difference goes from {low:+.3f} to {high:+.3f} and leaves zero out: "
        f"luck with the seeds would seldom make that. It is {-found.effect:.1f} times the spread between seeds."
    )


def test_few_seeds_are_a_hint_and_no_more():
    found = compare_groups(seeds(*A[:3]), seeds(*B[:3], training__warmup_steps=0))
    assert found.interval[1] < 0
    assert "a hint, and no more. Train at least 5 seeds of each." in found.sentence
    assert "seldom" not in found.sentence


def test_an_interval_with_zero_in_it_shows_nothing():
    found = compare_groups(seeds(1.0, 1.4, 1.2, 1.1, 1.3), seeds(1.05, 1.35, 1.3, 1.1, 1.25, training__warmup_steps=0))
    assert found.interval[0] < 0 < found.interval[1]
    assert "zero included: these runs don't show that either is better." in found.sentence


def test_a_single_run_shows_nothing():
    found = compare_groups(seeds(1.0), seeds(0.5, 0.6, training__warmup_steps=0))
    assert (found.interval, found.effect, found.counts) == (None, None, (1, 2))
    assert "nobody can say whether that is more than luck" in found.sentence


def test_losses_that_never_differ_have_no_effect_size():
    found = compare_groups(seeds(2.0, 2.0), seeds(1.0, 1.0, training__warmup_steps=0))
    assert (found.interval, found.effect) == ((-1.0, -1.0), None)
    assert "hint" in found.sentence


def test_a_group_that_mixes_settings_says_so():
    mixed = seeds(1.0, 1.1) | {"other": run_with([3.0, 1.2], training__warmup_steps=7)}
    found = compare_groups(mixed, seeds(0.5, 0.6, training__warmup_steps=0), ("mixed", "plain"))
    assert found.mixed == ("mixed",)
    assert "The runs of mixed differ in more than their seeds" in found.sentence


@pytest.mark.parametrize(("one", "other", "message"), [
    ({}, seeds(1.0), "the first group has no runs"),
    (seeds(1.0), seeds(1.0), "'0' and '0' have the same settings and the same seeds"),
    (seeds(1.0, 1.1), {"copy": seeds(1.0)["0"]}, "'0' and 'copy' have the same settings and the same seeds"),
    (seeds(1.0), seeds(1.0, first=1, corpus_hash="other"), "different texts"),
    ({"a": run_with()}, seeds(1.0, first=1), "no step at which each"),
])  # fmt: skip
def test_what_can_not_be_compared(one, other, message):
    with pytest.raises(CompareError, match=message):
        compare_groups(one, other)
