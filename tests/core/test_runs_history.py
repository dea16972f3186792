"""The history on the disk: what is appended comes back, in whatever pieces it is asked for."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

from tlab_core.history import History, HistoryError
from tlab_core.runs import RunError
from tlab_core.runs.history_file import HistoryFile, StoredArray
from tlab_core.runs.saved import SavedHistory
from tlab_core.schema import GROUPS, coordinates

COORDINATES = coordinates(num_layers=2, num_heads=3, vocab_size=9, parameters=["a.weight", "β.bias"], probe_length=20)
DICE = np.random.default_rng(0)


def columns(group: str, steps) -> dict[str, np.ndarray]:
    """Return records at these steps, of numbers that differ everywhere."""
    made = {"step": np.asarray(steps)}
    for name, spec in GROUPS[group].variables.items():
        shape = (len(made["step"]), *(len(COORDINATES[dim]) for dim in spec.dims))
        made[name] = DICE.integers(-1000, 1000, shape).astype(spec.dtype)
    return made


def append_all(file: HistoryFile, group: str, *parts: dict[str, np.ndarray]) -> None:
    for part in parts:
        file.append(group, part)
        file.settle(file.records | {group: file.records[group] + len(part["step"])})


@pytest.fixture
def file(tmp_path):
    return HistoryFile.create(tmp_path / "history.zarr", COORDINATES, {"schema": 1, "seed": 3})


def test_records_come_back_whatever_the_pieces_in_which_they_were_written(file):
    sizes = [1, 4095, 1, 3, 5000, 2]  # chunks of a curve hold 4,096 records
    bounds = np.cumsum([0, *sizes])
    written = columns("train", range(1, bounds[-1] + 1))
    append_all(file, "train", *({name: values[low:high] for name, values in written.items()}
                                for low, high in pairwise(bounds)))
    file.sync()
    group = SavedHistory(file.path, file.records).group("train")
    for name, values in written.items():
        assert np.array_equal(group[name].values, values), name
    assert SavedHistory(file.path, file.records).last_step("train") == bounds[-1]


@pytest.mark.parametrize("closed", [False, True])
def test_a_file_opened_again_goes_on_behind_what_counts(file, closed):
    first, lost, second = columns("probe", range(5)), columns("probe", range(5, 9)), columns("probe", range(7, 10))
    append_all(file, "probe", first)
    file.append("probe", lost)  # never counted: as a killed process leaves it
    if closed:
        file.trim()
    again = HistoryFile(file.path, file.records)
    append_all(again, "probe", second)
    group = SavedHistory(again.path, again.records).group("probe")
    for name, values in first.items():
        assert np.array_equal(group[name].values, np.concatenate([values, second[name]])), name


def test_writing_once_more_after_an_error_loses_nothing(file, monkeypatch):
    first, second = columns("train", range(4000)), columns("train", range(4000, 9000))
    append_all(file, "train", first)
    from tlab_core.runs import history_file

    real, allowed = history_file.write_whole, [9]

    def refusing(path, data):
        allowed[0] -= 1
        if allowed[0] < 0:
            raise OSError(28, "No space left on device", str(path))
        real(path, data)

    monkeypatch.setattr(history_file, "write_whole", refusing)
    with pytest.raises(OSError, match="No space left"):
        file.append("train", second)
    monkeypatch.setattr(history_file, "write_whole", real)
    group = SavedHistory(file.path, file.records).group("train")
    assert np.array_equal(group["loss"].values, first["loss"])
    append_all(file, "train", second)
    group = SavedHistory(file.path, file.records).group("train")
    assert np.array_equal(group["loss"].values, np.concatenate([first["loss"], second["loss"]]))


@pytest.mark.parametrize("key", [
    (5,), (-1,), (slice(None),), (slice(3, 70, 7),), (slice(None, None, -1),), (slice(5, 5),), (np.array([70, 2, 2]),),
    (3, 1), (slice(60, None), slice(None), 2), (slice(2, 5), 1, slice(0, 2), slice(None, None, 5), 4),
    (7, slice(None), 0, np.array([3, 1]), slice(1, 3)), (slice(0, 9), 0, 0, slice(None), 19),
], ids=str)  # fmt: skip
def test_lazy_reading_is_that_of_an_array_in_memory(file, key):
    written = columns("attention", range(80))
    append_all(file, "attention", written)
    lazy = SavedHistory(file.path, file.records).group("attention").variables["weight"]
    expected = xr.Variable(lazy.dims, written["weight"])[key]
    assert lazy[key].dims == expected.dims
    assert np.array_equal(lazy[key].values, expected.values)
    assert np.array_equal(lazy[key].values, expected.values)  # once more, from what was kept


def test_rows_taken_by_label_are_those_of_the_record(file):
    written = columns("heads", range(0, 300, 10))
    append_all(file, "heads", written)
    tree = SavedHistory(file.path, file.records).tree
    chosen = tree["heads"]["entropy"].sel(step=123, method="nearest").isel(layer=1, head=2)
    assert chosen.item() == written["entropy"][12, 1, 2]
    assert tree.attrs == {"schema": 1, "seed": 3}
    assert list(tree["parameters"]["parameter"].values) == ["a.weight", "β.bias"]


def test_looking_at_some_records_holds_little_memory(file):
    written = columns("histograms", range(200))
    for first in range(0, 2000, 200):
        append_all(file, "histograms", written | {"step": written["step"] + first})
    lazy = SavedHistory(file.path, file.records).group("histograms").variables["activation"]
    lazy[0].values  # noqa: B018 (what is loaded once)
    tracemalloc.start()
    for index in range(0, 2000, 50):
        lazy[index].values  # noqa: B018
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lazy.nbytes > 15_000_000
    assert held < 5_000_000


def test_unknown_groups_are_refused_as_a_live_history_does(file):
    with pytest.raises(HistoryError, match="unknown group 'trian'.*Did you mean 'train'"):
        SavedHistory(file.path, file.records).group("trian")


def test_an_array_of_another_kind_is_refused(file):
    with pytest.raises(RunError, match="holds float32 .* expected int32"):
        StoredArray(file.path / "probe" / "loss", GROUPS["probe"].variables["token"], (20,), 0)


# ---- the live history's side


def small_history() -> History:
    return History(COORDINATES, keep=8)


def test_who_subscribes_hears_of_each_record_that_was_kept():
    history, heard = small_history(), []
    listener = lambda group, record: heard.append((group, record["step"], record["loss"]))  # noqa: E731
    history.subscribe(listener)
    history.append("validation", 3, {"loss": 1.5})
    with pytest.raises(HistoryError):
        history.append("validation", 3, {"loss": 1.5})
    history.unsubscribe(listener)
    history.append("validation", 4, {"loss": 1.5})
    assert heard == [("validation", 3, 1.5)]


@pytest.mark.parametrize("total", [0, 1, 8, 9, 50])
@pytest.mark.parametrize("group", ["attention", "probe"])
def test_a_restored_history_is_that_of_one_who_was_there_all_along(group, total):
    written, more = columns(group, range(total)), columns(group, range(total, total + 30))
    straight, restored = small_history(), small_history()

    def append(history, part):
        for index, step in enumerate(part["step"]):
            history.append(group, int(step), {name: values[index] for name, values in part.items() if name != "step"})

    append(straight, written)
    restored.restore(group, total, lambda places: {name: values[places] for name, values in written.items()})
    assert restored.group(group).identical(straight.group(group))
    append(straight, more)
    append(restored, more)
    assert restored.group(group).identical(straight.group(group))
