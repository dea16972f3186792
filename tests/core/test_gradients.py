"""Every hand-written backward pass against finite differences, in float64."""

import numpy as np
import pytest

from tests.core.grid import COMBINATIONS, small_batch, small_model
from tlab_core import attention, workspace
from tlab_core.checks.differences import compare_along
from tlab_core.checks.report import BOUND

# Each of the 225 combinations takes its other switches from its place in the list, so that all 8 mixtures come up often.
SWITCHES = [{"qk_norm": bool(i & 1), "tie_embeddings": bool(i & 2), "use_bias": bool(i & 4)} for i in range(8)]


def mean_loss(model, tokens, targets):
    return model.shard_losses(tokens, targets, model.workspace()).mean()


def assert_slope(model, name, direction, gradient, tokens, targets):
    found = compare_along(lambda: mean_loss(model, tokens, targets), model.parameters[name], direction, gradient)
    assert found.error < BOUND, f"{name}: {found}"


def test_the_grid_has_all_225_combinations():
    assert len(set(COMBINATIONS)) == 225


@pytest.mark.parametrize("index", range(len(COMBINATIONS)), ids=lambda index: "-".join(COMBINATIONS[index]))
def test_gradient_along_a_random_direction_through_every_array(index):
    model = small_model(*COMBINATIONS[index], **SWITCHES[(index * 5) % 8])
    tokens, targets = small_batch()
    loss, gradients = model.loss_and_grads(tokens, targets)
    assert loss == pytest.approx(mean_loss(model, tokens, targets), rel=1e-12)
    assert list(gradients) == list(model.parameters)
    dice = np.random.default_rng(index)
    for name, parameter in model.parameters.items():
        assert_slope(model, name, dice.standard_normal(parameter.shape), gradients[name], tokens, targets)


# Together these hold each norm, layout, activation, encoding and switch at least once.
ELEMENTWISE = [
    ("LayerNorm", "Pre-LN", "GELU", "Learned", {"tie_embeddings": False}),
    ("RMSNorm", "Sandwich", "SwiGLU", "RoPE", {"qk_norm": True}),
    ("None", "Post-LN", "Swish", "Sinusoidal", {"use_bias": False}),
    ("LayerNorm", "Post-LN", "ReLU", "ALiBi", {"use_bias": False, "qk_norm": True}),
    ("RMSNorm", "Pre-LN", "GEGLU", "None", {"tie_embeddings": False, "use_bias": False}),
]


@pytest.mark.parametrize(("norm", "residual", "activation", "position", "switches"), ELEMENTWISE)
def test_gradient_of_every_single_number(norm, residual, activation, position, switches):
    model = small_model(norm, residual, activation, position, hidden_dim=6, ff_dim=8, num_layers=1, **switches)
    tokens, targets = small_batch(length=5)
    _, gradients = model.loss_and_grads(tokens, targets)
    for name, parameter in model.parameters.items():
        for place in np.ndindex(parameter.shape):
            direction = np.zeros(parameter.shape)
            direction[place] = 1
            assert_slope(model, name, direction, gradients[name], tokens, targets)


@pytest.mark.parametrize("combination", COMBINATIONS[::11], ids="-".join)
@pytest.mark.parametrize("tied", [True, False])
def test_a_batch_in_pieces_gives_the_same_loss_and_gradients(combination, tied, monkeypatch):
    model = small_model(*combination, tie_embeddings=tied, qk_norm=True)
    dice = np.random.default_rng(5)
    tokens, targets = dice.integers(0, 11, (2, 5, 7))
    loss, gradients = model.loss_and_grads(tokens, targets)
    seen = []
    monkeypatch.setattr(workspace, "NARROW", 0)
    monkeypatch.setattr(workspace, "WIDE_ROWS", 14)
    forward = model._forward
    monkeypatch.setattr(model, "_forward", lambda part, *rest: seen.append(len(part)) or forward(part, *rest))
    pieces_loss, pieces_gradients = model.loss_and_grads(tokens, targets)
    assert seen == [2, 2, 1]
    assert pieces_loss == pytest.approx(loss, rel=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(pieces_gradients[name], gradient, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(model.shard_losses(tokens, targets, model.workspace()).mean(), loss)


@pytest.mark.parametrize("large", [False, True], ids=["small scores", "large scores"])
@pytest.mark.parametrize("kept", [True, False], ids=["weights kept", "weights computed again"])
@pytest.mark.parametrize("block", [131_072, 42, 1], ids=["one tile", "a sequence a tile", "a head a tile"])
@pytest.mark.parametrize("position", ["RoPE", "ALiBi", "Learned"])
def test_blocks_of_queries_give_the_same_loss_and_gradients(position, block, kept, large, monkeypatch):
    model = small_model(position=position)
    model.parameters["blocks.0.attention.qkv.weight"] *= 30 if large else 1
    tokens, targets = small_batch()
    loss, gradients = model.loss_and_grads(tokens, targets, trace=lambda name, x: x)  # under a trace all in one block
    for name in ("QUERIES", "LONG_QUERIES"):
        monkeypatch.setattr(attention, name, 3)  # of 7 positions: blocks of 3, 3 and 1
    monkeypatch.setattr(attention, "BLOCK", block)
    monkeypatch.setattr(workspace, "BLOCK", block)
    if not kept:
        monkeypatch.setattr(attention, "KEPT", 1)
    if large:  # the largest score is taken off
        monkeypatch.setattr(attention, "SMALL_SCORE", 1e-3)
    found_loss, found = model.loss_and_grads(tokens, targets)
    assert found_loss == pytest.approx(loss, rel=1e-12)
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, gradients[name], atol=1e-11, err_msg=name)


def test_a_wrong_gradient_is_noticed():
    model = small_model()
    tokens, targets = small_batch()
    _, gradients = model.loss_and_grads(tokens, targets)
    name = "blocks.0.mlp.up.weight"
    direction = np.random.default_rng(0).standard_normal(gradients[name].shape)
    with pytest.raises(AssertionError, match=r"blocks\.0\.mlp\.up\.weight"):
        assert_slope(model, name, direction, gradients[name] * 1.001, tokens, targets)


@pytest.mark.parametrize("combination", COMBINATIONS[::7], ids="-".join)
def test_float32_gradients_follow_float64(combination):
    tokens, targets = small_batch()
    exact = small_model(*combination)
    rounded = small_model(*combination, dtype="float32")
    rounded.flat[...] = exact.flat
    exact_loss, exact_gradients = exact.loss_and_grads(tokens, targets)
    loss, gradients = rounded.loss_and_grads(tokens, targets)
    assert loss == pytest.approx(exact_loss, rel=1e-5)
    for name, gradient in gradients.items():
        assert gradient.dtype == np.float32
        size = np.abs(exact_gradients[name]).max() + 1e-3
        np.testing.assert_allclose(gradient, exact_gradients[name], atol=1e-4 * size)
