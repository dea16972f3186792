"""Comparison: what is drawn and said of several runs is what they have recorded."""

from types import SimpleNamespace

import holoviews as hv
import numpy as np
import pytest

from tests.dash.fakes import add_record, fake_run
from tlab_core.compare import CompareError
from tlab_dash.compare import AGAINST, COLOURS, MEASURES, joined, look_of, overlay, side_by_side
from tlab_dash.compare_page import GHOST, THIS, ComparePage, figure_of
from tlab_dash.pair import common_steps
from tlab_dash.selection import Selection
from tlab_dash.theme import DARK, LIGHT, THEMES, contrast
from tlab_dash.views import VIEWS

ALL = ["slow 0", "slow 1", "fast 0", "fast 1"]


@pytest.fixture
def store(kept_runs):
    """Four saved runs, only to be read."""
    return kept_runs


@pytest.fixture
def page(store):
    """A page on which all runs are ticked; tests may change `page.names`."""
    names = list(ALL)
    page = ComparePage(store, SimpleNamespace(run=None, ghost=None), lambda: names)
    page.names = names
    page.refresh()
    return page


def recorded(run, group, variable):
    return run.recorder.group(group).variables[variable].values


def curves_of(element):
    """The strong lines by label."""
    return {curve.label: curve for curve in element.traverse(specs=[hv.Curve]) if curve.label}


def choose(page, **choices):
    for name, value in choices.items():
        page.on_choose({"name": name, "value": value})


# Functions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("against", AGAINST)
def test_an_overlay_draws_what_was_measured_unseen_text(store, against):
    runs = [store.open("slow 0"), store.open("fast 0")]
    drawn = curves_of(overlay(runs, against=against, measure="validation"))
    assert set(drawn) == {"slow 0", "fast 0"}
    for run in runs:
        steps = recorded(run, "validation", "step")
        made = np.append(0, recorded(run, "train", "step"))
        along = steps if against == "step" else np.append(0, recorded(run, "train", against))[np.searchsorted(made, steps)]
        assert np.allclose(drawn[run.name].dimension_values(0), along)
        assert np.array_equal(drawn[run.name].dimension_values(1), recorded(run, "validation", "loss"))


def test_noisy_measures_are_averaged_with_the_steps_behind_them(store):
    run = store.open("slow 0")
    losses = recorded(run, "train", "loss").astype(float)
    element = overlay({"mine": run})
    thin, strong = element.traverse(specs=[hv.Curve])
    assert np.array_equal(thin.dimension_values(1), losses)
    for step in (1, 4, 12, 30):
        window = min(25, max(1, step // 4))
        assert strong.dimension_values(1)[step - 1] == pytest.approx(losses[step - window : step].mean())


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_every_measure_can_be_drawn(store, measure, theme):
    figure = figure_of(overlay([store.open(name) for name in ALL], measure=measure, theme=theme))
    assert [item.label.value for item in figure.legend[0].items] == ALL
    assert figure.yaxis[0].axis_label == MEASURES[measure].axis


def test_a_loss_that_explodes_leaves_the_picture_and_the_others_stay_readable():
    calm, wild = fake_run(records=8, every=10), fake_run(records=8, every=10)
    wild.recorder.append("train", 71, {
        "loss": 1e24, "learning_rate": 1.0, "grad_norm": np.inf, "tokens": 99999, "seconds": 9.0,
    })
    figure = figure_of(overlay({"calm": calm, "wild": wild}))
    assert figure.y_range.end < 2.2 * calm.baselines["uniform"]
    assert figure_of(overlay({"wild": wild}, measure="gradient")).y_range.end < 100


def test_a_long_run_is_thinned():
    run = fake_run(records=2, every=30_000)
    element = overlay({"long": run})
    assert max(len(curve) for curve in element.traverse(specs=[hv.Curve])) <= 2002


@pytest.mark.parametrize(("wrong", "said"), [
    ({"against": "stepp"}, "'stepp'.* Did you mean 'step'?"),
    ({"measure": "los"}, "'los'.* Did you mean 'loss'?"),
])  # fmt: skip
def test_what_can_not_be_drawn_is_said(store, wrong, said):
    with pytest.raises(CompareError, match=said):
        overlay([store.open("slow 0")], **wrong)
    with pytest.raises(CompareError, match="no runs to compare"):
        overlay([])


def test_seeds_are_joined_to_mean_and_spread():
    rng = np.random.default_rng(0)
    x = np.arange(0, 100, 10)
    y = rng.normal(size=(3, 10))
    curves = {"a": (x, y[0]), "b": (x, y[1]), "c": (x[:6], y[2][:6])}
    along, mean, spread = joined(curves, noisy=False)
    assert np.array_equal(along, x[:6])
    assert np.allclose(mean, y[:, :6].sum(axis=0) / 3)
    assert np.allclose(spread**2, ((y[:, :6] - mean) ** 2).sum(axis=0) / 2)


@pytest.mark.parametrize("view", VIEWS.names())
def test_side_by_side_shares_axes_and_step(view):
    one, other = fake_run(records=6, seed=1), fake_run(records=4, seed=2, layers=2, heads=2)
    left, right = map(figure_of, side_by_side(view, one, other))
    for axis in ("x_range", "y_range"):
        ours, theirs = getattr(left, axis), getattr(right, axis)
        assert (ours.start, ours.end) == (theirs.start, theirs.end)
    assert list(common_steps(one, other)) == [0, 5, 10, 15]


@pytest.mark.parametrize("step", [None, 5])
def test_side_by_side_shows_both_runs_at_the_step(step):
    one, other = fake_run(records=6, seed=1), fake_run(records=4, seed=2)
    expected = 3 if step is None else 1  # the last record that both have, or the one asked for
    for run, panel in zip((one, other), side_by_side("signal", one, other, step=step), strict=True):
        drawn = panel.traverse(specs=[hv.Curve])[1].dimension_values(1)
        assert np.array_equal(drawn, recorded(run, "residual", "rms")[expected])


@pytest.mark.parametrize("view", VIEWS.names())
def test_shared_axes_hold_what_each_run_needs(view):
    one, other = fake_run(records=6, seed=1, layers=2, heads=2), fake_run(records=4, seed=2, heads=8)
    selection = Selection(layer=1, head=1, step=15, pinned=True)
    figure = figure_of(side_by_side(view, one, other, step=15, selection=selection).traverse(specs=[hv.Overlay])[0])
    for run in (one, other):
        across, up = VIEWS.get(view).limits(VIEWS.get(view).columns(run, selection, None))
        for needed, axis in ((across, figure.x_range), (up, figure.y_range)):
            assert min(axis.start, axis.end) <= min(needed) + 1e-9
            assert max(axis.start, axis.end) >= max(needed) - 1e-9


def test_an_attention_map_keeps_its_first_query_on_top():
    one, other = fake_run(), fake_run(seed=3)
    for figure in map(figure_of, side_by_side("attention", one, other)):
        assert figure.y_range.start > figure.y_range.end


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_can_be_told_from_the_card_and_from_each_other(theme):
    assert min(contrast(colour, theme.surface) for colour in COLOURS[theme.dark]) >= 3.9
    assert len({look_of(number, theme) for number in range(32)}) == 32


# The page ------------------------------------------------------------------------------------------------------------


def test_nothing_to_compare_says_what_to_do(page):
    page.names.clear()
    page.refresh()
    assert page.state["nothing"].startswith("Tick runs")


def test_the_table_tells_final_and_best_losses_seed_by_seed(page, store):
    rows = [row["cells"] for row in page.state["summary"]["rows"]]
    assert [row[0] for row in rows] == ["Learning rate 0.001 · 2 seeds", "slow 0", "slow 1",
                                        "Learning rate 0.01 · 2 seeds", "fast 0", "fast 1"]  # fmt: skip
    unseen = [float(recorded(store.open(name), "validation", "loss")[-1]) for name in ("slow 0", "slow 1")]
    assert rows[0][4] == f"{np.mean(unseen):.3f} ± {np.std(unseen, ddof=1):.3f}"
    assert [rows[1][4], rows[2][4]] == [f"{loss:.3f}" for loss in unseen]
    choose(page, seeds=False)
    assert [row["cells"][0] for row in page.state["summary"]["rows"]] == ALL
    assert len({row["colour"] for row in page.state["summary"]["rows"]}) == 4


def test_only_the_settings_that_differ_are_shown(page):
    settings = page.state["settings"]
    assert settings["head"] == ALL
    assert settings["rows"] == [
        {"label": "Seed", "values": ["0", "1", "0", "1"]},
        {"label": "Learning rate", "values": ["0.001", "0.001", "0.01", "0.01"]},
    ]


def test_two_groups_of_seeds_are_compared_without_overclaiming(page, store):
    groups = page.state["groups"]
    assert (groups["first"], groups["second"]) == ("Learning rate 0.001 · 2 seeds", "Learning rate 0.01 · 2 seeds")
    means = [np.mean([recorded(store.open(f"{name} {seed}"), "validation", "loss")[-1] for seed in (0, 1)])
             for name in ("slow", "fast")]  # fmt: skip
    assert f"{abs(means[1] - means[0]):.3f} nats" in groups["sentence"]
    assert "“Learning rate 0.01”" in groups["sentence"]
    assert "seeds of each" in groups["sentence"] or "zero included" in groups["sentence"]
    choose(page, first=groups["second"], second=groups["second"])
    assert page.state["groups"]["sentence"] == "Choose two different groups."


def test_joined_seeds_are_drawn_as_one_line_and_a_band(page):
    assert len(page.curves.object.renderers) == 4  # two bands, two lines
    choose(page, seeds=False)
    assert len(page.curves.object.renderers) == 8  # four thin lines, four averages


def test_seeds_that_have_not_trained_are_drawn_as_nothing(page):
    fresh = {name: fake_run(records=1) for name in ("a", "b")}
    for run, kept in zip(fresh.values(), ("slow 0", "slow 1"), strict=True):
        run.divergence, run.recorder.attributes, run.samples = None, {}, []
        run.experiment = page._reading.runs[kept].experiment
    page._opened = fresh
    page.names[:] = fresh
    page.refresh()
    assert page.state["message"] == ""
    assert [row["cells"][0] for row in page.state["summary"]["rows"]] == ["one setting · 2 seeds", "a", "b"]


def test_a_run_that_is_there_twice_has_one_line_and_counts_once(page):
    page._opened = {**page._reading.runs, "again": page._reading.runs["slow 0"]}
    page.names[:] = ["slow 0", "again", "fast 0"]
    page.refresh()
    rows = page.state["summary"]["rows"]
    assert [row["cells"][0] for row in rows] == ["slow 0", "again", "fast 0"]
    choose(page, seeds=True)
    assert not page.state["has_seeds"]
    assert "seeds ±" not in str(page.state)


def test_a_pair_is_shown_at_the_step_of_the_slider(page, store):
    choose(page, view="signal", left="slow 1", right="fast 1", at=2)
    pair = page.state["pair"]
    steps = common_steps(store.open("slow 1"), store.open("fast 1"))
    assert pair["steps"] == steps.tolist()
    assert pair["at"] == 2
    for name, box in (("slow 1", page.left), ("fast 1", page.right)):
        run = store.open(name)
        place = list(recorded(run, "residual", "step")).index(steps[2])
        drawn = [renderer.data_source.data["rms"] for renderer in box[0].object.renderers
                 if "rms" in renderer.data_source.data and len(renderer.data_source.data["rms"])]  # fmt: skip
        assert any(np.allclose(values, recorded(run, "residual", "rms")[place]) for values in drawn)


def test_moving_the_slider_writes_into_the_plots_that_are_there(page, store):
    figure = page.left[0].object
    choose(page, at=0)
    assert page.left[0].object is figure
    image = next(renderer.data_source.data["image"][0] for renderer in figure.renderers
                 if "image" in renderer.data_source.data)  # fmt: skip
    pair = page.state["pair"]
    first = recorded(store.open(pair["left"]), "attention", "weight")[0, pair["layer"], pair["head"]]
    assert np.allclose(np.nan_to_num(image), np.tril(first))


def test_a_tap_chooses_a_head_of_both(page):
    choose(page, view="heads")
    page._pair._plots[0].tap(1.5, 0.5)
    assert page.state["pair"]["head"] == 1
    page._pair._plots[1].tap(0.5, 0.5)
    assert page.state["pair"]["head"] == 0


def test_a_run_that_trains_on_is_followed(page, store, monkeypatch):
    monkeypatch.setattr("tlab_dash.compare_page.FOLLOW_SECONDS", 0.0)
    live = fake_run(records=3)
    live.divergence, live.recorder.attributes = None, {}
    live.experiment = store.open("fast 0").experiment
    page._session.run = live
    page.follow()
    assert page.state["summary"]["rows"][-1]["cells"][:2] == [THIS, "10"]
    drawn = page.curves.object
    page.follow()
    assert page.curves.object is drawn  # nothing new, nothing drawn
    add_record(live, np.random.default_rng(1), 3)
    page.follow()
    assert page.state["summary"]["rows"][-1]["cells"][:2] == [THIS, "15"]
    assert page.curves.object is not drawn


def test_choices_that_are_none_are_passed_over(page):
    before = page.state
    choose(page, measure="price", against="time", view="<b>", left="../..", layer="-1", head=None, at="NaN", colour="red")
    assert page.state == before
    choose(page, layer=99, head=99, at=10**9)
    assert (page.state["pair"]["layer"], page.state["pair"]["head"]) == (0, 1)
    assert page.state["pair"]["at"] == len(page.state["pair"]["steps"]) - 1


def test_the_runs_of_the_page_join_in(page, store):
    page.names[:] = ["slow 0"]
    page._session.run, page._session.ghost = store.open("fast 0"), store.open("fast 1")
    page.refresh()
    assert page.state["settings"]["head"] == ["slow 0", THIS, GHOST]
    assert [entry["label"] for entry in page.state["live"]] == ["This run", "Its ghost"]
    choose(page, live=GHOST)
    assert page.state["settings"]["head"] == ["slow 0", THIS]
    assert [entry["shown"] for entry in page.state["live"]] == [True, False]


def test_a_broken_run_is_named_and_the_others_are_compared(page, store, tmp_path):
    page.names.append("no such run")
    page.refresh()
    assert "there is no run 'no such run'" in page.state["message"]
    assert page.state["settings"]["head"] == ALL


def test_changing_the_theme_changes_the_lines(page):
    light = [row["colour"] for row in page.state["summary"]["rows"]]
    page.dress(DARK)
    assert [row["colour"] for row in page.state["summary"]["rows"]] != light


def test_what_was_let_go_of_comes_back(page):
    page.forget()
    assert page._opened == {}
    choose(page, view="signal", measure="validation")
    assert page.state["settings"]["head"] == ALL
    assert len(page.left) == 1
