"""A view can't tell a saved run from a live one."""

import numpy as np
import pytest

from tests.core.saved_runs import tiny_experiment
from tlab_core import LiveRun
from tlab_core.runs import RunError, RunStore
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
@pytest.mark.parametrize("name", [name for name, _ in VIEWS.items()])
def test_a_view_draws_the_same_of_both(runs, name, selection):
    view, selected = VIEWS.get(name), Selection(**selection)
    for run in runs:
        view.measure(run, selected)  # of a saved run too: its model is in the folder
    live, saved = (view.columns(run, selected, run) for run in runs)
    if view.needs is not None and name != "own_statistic":
        assert any(len(column) for part in view.drawn(saved) for column in saved[part].values())
    assert live.keys() == saved.keys()
    for part, table in live.items():
        assert table.keys() == saved[part].keys()
        for column, values in table.items():
            has_nan = np.asarray(values).dtype.kind == "f"
            assert np.array_equal(values, saved[part][column], equal_nan=has_nan), (part, column)


def test_to_measure_a_saved_run_writes_nothing_and_needs_its_text(runs, tmp_path):
    experiment = tiny_experiment(tmp_path)
    store = RunStore(tmp_path / "runs")
    run = LiveRun(experiment)
    with store.create(run, "it"):
        run.advance(steps=3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    assert store.open("it").analyse("weights", parameter="token_embedding.weight").attrs["step"] == 3
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before
    (tmp_path / "story.txt").unlink()
    with pytest.raises(RunError, match="can't go on"):
        store.open("it").analyse("weights", parameter="token_embedding.weight")
