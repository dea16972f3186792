"""One feed-forward unit, against brute force over the text that it was watched on."""

import numpy as np
import pytest

from tests.core.analysed_runs import held_back_pieces, run_of
from tlab_core.activations import ACTIVATIONS
from tlab_core.trace import Capture, Edit

LENGTH = 50  # longer than a passage, so that passages begin anywhere


@pytest.fixture(scope="module", params=["SwiGLU", "ReLU"])
def run(request, tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("run"), seq_len=LENGTH, activation_type=request.param, tie_embeddings=False)


def activations(run, layer, tokens) -> np.ndarray:
    """Return the activations (T, F) of one text."""
    capture = Capture()
    run.model.forward([tokens], capture)
    return capture[f"blocks.{layer}.activation"][0]


def watched(run, layer) -> list[np.ndarray]:
    return [activations(run, layer, tokens) for tokens, _ in held_back_pieces(run, 4096 // LENGTH, LENGTH)]


@pytest.mark.parametrize("layer", [0, 1])
def test_how_much_each_varies(run, layer):
    found = run.analyse("neuron", layer=layer)
    everything = np.concatenate(watched(run, layer))
    np.testing.assert_allclose(found["unit_std"], everything.std(axis=0))
    assert found.attrs["unit"] == int(everything.std(axis=0).argmax())
    assert found.attrs["characters"] == len(everything)


@pytest.mark.parametrize("position", [None, 0, 17])
def test_the_probe_text(run, position):
    found = run.analyse("neuron", layer=1, unit=5, position=position)
    expected = activations(run, 1, run.trainer.probe[:-1])
    assert found.sizes["position"] == len(run.probe_tokens)
    np.testing.assert_allclose(found["probe_activation"], expected[:, 5])
    np.testing.assert_allclose(found["unit_at_position"], expected[-1 if position is None else position])
    assert found.attrs["position"] == (len(expected) - 1 if position is None else position)


def test_histogram(run):
    found = run.analyse("neuron", layer=0, unit=3)
    fired = np.concatenate(watched(run, 0))[:, 3]
    left, right = found["left"].values, found["right"].values
    assert (left[0], right[-1]) == pytest.approx((fired.min(), fired.max()))
    # An edge may be a hair off a number of either pass, so what lies below each edge is compared within one.
    below = [(fired < edge).sum() for edge in right[:-1]]
    np.testing.assert_allclose(found["count"].cumsum()[:-1], below, atol=1)
    assert found["count"].sum() == len(fired)


class TestPassages:
    def test_they_hold_the_highest_of_all(self, run):
        found = run.analyse("neuron", layer=1)
        unit = found.attrs["unit"]
        highest = [float(piece[:, unit].max()) for piece in watched(run, 1)]
        assert float(found["passage_activation"][0].max()) == pytest.approx(max(highest))
        # Passages are 41 of a piece's 50 characters, so no piece has two: the best 8 pieces are the passages.
        np.testing.assert_allclose(found["passage_activation"].max("offset"), sorted(highest, reverse=True)[:8])

    def test_the_peak_is_where_it_says(self, run):
        found = run.analyse("neuron", layer=1, unit=2)
        assert found["passage_activation"].argmax("offset").values.tolist() == found["passage_peak"].values.tolist()

    def test_characters_have_their_own_activations(self, run):
        found = run.analyse("neuron", layer=0, unit=7)
        assert found.sizes["passage"] == 8
        assert found.sizes["offset"] == 41
        texts = [run.tokenizer.decode(tokens) for tokens, _ in held_back_pieces(run, 4096 // LENGTH, LENGTH)]
        every = watched(run, 0)
        for passage in range(8):
            here = "".join(found["passage_character"].values[passage])
            fired = found["passage_activation"].values[passage]
            assert any(here == text[start : start + 41] and np.allclose(fired, piece[start : start + 41, 7])
                       for text, piece in zip(texts, every, strict=True) for start in range(LENGTH - 40))  # fmt: skip

    def test_they_do_not_overlap_in_a_long_piece(self, tmp_path):
        run = run_of(tmp_path, seq_len=300)
        found = run.analyse("neuron", layer=0)
        texts = [run.tokenizer.decode(tokens) for tokens, _ in held_back_pieces(run, 4096 // 300, 300)]
        seen = []
        for characters in found["passage_character"].values:
            here = "".join(characters)
            places = [(piece, text.find(here)) for piece, text in enumerate(texts) if here in text]
            assert len(places) == 1
            seen += places
        assert all(one[0] != other[0] or abs(one[1] - other[1]) >= 41
                   for place, one in enumerate(seen) for other in seen[:place])  # fmt: skip
        assert len({piece for piece, _ in seen}) < len(seen)  # two are in one piece, so this has been tried

    def test_short_pieces_are_passages_themselves(self, tmp_path):
        found = run_of(tmp_path, seq_len=8).analyse("neuron", layer=0)
        assert dict(found["passage_activation"].sizes) == {"passage": 8, "offset": 8}

    def test_a_short_text_has_few(self, tmp_path):
        run = run_of(tmp_path, seq_len=30, words=300)
        pieces = held_back_pieces(run, 100, 30)
        assert run.analyse("neuron", layer=0).sizes["passage"] == len(pieces) < 8


class TestWhatItWrites:
    @pytest.mark.parametrize("tied", [True, False])
    def test_in_the_last_layer_of_a_model_without_norms_a_nudge_does_just_that(self, tmp_path, tied):
        run = run_of(tmp_path, norm_type="None", tie_embeddings=tied)
        found = run.analyse("neuron", layer=1, unit=4)
        tokens = [run.trainer.probe[:-1]]

        def nudged(x):
            x[..., 4] += 1
            return x

        change = (run.model.forward(tokens, Edit({"blocks.1.activation": nudged})) - run.model.forward(tokens))[0, 2]
        by_character = dict(zip(run.tokenizer.characters, change, strict=True))
        falling = sorted(by_character, key=by_character.get, reverse=True)
        assert found["raised_character"].values.tolist() == falling[:8]
        assert found["lowered_character"].values.tolist() == falling[::-1][:8]
        np.testing.assert_allclose(found["raised"], [by_character[c] for c in falling[:8]], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found["lowered"], [by_character[c] for c in falling[::-1][:8]], rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("activation", ACTIVATIONS.names())
    def test_every_activation_has_units(self, tmp_path, activation):
        run = run_of(tmp_path, activation_type=activation, steps=0)
        found = run.analyse("neuron", layer=0, unit=0)
        np.testing.assert_allclose(found["probe_activation"], activations(run, 0, run.trainer.probe[:-1])[:, 0])


def test_a_unit_that_is_not_a_number_has_no_passages(tmp_path):
    run = run_of(tmp_path, steps=0, activation_type="ReLU")
    run.model.parameters["blocks.0.mlp.up.weight"][:, 1] = np.nan
    found = run.analyse("neuron", layer=0, unit=1)
    assert found.sizes["passage"] == 0
    assert found["count"].sum() == 0
    assert run.analyse("neuron", layer=0).attrs["unit"] != 1
