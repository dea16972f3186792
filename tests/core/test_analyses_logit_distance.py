"""Q·K logits by distance, against loops over every pair."""

import numpy as np
import pytest

from tests.core.analysed_runs import held_back_pieces, run_of
from tlab_core.analyses import logit_distance
from tlab_core.positions import ALiBi
from tlab_core.trace import Capture

LENGTH = 8


@pytest.mark.parametrize("position", ["RoPE", "ALiBi", "Learned"])
def test_every_pair_is_counted_at_its_distance(tmp_path, position):
    run = run_of(tmp_path, pos_encoding_type=position)
    found = run.analyse("logit_distance", windows=3)
    pairs = [[[[] for _ in range(LENGTH)] for _ in range(2)] for _ in range(2)]  # layer, head, distance
    for tokens, _ in held_back_pieces(run, 3, LENGTH):
        capture = Capture()
        run.model.forward([tokens], capture)
        for layer in range(2):
            for head in range(2):
                for query in range(LENGTH):
                    for key in range(query + 1):
                        logit = capture[f"blocks.{layer}.scores"][0, head, query, key]
                        pairs[layer][head][query - key].append(logit)
    for layer in range(2):
        for head in range(2):
            for distance, logits in enumerate(pairs[layer][head]):
                here = found.sel(layer=layer, head=head, distance=distance)
                assert int(here["count"]) == len(logits) == 3 * (LENGTH - distance)
                assert float(here["mean"]) == pytest.approx(np.mean(logits))
                assert float(here["std"]) == pytest.approx(np.std(logits))
    assert (found.attrs["windows"], found.attrs["length"]) == (3, LENGTH)


def test_longer_than_what_is_read_at_once(tmp_path):
    """ALiBi alone, where queries are zero: a straight line down, whichever piece of the text a query stands in."""
    run = run_of(tmp_path, seq_len=100, pos_encoding_type="ALiBi")
    for layer in range(2):
        for name in ("weight", "bias"):
            if (parameter := f"blocks.{layer}.attention.qkv.{name}") in run.model.parameters:
                run.model.parameters[parameter][..., :8] = 0
    found = run.analyse("logit_distance")
    line = -ALiBi.slopes(2)[:, None] * np.arange(100)
    np.testing.assert_allclose(found["mean"], [line, line], atol=1e-12)
    np.testing.assert_allclose(found["std"], 0, atol=1e-6)


def test_a_large_model_takes_fewer_windows_unless_told(tmp_path, monkeypatch):
    run = run_of(tmp_path)
    assert run.analyse("logit_distance").attrs["windows"] == 8
    monkeypatch.setattr(logit_distance, "PAIRS", 2 * 2 * 36 * 3)  # layers, heads, pairs of a window
    assert run.analyse("logit_distance").attrs["windows"] == 3
    monkeypatch.setattr(logit_distance, "PAIRS", 1)
    assert run.analyse("logit_distance").attrs["windows"] == 1
    assert run.analyse("logit_distance", windows=5).attrs["windows"] == 5
