"""A view can't tell a saved run from a live one."""

import numpy as np
import pytest

from tests.core.saved_runs import tiny_experiment
from tlab_core import LiveRun
from tlab_core.runs import RunStore
from tlab_dash.selection import Selection
from tlab_dash.views import VIEWS


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    run = LiveRun(tiny_experiment(folder))
    store = RunStore(folder / "runs")
    with store.create(run, "it"):
        run.advance(steps=12)
        run.adjust(learning_rate=0.004)
        run.advance(steps=8)
    return run, store.open("it")


@pytest.mark.parametrize("selection", [{}, {"step": 7, "layer": 0, "head": 1, "position": 3, "pinned": True}], ids=str)
@pytest.mark.parametrize("name", [name for name, view in VIEWS.items() if view.needs is None])
def test_a_view_draws_the_same_of_both(runs, name, selection):
    live, saved = (VIEWS.get(name).columns(run, Selection(**selection), run) for run in runs)
    assert live.keys() == saved.keys()
    for part, table in live.items():
        assert table.keys() == saved[part].keys()
        for column, values in table.items():
            has_nan = np.asarray(values).dtype.kind == "f"
            assert np.array_equal(values, saved[part][column], equal_nan=has_nan), (part, column)


@pytest.mark.parametrize("name", [name for name, view in VIEWS.items() if view.needs is not None])
def test_a_view_that_asks_the_model_says_that_a_saved_run_has_none(runs, name):
    view, (_, saved) = VIEWS.get(name), runs
    assert "saved run" in view.note(view.columns(saved, Selection()))
