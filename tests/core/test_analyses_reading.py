"""Reading a long text piece by piece must say what one whole pass says."""

import numpy as np
import pytest

from tlab_core.analyses import reading
from tlab_core.embedding import CrossEntropy
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS
from tlab_core.trace import Capture
from tlab_core.transformer import Transformer

LENGTH = 150  # two whole pieces and a rest


def model_of(**knobs) -> Transformer:
    return Transformer(**{"vocab_size": 10, "hidden_dim": 8, "num_layers": 2, "num_heads": 2, "init_std": 0.5,
                          "dtype": "float64"} | knobs)  # fmt: skip


def read_with_scores(model, tokens, targets):
    """Return the losses and the scores by layer (B, H, T, T), put together from all pieces."""
    batch, length = tokens.shape
    scores = np.full((model.architecture.num_layers, batch, model.architecture.num_heads, length, length), -np.inf)
    begun = [0] * len(scores)  # how many texts of a layer have been read to the end

    def look(layer, past, piece):
        texts, _, queries, keys = piece.shape
        assert keys == past + queries
        scores[layer, begun[layer] : begun[layer] + texts, :, past : past + queries, :keys] = piece
        begun[layer] += texts if keys == length else 0

    losses = reading.read(model, tokens, targets, look)
    assert begun == [batch] * len(scores)
    return losses, scores


@pytest.fixture(scope="module")
def texts():
    tokens = np.random.default_rng(1).integers(0, 10, (3, LENGTH + 1))
    return tokens[:, :-1], tokens[:, 1:]


@pytest.mark.parametrize("kept", [reading.KEPT, 1])
@pytest.mark.parametrize("knobs", [
    *({"pos_encoding_type": name} for name in POSITIONS.names()),
    *({"residual_type": name} for name in RESIDUALS.names()),
    {"qk_norm": True, "norm_type": "LayerNorm", "tie_embeddings": False, "activation_type": "ReLU"},
])  # fmt: skip
def test_losses_and_scores_are_those_of_one_pass(texts, knobs, kept, monkeypatch):
    monkeypatch.setattr(reading, "KEPT", kept)  # 1: one text at a time
    model = model_of(**knobs)
    capture = Capture([f"blocks.{layer}.scores" for layer in range(2)])
    logits = model.forward(texts[0], capture)
    with np.errstate(all="ignore"):
        losses, scores = read_with_scores(model, *texts)
    expected = CrossEntropy.forward(logits.reshape(-1, 10), texts[1].ravel(), model.workspace()).reshape(3, LENGTH)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    for layer in range(2):
        np.testing.assert_allclose(scores[layer], capture[f"blocks.{layer}.scores"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("knobs", [{"pos_encoding_type": "ALiBi"}, {"residual_type": "Post-LN", "activation_type": "ReLU"}])
def test_activations_are_those_of_one_pass(texts, knobs, layer):
    model, site = model_of(**knobs), f"blocks.{layer}.activation"
    capture = Capture([site])
    model.forward(texts[0], capture)
    found = reading.activations(model, layer, texts[0])
    np.testing.assert_allclose(found, capture[site], rtol=1e-9, atol=1e-12)


def test_the_models_own_tables_do_not_grow(texts):
    model = model_of(pos_encoding_type="ALiBi")
    model.forward(texts[0][:, :5])
    sizes = {key: size for key, (size, _) in model.positions._tables.items()}
    with np.errstate(all="ignore"):
        read_with_scores(model, *texts)
    assert {key: size for key, (size, _) in model.positions._tables.items()} == sizes


def test_a_workspace_can_be_used_again_for_forward(texts):
    model, tokens = model_of(), texts[0][:, :9]
    work = model.workspace(gradients=False)
    expected = model.forward(tokens)
    first = model.forward(tokens, None, work)
    np.testing.assert_array_equal(first, expected)
    assert np.shares_memory(model.forward(tokens, None, work), first)
