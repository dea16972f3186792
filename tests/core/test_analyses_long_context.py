"""Loss and Q·K logits past the training length, against the model's own passes; and where it says that it stops."""

import math

import numpy as np
import pytest

from tests.core.analysed_runs import held_back_pieces, run_of
from tlab_core.analyses import long_context
from tlab_core.trace import Capture

LENGTH = 64  # 8 times the training length


@pytest.fixture(scope="module", params=["RoPE", "ALiBi", "Sinusoidal"])
def measured(request, tmp_path_factory):
    """A run, what the analysis said, and of each window the losses (T,) and the scores by layer (H, T, T)."""
    run = run_of(tmp_path_factory.mktemp("run"), pos_encoding_type=request.param)
    windows = []
    for tokens, targets in held_back_pieces(run, 4, LENGTH):
        capture = Capture()
        logits = run.model.forward([tokens], capture)[0]
        losses = [math.log(math.fsum(np.exp(row))) - row[target] for row, target in zip(logits, targets, strict=True)]
        windows.append((losses, [capture[f"blocks.{layer}.scores"][0] for layer in range(2)]))
    return run, run.analyse("long_context", windows=4), windows


def test_loss_by_position(measured):
    _, found, windows = measured
    for first, last, loss, error in zip(found["first"], found["last"], found["loss"], found["loss_error"], strict=True):
        each = [np.mean(losses[int(first) : int(last) + 1]) for losses, _ in windows]
        assert float(loss) == pytest.approx(np.mean(each))
        assert float(error) == pytest.approx(np.std(each, ddof=1) / math.sqrt(4))


def test_the_first_positions_have_the_models_own_loss(measured):
    run, found, _ = measured
    pieces = held_back_pieces(run, 4, LENGTH)
    own, _ = run.model.loss_and_grads([tokens[:8] for tokens, _ in pieces], [targets[:8] for _, targets in pieces])
    assert float(found["loss"][found["last"] < 8].mean()) == pytest.approx(own)


def test_logits_by_position(measured):
    _, found, windows = measured
    for layer in range(2):
        for place, (first, last) in enumerate(zip(found["first"].values, found["last"].values, strict=True)):
            logits = [scores[layer][head, query, key] for _, scores in windows for head in range(2)
                      for query in range(first, last + 1) for key in range(query + 1)]  # fmt: skip
            here = found.isel(layer=layer, block=place)
            assert float(here["qk_mean"]) == pytest.approx(np.mean(logits), abs=1e-12)
            assert float(here["qk_std"]) == pytest.approx(np.std(logits))
            assert float(here["qk_max"]) == pytest.approx(max(logits))


def test_what_it_says_of_itself(measured):
    run, found, _ = measured
    assert found.attrs | {"step": 3, "options": ""} == {
        "trained_length": 8, "length": LENGTH, "windows": 4, "limit": "", "step": 3, "options": ""}  # fmt: skip
    once = run.analyse("long_context", factor=1, windows=1)
    assert once.attrs["length"] == int(once["last"][-1]) + 1 == 8
    assert np.isnan(once["loss_error"]).all()


@pytest.mark.parametrize(("length", "trained"), [(512, 64), (8, 8), (100, 7), (130, 64), (5, 8), (1000, 333)])
def test_blocks_are_whole_and_end_at_the_training_length(length, trained):
    first = long_context._blocks(length, trained).tolist()
    assert first == sorted(set(first))
    assert first[0] == 0
    assert first[-1] < length
    assert trained in first or trained >= length
    assert min(length, 32) <= len(first) <= 65  # blocks of one size, the two short ones aside
    assert max(np.diff([*first, length])) == max(1, length // 32)


class TestLimits:
    def test_learned_positions_end(self, tmp_path):
        found = run_of(tmp_path, pos_encoding_type="Learned", max_seq_len=20).analyse("long_context")
        assert found.attrs["limit"] == "The table of learned positions ends at 20 characters."
        assert found.attrs["length"] == int(found["last"][-1]) + 1 == 20
        assert not np.isnan(found["loss"]).any()

    def test_the_text_ends(self, tmp_path):
        run = run_of(tmp_path, words=300)
        room = len(run.trainer.data.validation) - 1
        found = run.analyse("long_context", factor=20)
        assert 8 < room < 160
        assert found.attrs["limit"] == f"The held-back text ends after {room} characters."
        assert (found.attrs["length"], found.attrs["windows"]) == (room, 1)

    @pytest.mark.parametrize(("position", "length"), [("RoPE", 40), ("ALiBi", 28)])
    def test_memory_ends(self, tmp_path, monkeypatch, position, length):
        monkeypatch.setattr(long_context, "MASK", 40 * 40)  # heads differ with ALiBi alone
        found = run_of(tmp_path, pos_encoding_type=position).analyse("long_context")
        assert found.attrs["limit"] == f"More than {length} characters would take too much memory."
        assert found.attrs["length"] == length

    def test_never_below_the_training_length(self, tmp_path, monkeypatch):
        monkeypatch.setattr(long_context, "MASK", 1)
        assert run_of(tmp_path).analyse("long_context").attrs["length"] == 8

    def test_a_large_model_takes_fewer_windows_unless_told(self, tmp_path, monkeypatch):
        run = run_of(tmp_path)
        assert run.analyse("long_context").attrs["windows"] == len(held_back_pieces(run, 16, LENGTH)) > 8
        monkeypatch.setattr(long_context, "WORK", 3 * (2 * run.model.parameter_count * 64 + 2 * 2 * 8 * 64 * 64))
        assert run.analyse("long_context").attrs["windows"] == 3
        assert run.analyse("long_context", windows=5).attrs["windows"] == 5
