"""Signal and gradient by depth: what is shown against a plain transcription of the history."""

import holoviews as hv
import numpy as np
import pytest

from tests.dash.fakes import fake_run
from tlab_core.bins import ACTIVATION_BINS
from tlab_core.schema import SITES
from tlab_dash import views
from tlab_dash.selection import MEASURES, Selection
from tlab_dash.views import heat
from tlab_dash.views.spread import place


@pytest.fixture
def run():
    return fake_run(layers=3, heads=2, positions=12, records=4)


def pinned(**chosen):
    return Selection(pinned=True, **chosen)


# Every place ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
def test_every_place_shows_the_chosen_measure(run, measure):
    columns = views.signal_places.columns(run, pinned(layer=1, measure=measure))
    inside, stream = run.recorder.group("layers").isel(step=-1), run.recorder.group("residual").isel(step=-1)
    np.testing.assert_array_equal(columns["stream"]["size"], stream[measure])
    np.testing.assert_array_equal(columns["attention"]["size"], inside[measure].sel(site="attention"))
    np.testing.assert_array_equal(columns["feed_forward"]["size"], inside[measure].sel(site="mlp"))
    np.testing.assert_array_equal(columns["norm"]["size"], inside[measure].sel(site=["norm1", "norm2"]).values.ravel())
    assert (np.diff(columns["norm"]["depth"]) > 0).all()
    hv.render(views.signal_places(run, pinned(measure=measure)), backend="bokeh")


def test_places_lie_between_the_points_of_the_stream_that_they_stand_between(run):
    columns = views.signal_places.columns(run, pinned(layer=1))
    np.testing.assert_array_equal(columns["stream"]["depth"], np.arange(7))
    assert np.floor(columns["attention"]["depth"]).tolist() == [0, 2, 4]
    assert np.floor(columns["feed_forward"]["depth"]).tolist() == [1, 3, 5]
    for part in ("attention", "feed_forward", "norm"):
        for depth in columns[part]["depth"]:
            assert views.signal_places.pick(columns, depth, 1.0) == {"layer": int(depth // 2)}
    assert views.signal_places.pick(columns, -0.3, 1.0) is None


def test_places_that_are_not_there_are_not_shown():
    sandwich = views.signal_places.columns(fake_run(layers=2, records=1, residual_type="Sandwich"), Selection())
    assert len(sandwich["norm"]["size"]) == 8
    # On the road, a norm's output is the stream itself.
    post = views.signal_places.columns(fake_run(layers=2, records=1, residual_type="Post-LN"), Selection())
    assert not len(post["norm"]["size"])


def test_means_have_an_even_axis_with_0_in_its_middle(run):
    columns = views.signal_places.columns(run, pinned(measure="mean"))
    bottom, top = views.signal_places.limits(columns)[1]
    assert bottom == -top < 0
    figure = hv.render(views.signal_places(run, pinned(measure="mean")), backend="bokeh")
    assert type(figure.y_scale).__name__ == "LinearScale"


def test_the_ghost_is_shown_at_the_same_step(run):
    ghost = fake_run(layers=2, heads=2, positions=12, records=9, seed=2)
    columns = views.signal_places.columns(run, pinned(), ghost)
    np.testing.assert_array_equal(columns["ghost"]["size"], ghost.recorder.group("residual")["rms"].sel(step=run.step))
    assert len(columns["ghost_places"]["size"]) == 2 * 4  # two norms, attention and feed-forward in each layer


def test_gradient_places_show_the_gradient(run):
    columns = views.gradient_places.columns(run, pinned(measure="max"))
    np.testing.assert_array_equal(columns["stream"]["size"], run.recorder.group("residual")["gradient_rms"][-1])
    np.testing.assert_array_equal(
        columns["attention"]["size"], run.recorder.group("layers")["gradient_rms"][-1].sel(site="attention"))


# Spread and units ----------------------------------------------------------------------------------------------------


def test_the_spread_is_each_layers_share_of_numbers_in_a_bin(run):
    columns = views.spread.columns(run, pinned(layer=2, site="mlp"))
    counts = run.recorder.group("histograms")["activation"].isel(step=-1).sel(site="mlp").values
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    level = columns["map"][heat.LEVEL]
    np.testing.assert_allclose(10 ** level[counts > 0], shares[counts > 0], rtol=1e-5)
    assert np.isnan(level[counts == 0]).all()
    assert columns["map"]["bin"][[0, 50, 100]].tolist() == [-50, 0, 50]
    (left, right), (bottom, top) = views.spread.limits(columns)
    furthest = np.abs(columns["map"]["bin"][counts.any(axis=0)]).max()
    assert right == -left > furthest
    assert (bottom, top) == (2.5, -0.5)
    assert views.spread.pick(columns, 0.0, 1.4) == {"layer": 1}
    assert views.spread.pick(columns, 0.0, 2.6) is None


@pytest.mark.parametrize("value", [-999, -3.3, -0.02, 0, 0.4, 7, 512])
def test_a_value_lies_in_its_bin(value):
    bins = ACTIVATION_BINS
    inside = int(np.flatnonzero((bins.left <= value) & (value < bins.right))[0])
    assert int(np.round(place(value))) == inside - 50


def test_rings_stand_where_the_rms_is(run):
    columns = views.spread.columns(run, pinned(site="norm1"), fake_run(layers=2, records=9))
    rms = run.recorder.group("layers")["rms"].isel(step=-1).sel(site="norm1")
    np.testing.assert_allclose(columns["rms"]["bin"], place(rms.values))
    assert columns["ghost"]["layer"].tolist() == [0, 1]


def test_a_place_that_is_not_there_has_an_empty_picture(run):
    run.recorder.append("histograms", 40, {
        name: np.zeros((3, len(SITES), 101), np.int32) for name in ("activation", "gradient")})
    columns = views.spread.columns(run, pinned())
    assert np.isnan(columns["map"][heat.LEVEL]).all()
    assert np.isfinite(views.spread.limits(columns)).all()


def test_dead_and_saturated_units_by_layer(run):
    columns = views.unit_shares.columns(run, pinned())
    layers = run.recorder.group("layers").isel(step=-1)
    np.testing.assert_array_equal(columns["dead"]["share"], layers["dead_share"])
    np.testing.assert_array_equal(columns["saturated"]["share"], layers["saturated_share"])
    assert views.unit_shares.note(columns) == "Layer 2 has most dead units: 12.0%."
    columns["dead"]["share"][:] = 0
    assert views.unit_shares.note(columns) == "No unit is dead."
    columns["dead"]["share"][:] = np.nan
    assert views.unit_shares.note(columns) == ""
    assert views.unit_shares.pick(columns, 1.3, 0) == {"layer": 1}


# Gradient through time -----------------------------------------------------------------------------------------------


def test_the_gradients_picture_has_each_record_from_its_step_to_the_next(run):
    columns = views.gradient_flow.columns(run, pinned(layer=1))
    recorded = run.recorder.group("residual")["gradient_rms"]  # at steps 0, 5, 10, 15
    steps, level = columns["map"]["step"], columns["map"][heat.LEVEL]
    np.testing.assert_array_equal(steps, np.arange(16))
    for column, step in enumerate(steps):
        np.testing.assert_allclose(10 ** level[:, column], recorded.sel(step=step, method="ffill"), rtol=1e-5)
    assert (columns["chosen"]["bottom"][0], columns["chosen"]["top"][0]) == (2.5, 4.5)
    assert views.gradient_flow.pick(columns, 3.0, 3.2) == {"layer": 1}
    assert views.gradient_flow.pick(columns, 3.0, 0.1) is None


def test_a_long_run_has_a_bounded_number_of_columns():
    run = fake_run(layers=1, heads=1, positions=4, records=400)
    columns = views.gradient_flow.columns(run, Selection())
    assert columns["map"][heat.LEVEL].shape == (3, heat.MOST_COLUMNS)
    assert columns["map"]["step"][-1] == run.step
    assert (np.diff(columns["map"]["step"]).round(9) == round(run.step / (heat.MOST_COLUMNS - 1), 9)).all()


def test_before_training_the_picture_is_one_step_wide():
    columns = views.gradient_flow.columns(fake_run(layers=1, records=1), Selection())
    assert columns["map"]["step"].tolist() == [0]
    (left, right), _ = views.gradient_flow.limits(columns)
    assert left == -0.5 < 0.5 < right


def test_one_place_of_each_layer_through_time(run):
    columns = views.gradient_sites.columns(run, pinned(layer=2, site="k"))
    recorded = run.recorder.group("layers")["gradient_rms"].sel(site="k")
    np.testing.assert_allclose(10 ** columns["map"][heat.LEVEL][:, -1], recorded[-1], rtol=1e-5)
    assert views.gradient_sites.pick(columns, 3.0, 2.2) == {"layer": 2}
    assert columns["site"]["words"].tolist() == ["keys"]


@pytest.mark.parametrize(("sizes", "ends"), [
    ([0.02, 0.5], (-2, 0)), ([0.04, 0.2], (-1.5, -0.5)), ([0.2], (-1, -0.5)), ([1e-12, 1.0], (-5, 0)),
    ([np.nan, 0.0, np.inf], (-1, 0)), ([0.5, np.inf], (-0.5, 0)),
])
def test_the_ends_of_the_colours_are_half_decades_around_all_sizes(sizes, ends):
    found = heat.ends(np.array(sizes))
    assert (found["low"][0], found["high"][0]) == pytest.approx((min(ends[0], ends[1] - 1), ends[1]))


def test_what_has_no_logarithm_is_not_drawn():
    np.testing.assert_array_equal(heat.logs(np.array([[10.0, 0.0], [-1.0, np.inf]])), [[1.0, np.nan], [np.nan, np.nan]])


def test_the_ratio_is_last_by_first(run):
    recorded = run.recorder.group("residual")["gradient_rms"]
    columns = views.gradient_ratio.columns(run, Selection())
    np.testing.assert_allclose(columns["ratio"]["ratio"], recorded[:, -1] / recorded[:, 0])
    assert views.gradient_ratio.note(columns) == "Gradient at the first layer is 3.0× that at the last."


@pytest.mark.parametrize(("ends", "words"), [
    ((1e-3, 4.2e-3), "Gradient at the last layer is 4.2× that at the first."),
    ((1e-3, 1.05e-3), "The gradient is as strong at the first layer as at the last."),
    ((2.0, 1e-3), "Gradient at the first layer is 2,000× that at the last."),
    ((np.nan, 1.0), ""), ((0.0, 1.0), ""), ((np.inf, 1.0), ""),
])
def test_the_ratio_in_words(run, ends, words):
    gradient = np.full(7, 1e-3)
    gradient[[0, -1]] = ends
    record = {name: np.ones(7) for name in run.recorder.group("residual").data_vars}
    run.recorder.append("residual", 20, record | {"gradient_rms": gradient})
    columns = views.gradient_ratio.columns(run, Selection())
    assert views.gradient_ratio.note(columns) == words
    assert np.isfinite(views.gradient_ratio.limits(columns)).all()
    earlier = views.gradient_ratio.columns(run, Selection(step=15))
    assert views.gradient_ratio.note(earlier) == "Gradient at the first layer is 3.0× that at the last."
