"""Axes serve the run on show: a ghost whose numbers run far off is cut at the edge, and it is said where it goes."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.fakes import add_record, fake_run
from tlab_dash.live import LivePlot
from tlab_dash.selection import Selection
from tlab_dash.views import VIEWS, layer_statistics, loss, qk, signal
from tlab_dash.views.reach import widened

SHARES = ("head_history", "unit_shares")  # they are between 0 and 1, whatever becomes of a run
ALL = [view for _, view in VIEWS.items()]
TWO_RUNS = [view for view in ALL if view.ghosts]
FAR = 1e9  # times


@pytest.fixture
def run():
    return fake_run(layers=3, heads=4, positions=16, records=4)


@pytest.fixture
def ghost():
    return fake_run(layers=3, heads=4, positions=16, records=4, seed=3)


def add(ghost, group, variable, changed):
    """Append a record with one variable changed, where the run is going to be looked at."""
    last = {name: found.values[-1] for name, found in ghost.recorder.group(group).data_vars.items() if "step" in found.dims}
    ghost.recorder.append(group, ghost.step + 5, last | {variable: changed(last[variable])})


def read(view, run, ghost=None):
    """The columns of a view once everything that it needs is measured."""
    for one in filter(None, (run, ghost)):
        for name, options in (view.needs(one, Selection()) if view.needs else {}).items():
            one.analyse(name, **options)
    return view.columns(run, Selection(), ghost)


def sent_off(view, columns, times=FAR):
    """The same columns with the ghost's numbers so many times as large."""
    moved = dict(columns)
    for part, names in view.ghosts.items():
        moved[part] = dict(columns[part]) | {name: times * columns[part][name] for name in names.values()}
    return moved


def stretch(axis, log):
    low, high = np.log10(sorted(axis)) if log else sorted(axis)
    return high - low


def test_every_view_with_a_ghost_in_it_says_where_its_values_lie(run, ghost):
    for view in ALL:
        drawn = [part for part in view.drawn(read(view, run, ghost)) if part.startswith("ghost")]
        if drawn and view.name not in SHARES:
            assert view.ghosts.keys() <= set(drawn), view.name
            assert view.ghosts, view.name


@pytest.mark.parametrize("view", TWO_RUNS, ids=lambda view: view.name)
def test_a_ghost_far_off_leaves_the_run_a_third_of_the_axis_and_it_is_said(view, run, ghost):
    alone, both = read(view, run), read(view, run, ghost)
    assert view.axes(alone) == view.limits(alone)
    assert view.remark(alone) == view.warning(alone)
    moved = sent_off(view, both)
    assert view.limits(moved) == view.limits(alone)
    for axis, own, shown in zip("xy", view.limits(alone), view.axes(moved), strict=True):
        assert stretch(shown, axis in view.log(moved)) <= 3.001 * stretch(own, axis in view.log(moved))
    # One says it in values, where it draws bins; the other draws what one has defined, which these runs have nothing of.
    if view.name not in ("spread", "own_statistic"):
        assert view.remark(moved).startswith("ghost ")
        assert view.remark(moved).endswith(", off this scale")


@pytest.mark.parametrize("view", TWO_RUNS, ids=lambda view: view.name)
def test_all_of_a_ghost_like_the_run_is_to_be_seen(view, run):
    both = read(view, run, run)
    assert view.remark(both) == view.warning(both)


def test_what_is_cut_is_said_above_the_picture_and_goes_with_the_ghost(run, ghost):
    add_record(run, np.random.default_rng(0), record=4)
    session = SimpleNamespace(run=run, ghost=None, selection=Selection())
    plot = LivePlot(signal, session)
    assert plot.figure.title.text == ""
    add(ghost, "residual", "rms", lambda rms: 1e9 * rms)
    session.ghost = ghost
    plot.refresh()
    assert plot.figure.title.text.startswith("ghost up to ")
    assert plot.figure.y_range.end < 1e4
    session.ghost = None
    plot.refresh()
    assert plot.figure.title.text == ""


def test_the_spread_names_values_and_not_bins(run, ghost):
    view = VIEWS.get("spread")
    add_record(run, np.random.default_rng(0), record=4)
    add(ghost, "layers", "rms", lambda rms: np.full_like(rms, 1e7))
    assert view.remark(read(view, run, ghost)) == "ghost up to 1e7, off this scale"


def test_a_ghost_far_off_does_not_coarsen_the_bars(run, ghost):
    """Bars are as wide as the scores of the run ask for, however far the ghost's lie."""
    add_record(run, np.random.default_rng(0), record=4)
    add(ghost, "qk_histograms", "count", lambda count: np.flip(np.sort(count), axis=-1))
    alone, both = read(qk, run), read(qk, run, ghost)
    for edge in ("left", "right", "top"):
        np.testing.assert_array_equal(alone["bars"][edge], both["bars"][edge])
    assert qk.remark(both).startswith("ghost ")


def test_a_broken_ghost_is_no_reason_for_an_axis():
    assert widened((0, 1), np.array([np.nan, np.inf])) == (0, 1)
    assert widened((0.1, 1), np.array([0.0, -1.0]), log=True) == (0.1, 1)


@pytest.mark.parametrize(("last", "axis"), [(19, (0, 19.6)), (30, (0, 10)), (3e12, (0, 10))])
def test_an_axis_that_can_not_hold_the_ghost_is_not_made_longer_for_it(last, axis):
    assert widened((0, 10), np.array([0, last])) == pytest.approx(axis)


def test_the_loss_and_the_inside_of_a_layer_stand_for_both_kinds_of_axes():
    assert (loss.log({"axis": {"log": [True]}}), loss.log({"axis": {"log": [False]}})) == ("y", "")
    assert layer_statistics.log({}) == "x"
