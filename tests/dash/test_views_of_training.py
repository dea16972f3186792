"""The curves of the training page against a plain transcription of the history."""

import holoviews as hv
import numpy as np
import pytest

from tests.dash.fakes import add_record, fake_run
from tlab_dash import views
from tlab_dash.selection import Selection
from tlab_dash.views.series import WINDOW


@pytest.fixture
def run():
    return fake_run(layers=2, heads=2, positions=8, records=5, every=10)


def of_training(run, variable):
    return run.recorder.group("train")[variable].values


def test_the_learning_rate_is_that_of_each_update(run):
    columns = views.learning_rate.columns(run, Selection(), fake_run(records=2))
    np.testing.assert_array_equal(columns["rate"]["step"], of_training(run, "step"))
    np.testing.assert_array_equal(columns["rate"]["rate"], of_training(run, "learning_rate"))
    assert len(columns["ghost"]["step"]) == 5
    (left, right), (bottom, top) = views.learning_rate.limits(columns)
    assert left <= 0 < 40 <= right
    assert bottom == 0
    assert top > 1e-3


def test_the_step_that_is_looked_back_at_is_marked_in_every_curve(run):
    for view in (
        views.loss, views.learning_rate, views.gradient_norm, views.update_ratio, views.speed, views.gradient_ratio,
        views.weight_history, views.gradient_flow, views.gradient_sites,
    ):
        assert not len(view.columns(run, Selection())["shown"]["step"]), view.name
        assert view.columns(run, Selection(step=20))["shown"]["step"].tolist() == [20], view.name


def test_the_gradients_length_stands_beside_its_clip_line(run):
    run.recorder.append("train", 41, {
        "loss": 1.0, "learning_rate": 1e-3, "grad_norm": 7.0, "tokens": 9 * 10**4, "seconds": 9.0})
    run.experiment.training.grad_clip = 2.5
    columns = views.gradient_norm.columns(run, Selection())
    np.testing.assert_array_equal(columns["each"]["norm"], [1.0] * 40 + [7.0])
    assert columns["average"]["norm"][-1] == pytest.approx((9 * 1.0 + 7.0) / 10)
    assert columns["level"]["norm"].tolist() == columns["level"]["height"].tolist() == [2.5]
    assert columns["level_name"]["words"].tolist() == ["cut to 2.5 above this"]
    bottom, top = views.gradient_norm.limits(columns)[1]
    assert 0 < bottom < 1 < 7 < top
    assert views.gradient_norm.note(columns) == "Above the line in 1 of the last 41 steps."


def test_a_length_that_is_not_finite_is_above_the_line_and_off_the_axis(run):
    run.recorder.append("train", 41, {
        "loss": np.inf, "learning_rate": 1e-3, "grad_norm": np.nan, "tokens": 9 * 10**4, "seconds": 9.0})
    columns = views.gradient_norm.columns(run, Selection())
    assert views.gradient_norm.note(columns) == "Above the line in 1 of the last 41 steps."
    assert np.isfinite(views.gradient_norm.limits(columns)).all()


def test_without_clipping_there_is_no_line(run):
    run.experiment.training.grad_clip = None
    columns = views.gradient_norm.columns(run, Selection())
    assert not len(columns["level"]["norm"])
    assert views.gradient_norm.note(columns) == ""


def test_the_update_ratio_is_over_matrices_only(run):
    ratio = run.recorder.group("parameters")["update_ratio"]
    ends = ("qkv.weight", "down.weight", "embedding.weight")
    matrices = [name for name in ratio["parameter"].values if name.endswith(ends)]
    assert len(matrices) == 5  # two in each of two layers, and the table
    expected = ratio.sel(parameter=matrices)[1:]  # at step 0 there was no update
    columns = views.update_ratio.columns(run, Selection())
    np.testing.assert_array_equal(columns["median"]["step"], [10, 20, 30, 40])
    np.testing.assert_allclose(columns["median"]["ratio"], expected.median("parameter"))
    np.testing.assert_allclose(columns["smallest"]["ratio"], expected.min("parameter"))
    np.testing.assert_allclose(columns["largest"]["ratio"], expected.max("parameter"))
    assert columns["level"]["ratio"].tolist() == [1e-3]
    last = float(expected[-1].median())
    assert views.update_ratio.note(columns) == f"Median: 1/{1 / last:,.0f} of the weights."


def test_before_training_no_update_has_been_measured():
    columns = views.update_ratio.columns(fake_run(records=1), Selection())
    assert not len(columns["median"]["ratio"])
    assert views.update_ratio.note(columns) == ""


def test_speed_is_tokens_by_seconds_over_the_last_steps():
    run = fake_run(layers=1, heads=1, positions=4, records=1)
    seconds = np.cumsum(np.where(np.arange(60) < 30, 0.01, 0.02))
    for step, passed in enumerate(seconds, start=1):
        run.recorder.append("train", step, {
            "loss": 1.0, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 100 * step, "seconds": passed})
    speed = views.speed.columns(run, Selection())["speed"]["speed"]
    assert speed[0] == pytest.approx(100 / 0.01)
    assert speed[59] == pytest.approx(100 / 0.02)
    for i in (10, 40):
        before = max(i + 1 - WINDOW, 0)
        passed = seconds[i] - (seconds[before - 1] if before else 0)
        assert speed[i] == pytest.approx(100 * (i + 1 - before) / passed)


def test_a_clock_that_stood_still_gives_no_speed():
    run = fake_run(layers=1, heads=1, positions=4, records=1)
    run.recorder.append("train", 1, {"loss": 1.0, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 100, "seconds": 0.0})
    columns = views.speed.columns(run, Selection())
    assert np.isnan(columns["speed"]["speed"]).all()
    assert np.isfinite(views.speed.limits(columns)).all()


def test_a_logarithmic_loss_axis_begins_below_the_lowest_curve():
    run = fake_run(records=60)
    selection = Selection(scale="log", step=100)
    columns = views.loss.columns(run, selection)
    bottom, top = views.loss.limits(columns)[1]
    lowest = min(columns["average"]["loss"].min(), columns["validation"]["loss"].min(), 2.0)
    assert bottom == pytest.approx(0.9 * lowest)
    assert top == views.loss.limits(views.loss.columns(run, Selection()))[1][1]
    assert 0 < columns["shown"]["loss"][0] < bottom
    figure = hv.render(views.loss(run, selection), backend="bokeh")
    assert type(figure.y_scale).__name__ == "LogScale"


def test_choosing_an_axis_or_a_measure_pins_nothing(run):
    selection = Selection()
    selection.choose(run, scale="log")
    selection.choose(run, measure="max")
    assert (selection.scale, selection.measure, selection.pinned) == ("log", "max", False)
    with pytest.raises(ValueError, match="cubic"):
        selection.choose(run, scale="cubic")


def test_another_run_is_looked_at_where_this_one_is(run):
    ghost = fake_run(layers=2, heads=2, positions=8, records=2, seed=3)
    add_record(run, np.random.default_rng(5), 5, 10)
    selection = Selection(site="mlp")
    held = selection.held(run)
    assert held.resolve(ghost)[:2] == selection.resolve(run)[:2]
    assert held.site == "mlp"
    assert not selection.pinned
    pinned = Selection(layer=1, pinned=True)
    assert pinned.held(run) is pinned


@pytest.mark.parametrize("view", [views.learning_rate, views.gradient_norm, views.update_ratio, views.speed],
                         ids=lambda view: view.name)
def test_before_the_first_step_it_is_said_that_the_axes_mean_nothing(view):
    fresh, trained = fake_run(records=1), fake_run(records=8)
    assert view.remark(view.columns(fresh, Selection())) == "No step has been trained yet."
    assert view.remark(view.columns(trained, Selection())) == ""
