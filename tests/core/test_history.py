"""The record of a run: the contract's shape, readers who are left in peace, and bounded memory at a constant cost."""

import itertools
import json
import threading

import numpy as np
import pytest
import xarray as xr

from tlab_core import history as history_module
from tlab_core.bins import ACTIVATION_BINS, GRADIENT_BINS
from tlab_core.history import History, HistoryError, provenance
from tlab_core.schema import GROUPS, SITES, coordinates

SIZES = {"num_layers": 2, "num_heads": 3, "vocab_size": 11, "parameters": ["a.weight", "a.bias"], "probe_length": 7}
THINNED = ["histograms", "qk_histograms", "attention"]

# DESIGN's table, spelled out once more by hand.
DIMENSIONS = {
    "train": {},
    "validation": {},
    "residual": {"depth": 5},
    "layers": {"layer": 2, "site": 11},
    "parameters": {"parameter": 2},
    "heads": {"layer": 2, "head": 3},
    "histograms": {"layer": 2, "site": 11, "bin": 101},
    "qk_histograms": {"layer": 2, "head": 3, "bin": 101},
    "attention": {"layer": 2, "head": 3, "query": 7, "key": 7},
    "probe": {"position": 7, "rank": 5},
}


@pytest.fixture
def history():
    return History(coordinates(**SIZES), provenance({"hidden_dim": 64}, seed=3, corpus_hash="abc"))


def filled(group: str, value: float) -> dict[str, np.ndarray]:
    """A whole record of a group in which every number is `value`."""
    sizes = {dim: len(values) for dim, values in coordinates(**SIZES).items()}
    return {
        name: np.full([sizes[dim] for dim in spec.dims], value, spec.dtype)
        for name, spec in GROUPS[group].variables.items()
    }


class TestContract:
    def test_groups_and_dimensions_are_those_of_the_table(self, history):
        assert list(history.tree.children) == list(DIMENSIONS)
        for group, dimensions in DIMENSIONS.items():
            assert dict(history.group(group).sizes) == {"step": 0, **dimensions}

    def test_everything_has_units_and_a_long_name(self, history):
        for group in DIMENSIONS:
            for name, variable in history.group(group).variables.items():
                assert variable.attrs["units"], (group, name)
                assert variable.attrs["long_name"], (group, name)

    def test_the_root_says_where_the_numbers_came_from(self, history):
        attributes = history.tree.attrs
        assert attributes["schema"] == 1
        assert json.loads(attributes["settings"]) == {"hidden_dim": 64}
        assert (attributes["seed"], attributes["corpus_hash"]) == (3, "abc")
        assert json.loads(attributes["versions"])["numpy"] == np.__version__

    def test_coordinates_name_the_places(self, history):
        assert list(history.group("layers")["site"].values) == list(SITES)
        assert list(history.group("parameters")["parameter"].values) == ["a.weight", "a.bias"]
        assert list(history.group("residual")["depth"].values) == [0, 1, 2, 3, 4]

    def test_histograms_carry_their_edges(self, history):
        for group, prefix, bins in [
            ("histograms", "", ACTIVATION_BINS),
            ("histograms", "gradient_", GRADIENT_BINS),
            ("qk_histograms", "", ACTIVATION_BINS),
        ]:
            left, right = (history.group(group)[f"{prefix}{side}"].values for side in ("left", "right"))
            np.testing.assert_array_equal(left[1:], right[:-1])
            assert (left[0], right[-1]) == (-np.inf, np.inf)
            assert (left[1], right[-2]) == (-bins.limit, bins.limit)

    def test_a_small_vocabulary_has_fewer_ranks(self):
        assert len(coordinates(**SIZES | {"vocab_size": 3})["rank"]) == 3


class TestAppend:
    @pytest.mark.parametrize("group", DIMENSIONS)
    def test_a_record_comes_back_as_it_was(self, history, group):
        for step in (0, 10, 25):
            history.append(group, step, filled(group, step))
        dataset = history.group(group)
        assert list(dataset["step"].values) == [0, 10, 25]
        for name, spec in GROUPS[group].variables.items():
            assert dataset[name].dims == ("step", *spec.dims)
            assert dataset[name].dtype == spec.dtype
            assert (dataset[name].sel(step=25).values == 25).all()
        assert history.last_step(group) == 25

    def test_there_is_no_last_step_before_the_first(self, history):
        assert history.last_step("train") is None

    def test_answer_accuracy_may_be_left_out(self, history):
        history.append("validation", 0, {"loss": 2.0})
        assert np.isnan(history.group("validation")["answer_accuracy"].values).all()

    def test_numbers_that_float32_cannot_hold_become_infinite(self, history):
        record = filled("residual", 1) | {"rms": np.full(5, 1e300)}
        history.append("residual", 0, record)
        assert np.isposinf(history.group("residual")["rms"].values).all()

    @pytest.mark.parametrize(
        ("group", "step", "change", "message"),
        [
            ("layer", 5, {}, r"unknown group 'layer': allowed are train, .* Did you mean 'layers'\?"),
            ("train", 4, {}, "train: step 4 came after step 4; steps must grow"),
            ("train", 3, {}, "train: step 3 came after step 4; steps must grow"),
            (
                "train",
                5,
                {"los": 1.0},
                r"train has no variable 'los': allowed are loss, learning_rate, .*mean 'loss'\?",
            ),
            ("train", 5, {"loss": None}, r"train at step 5 lacks 'loss' \(loss of the batch\)"),
            (
                "train",
                5,
                {"loss": [1.0]},
                r"train.loss at step 5 has shape \(1,\); expected \(\) \(a single number\)",
            ),
            ("train", 5, {"tokens": 1.5}, "train.tokens at step 5 holds float64 numbers; expected int64"),
            (
                "residual",
                5,
                {"rms": np.ones(4)},
                r"residual.rms at step 5 has shape \(4,\); expected \(5,\) \(depth 5\)",
            ),
            (
                "heads",
                5,
                {"entropy": np.ones((3, 2))},
                r"shape \(3, 2\); expected \(2, 3\) \(layer 2, head 3\)",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused_and_changes_nothing(self, history, group, step, change, message):
        for known in GROUPS:
            history.append(known, 4, filled(known, 1))
        tree = history.tree
        with pytest.raises(HistoryError, match=message):
            history.append(group, step, filled(group, 1) | change if group in GROUPS else {})
        assert history.tree is tree

    def test_missing_coordinates_are_named(self):
        with pytest.raises(HistoryError, match="no coordinates for bin, rank"):
            History({k: v for k, v in coordinates(**SIZES).items() if k not in ("rank", "bin")})

    def test_too_few_places_to_keep_are_refused(self):
        with pytest.raises(HistoryError, match="keep is 7; it must be at least 8"):
            History(coordinates(**SIZES), keep=7)


class TestReaders:
    @pytest.mark.parametrize("group", DIMENSIONS)
    def test_reading_copies_nothing(self, history, group):
        history.append(group, 0, filled(group, 0))
        buffers = history._records[group].published.arrays
        for name in GROUPS[group].variables:
            assert np.shares_memory(history.group(group)[name].values, buffers[name])
            assert np.shares_memory(history.tree[group][name].values, buffers[name])

    def test_what_is_read_cannot_be_written(self, history):
        history.append("train", 0, filled("train", 0))
        with pytest.raises(ValueError, match="read-only"):
            history.group("train")["loss"].values[0] = 1
        history.append("train", 1, filled("train", 1))

    def test_the_same_objects_until_the_next_append(self, history):
        history.append("train", 0, filled("train", 0))
        train, heads, tree = history.group("train"), history.group("heads"), history.tree
        assert history.group("train") is train
        assert history.tree is tree
        history.append("train", 1, filled("train", 1))
        assert history.group("train") is not train
        assert history.group("heads") is heads
        assert history.tree is not tree
        assert history.tree["train"].sizes["step"] == 2

    @pytest.mark.parametrize("group", ["train", "attention"])
    def test_a_dataset_in_hand_never_changes(self, history, group):
        """Through growth and, for attention, several thinnings."""
        in_hand: list[tuple[xr.Dataset, xr.Dataset]] = []
        for step in range(300):
            history.append(group, step, filled(group, step))
            dataset = history.group(group)
            in_hand.append((dataset, dataset.copy(deep=True)))
        for seen, copied in in_hand:
            xr.testing.assert_identical(seen, copied)

    def test_readers_on_other_threads_see_whole_records(self, history):
        torn, done = [], threading.Event()

        def read():
            while not done.is_set():
                dataset = history.group("attention")
                steps = dataset["step"].values
                weights = dataset["weight"].values
                if not (weights == steps[:, None, None, None, None]).all() or (np.diff(steps) <= 0).any():
                    torn.append(steps)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for step in range(2000):
            history.append("attention", step, filled("attention", step))
        done.set()
        for reader in readers:
            reader.join()
        assert not torn


class TestMemory:
    def test_buffers_grow_geometrically(self, history, monkeypatch):
        """A hundred thousand records need few new buffers, so an append costs the same early and late."""
        sizes = []
        allocate = history_module._Records._allocate
        monkeypatch.setattr(
            history_module._Records, "_allocate", lambda self, size: sizes.append(size) or allocate(self, size)
        )
        record = {"loss": 1.0, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 1, "seconds": 1.0}
        for step in range(100_000):
            history.append("train", step, record)
        assert len(sizes) < 20
        assert all(later >= 2 * earlier for earlier, later in itertools.pairwise(sizes))
        assert history.group("train").sizes["step"] == 100_000

    @pytest.mark.parametrize("group", THINNED)
    def test_thinned_groups_stay_within_64_records(self, history, group):
        for step in range(0, 20_000, 10):
            history.append(group, step, filled(group, step))
            assert len(history._records[group].published.arrays["step"]) <= 64
            assert history.last_step(group) == step
        dataset = history.group(group)
        steps = dataset["step"].values
        assert steps[0] == 0
        assert len(steps) <= 64
        for name in GROUPS[group].variables:
            values = dataset[name].values.reshape(len(steps), -1)
            np.testing.assert_array_equal(values, np.broadcast_to(steps[:, None], values.shape))

    def test_nothing_is_dropped_before_the_places_are_full(self, history):
        for step in range(64):
            history.append("attention", step, filled("attention", step))
        assert list(history.group("attention")["step"].values) == list(range(64))

    def test_the_past_keeps_an_even_cadence_that_doubles(self, history):
        history.append("attention", 0, filled("attention", 0))
        seen = set()
        for step in range(1, 3000):
            history.append("attention", step, filled("attention", step))
            steps = history.group("attention")["step"].values
            stride = steps[1] - steps[0]
            seen.add(int(stride))
            even = np.arange(0, step + 1, stride)
            held = np.isin(even, steps)
            # Every multiple of the stride is held, and they make up a good part of what is held.
            assert held.all()
            assert len(even) >= 24 or step < 64
        assert seen == {1, 2, 4, 8, 16, 32, 64}

    def test_the_fewest_places_work_too(self):
        history = History(coordinates(**SIZES), keep=8)
        for step in range(1000):
            history.append("attention", step, filled("attention", step))
            assert history.group("attention").sizes["step"] <= 8
        assert history.group("attention")["step"].values[[0, -1]].tolist() == [0, 999]

    def test_thinning_copies_about_one_record_an_append(self, history, monkeypatch):
        copied = []
        thin = history_module._Records._thin
        monkeypatch.setattr(history_module._Records, "_thin", lambda self: copied.append(kept := thin(self)) or kept)
        for step in range(10_000):
            history.append("qk_histograms", step, filled("qk_histograms", 0))
        assert sum(map(len, copied)) < 2 * 10_000

    def test_other_groups_keep_everything(self, history):
        for step in range(500):
            history.append("heads", step, filled("heads", step))
        assert history.group("heads").sizes["step"] == 500
