"""The page of match scores: its pictures and sentences against the records and the measure that they show."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from tests.dash.fake_analyses import MAKERS, analyse
from tests.dash.fakes import add_record, fake_run
from tests.dash.test_live import assert_shows_columns
from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.run import LiveRun
from tlab_dash import views
from tlab_dash.live import LivePlot
from tlab_dash.selection import QK_MEASURES, Selection
from tlab_dash.trail import PARTS
from tlab_dash.views.head_grid import short
from tlab_dash.views.measured import MEASURING
from tlab_dash.views.qk_distance import needs
from tlab_dash.views.wording import QK_MEASURE_WORDS


@pytest.fixture
def run():
    return fake_run(layers=3, heads=4, positions=16, records=4)


def pinned(run, measure="qk_max", **chosen):
    selection = Selection()
    selection.choose(run, **chosen)
    selection.choose(run, qk_measure=measure)
    return selection


def heads_of(run, measure):
    return run.recorder.group("heads")[measure].values


def with_heads(run, step, **sizes):
    """Append a record like the last one, but for these sizes."""
    last = {name: variable.values[-1] for name, variable in run.recorder.group("heads").data_vars.items()}
    run.recorder.append("heads", step, last | {
        name: np.broadcast_to(np.asarray(size, np.float32), (3, 4)) for name, size in sizes.items()})


# All heads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["qk_max", "qk_std", "query_norm", "key_norm"])
def test_sizes_are_coloured_by_their_ratio(run, measure):
    columns = views.qk_scores.columns(run, pinned(run, measure))
    np.testing.assert_allclose(columns["map"]["level"], np.log10(heads_of(run, measure)[-1]), atol=1e-6)
    low, high = (columns["scale"][name][0] for name in ("low", "high"))
    recorded = heads_of(run, measure)
    assert low <= np.log10(recorded[recorded > 0].min())
    assert high >= np.log10(recorded.max())


def test_means_are_coloured_to_both_sides_of_nothing(run):
    with_heads(run, 20, qk_mean=np.linspace(-2.6, 1, 12).reshape(3, 4))
    columns = views.qk_scores.columns(run, pinned(run, "qk_mean"))
    np.testing.assert_allclose(columns["map"]["level"], heads_of(run, "qk_mean")[-1])
    assert (columns["scale"]["low"][0], columns["scale"]["high"][0]) == (-4, 4)
    assert columns["on_card"]["words"][0] == "−2.60"


def test_the_largest_is_found_and_named(run):
    sizes = np.ones((3, 4))
    sizes[2, 1] = 3825
    with_heads(run, 20, qk_max=sizes)
    columns = views.qk_scores.columns(run, pinned(run))
    assert views.qk_scores.note(columns) == "Largest score: highest in layer 2, head 1, with 3,825."
    with_heads(run, 25, qk_max=np.nan)
    assert views.qk_scores.note(views.qk_scores.columns(run, pinned(run))) == "The scores are no longer finite."


def test_every_measure_can_be_chosen_in_words(run):
    assert set(QK_MEASURE_WORDS) == set(QK_MEASURES) == {value for value, _ in PARTS["qk_measure"].options(run)}


# Through time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("measure", "over_heads"), [("qk_max", np.max), ("qk_std", np.mean), ("qk_mean", np.mean)])
def test_a_layers_line_is_that_of_its_heads(run, measure, over_heads):
    run.recorder.append("heads", 20, {
        name: variable.values[-1] * np.arange(1, 13, dtype=np.float32).reshape(3, 4)
        for name, variable in run.recorder.group("heads").data_vars.items()})
    columns = views.qk_history.columns(run, pinned(run, measure, layer=1, head=2))
    sizes, steps = heads_of(run, measure), run.recorder.group("heads")["step"].values
    lines = columns["lines"]
    for layer in range(3):
        mine = lines["layer"] == layer
        drawn = dict(zip(lines["step"][mine], lines["size"][mine], strict=True))
        drawn |= dict(zip(lines["end"][mine], lines["top"][mine], strict=True))
        assert drawn == pytest.approx(dict(zip(steps, over_heads(sizes[:, layer], axis=1), strict=True)))
    np.testing.assert_allclose(columns["chosen"]["size"], sizes[:, 1, 2])
    assert views.qk_history.note(columns) == (
        f"Layer 1, head 2: {QK_MEASURE_WORDS[measure]} {short(sizes[0, 1, 2])} at step 0, now {short(sizes[-1, 1, 2])}.")


def test_a_tap_chooses_the_nearest_layer(run):
    with_heads(run, 20, qk_max=np.array([[1.0], [10.0], [20.0]]))
    columns = views.qk_history.columns(run, pinned(run, layer=0, head=0))
    assert views.qk_history.pick(columns, 19.9, 11.0) == {"layer": 1}
    assert views.qk_history.pick(columns, 19.9, 19.0) == {"layer": 2}
    assert views.qk_history.pick(columns, 25.0, 19.0) is None


def test_a_line_that_broke_ends_where_it_did(run):
    with_heads(run, 20, qk_max=np.inf, qk_mean=np.array([[np.inf, -np.inf, 0, 0]]))
    for measure in ("qk_max", "qk_mean"):
        columns = views.qk_history.columns(run, pinned(run, measure, layer=1, head=0))
        assert columns["chosen"]["step"][-1] == 15
        assert np.isfinite(views.qk_history.limits(columns)).all()
        assert views.qk_history.note(columns) == ""


def test_the_ghosts_head_is_followed_where_it_has_one(run):
    ghost = fake_run(layers=3, heads=2, positions=16, records=6, seed=1)
    columns = views.qk_history.columns(run, pinned(run, layer=1, head=1), ghost)
    np.testing.assert_allclose(columns["ghost"]["size"], heads_of(ghost, "qk_max")[:, 1, 1])
    assert not len(views.qk_history.columns(run, pinned(run, layer=1, head=3), ghost)["ghost"]["size"])


def test_hundreds_of_looks_are_drawn_as_few_pieces():
    run = fake_run(layers=2, heads=2, positions=4, records=1)
    plot = LivePlot(views.qk_history, SimpleNamespace(run=run, ghost=None, selection=Selection()))
    figure, count = plot.figure, len(plot.columns["lines"]["step"])
    for record in range(1, 150):
        add_record(run, np.random.default_rng(record), record)
    plot.refresh()
    assert plot.figure is figure
    assert len(plot.columns["lines"]["step"]) == count
    assert plot.columns["lines"]["end"].max() == 5 * 149
    assert_shows_columns(plot)


# Lengths -------------------------------------------------------------------------------------------------------------


def test_each_head_has_its_place_in_its_layer(run):
    columns = views.qk_lengths.columns(run, pinned(run, layer=2, head=1))
    for part, measure in {"queries": "query_norm", "keys": "key_norm"}.items():
        table = columns[part]
        for place, length, layer, head in zip(*(table[name] for name in ("place", "length", "layer", "head")), strict=True):
            assert length == heads_of(run, measure)[-1][layer, head]
            assert views.qk_lengths.pick(columns, place, 0.5) == {"layer": layer, "head": head}
        assert len(table["length"]) == 12
    assert columns["chosen"]["left"][0] < columns["queries"]["place"][9] < columns["chosen"]["right"][0]
    queries, keys = (heads_of(run, name)[-1][2, 1] for name in ("query_norm", "key_norm"))
    assert views.qk_lengths.note(columns) == f"Layer 2, head 1: queries are {queries:.2f} long, keys {keys:.2f}."
    assert views.qk_lengths.pick(columns, 2.9, 0.5) is None


def test_of_a_ghost_of_another_shape_only_heads_that_both_have_are_shown(run):
    ghost = fake_run(layers=5, heads=2, positions=16, records=4, seed=1)
    columns = views.qk_lengths.columns(run, pinned(run, layer=0, head=0), ghost)
    np.testing.assert_allclose(columns["ghost_queries"]["length"], heads_of(ghost, "query_norm")[-1][:3].ravel())
    assert set(columns["ghost_queries"]["place"]) <= set(columns["queries"]["place"])


# Distance ------------------------------------------------------------------------------------------------------------


def logit_distance(run):
    """Head h of layer l likes what is h characters back: its score falls by 1 for each character away from there."""
    layers, heads = (len(run.recorder.coordinates[name]) for name in ("layer", "head"))
    away = np.abs(np.arange(12) - np.arange(heads)[:, None])
    mean = 3.0 - away + 10 * np.arange(layers)[:, None, None]
    dims = ("layer", "head", "distance")
    return xr.Dataset(
        {"mean": (dims, mean), "std": (dims, np.full(mean.shape, 0.5)), "count": ("distance", np.arange(12, 0, -1))},
        attrs={"windows": 1, "length": 12})


@pytest.fixture
def session(run, monkeypatch):
    monkeypatch.setitem(MAKERS, "logit_distance", logit_distance)
    run.analyse = lambda name, **options: analyse(run, name, **options)
    return SimpleNamespace(run=run, ghost=None, selection=pinned(run, layer=1, head=2))


def measured(session, of=None):
    for name, options in needs(session.run, session.selection).items():
        analyse(of or session.run, name, **options)
    return views.qk_distance.columns(session.run, session.selection, session.ghost)


def test_until_it_is_measured_nothing_is_drawn(session):
    columns = views.qk_distance.columns(session.run, session.selection)
    assert all(not len(column) for part in views.qk_distance.drawn(columns) for column in columns[part].values())
    assert views.qk_distance.note(columns) == MEASURING
    assert np.isfinite(views.qk_distance.limits(columns)).all()


def test_the_line_is_the_chosen_heads_mean_and_the_band_its_spread(session):
    columns = measured(session)
    expected = 13.0 - np.abs(np.arange(12) - 2)
    np.testing.assert_array_equal(columns["chosen"]["score"], expected)
    np.testing.assert_array_equal(columns["chosen"]["distance"], np.arange(12))
    np.testing.assert_array_equal(columns["band"]["bottom"], expected - 0.5)
    np.testing.assert_array_equal(columns["band"]["top"], expected + 0.5)
    assert set(columns["others"]["head"]) == {0, 1, 3}
    np.testing.assert_array_equal(
        columns["others"]["score"][columns["others"]["head"] == 3], (13.0 - np.abs(np.arange(12) - 3))[:-1])
    assert views.qk_distance.note(columns) == (
        "Layer 1, head 2 matches best with 2 characters back: 13.0 on average, against 10.0 at 5.")


def test_what_was_measured_is_written_into_the_drawn_figure(session):
    session.ghost = fake_run(layers=2, heads=3, positions=12, records=2)
    plot = LivePlot(views.qk_distance, session)
    figure = plot.figure
    measured(session)
    measured(session, of=session.ghost)
    plot.refresh()
    assert plot.figure is figure
    assert len(plot.columns["ghost"]["score"]) == 12
    assert_shows_columns(plot)
    session.selection.choose(session.run, head=3)  # which the ghost has not
    plot.refresh()
    assert plot.figure is figure
    assert not len(plot.columns["ghost"]["score"])
    assert_shows_columns(plot)


def test_what_a_broken_model_does_is_said(session):
    columns = measured(session)
    found = session.run.analyses["logit_distance"]
    session.run.analyses["logit_distance"] = found.assign(mean=found["mean"] * np.nan)
    columns = views.qk_distance.columns(session.run, session.selection)
    assert views.qk_distance.note(columns) == "The scores are no longer finite."
    assert np.isfinite(views.qk_distance.limits(columns)).all()


def test_looking_back_says_of_which_step_it_is(session):
    measured(session)
    session.selection.step = 5
    assert views.qk_distance.note(views.qk_distance.columns(session.run, session.selection)).startswith(
        "Measured at step 15; past steps were not kept. Layer 1, head 2 ")


def test_a_real_run_is_measured_as_the_view_needs_it():
    run = LiveRun(Experiment(
        architecture=Architecture(num_layers=2, hidden_dim=16, num_heads=2),
        training=Training(batch_size=2, seq_len=16, executor="serial", shards=1), corpus="stories"))
    selection = pinned(run, layer=1, head=1)
    for name, options in views.qk_distance.needs(run, selection).items():
        run.analyse(name, **options)
    columns = views.qk_distance.columns(run, selection)
    np.testing.assert_allclose(columns["chosen"]["score"], run.analyses["logit_distance"]["mean"][1, 1])
    assert "on average" in views.qk_distance.note(columns)
