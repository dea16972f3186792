"""The operations on paper are those that NumPy's products really make."""

import numpy as np
import pytest

from tlab_core import attention
from tlab_core.activations import ACTIVATIONS
from tlab_core.config import Architecture
from tlab_core.cost import forward_flops, step_flops
from tlab_core.transformer import Transformer


def counted(monkeypatch, run) -> int:
    """Run something and return the operations of all its products of matrices."""
    total, matmul = 0, np.matmul

    def counting(a, b, **how):
        nonlocal total
        if a.ndim > 1 and b.ndim > 1:
            total += 2 * int(np.prod(a.shape)) * b.shape[-1]
        return matmul(a, b, **how)

    with monkeypatch.context() as patch:
        patch.setattr(np, "matmul", counting)
        run()
    return total


@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_the_operations_on_paper_are_those_that_are_made(monkeypatch, activation):
    shape = {"hidden_dim": 32, "num_layers": 3, "num_heads": 4, "ff_dim": 72, "vocab_size": 19}
    architecture = Architecture(**shape, activation_type=activation)
    model = Transformer(architecture)
    B, T = 2, 16
    tokens = np.random.default_rng(0).integers(0, 19, (B, T))
    # At so short a context nothing is skipped: every query meets all T keys, where (T + 1) / 2 would do.
    assert T <= attention.QUERIES
    masked = 3 * B * 4 * 32 * (T * T - T * (T + 1) // 2)
    assert counted(monkeypatch, lambda: model.forward(tokens)) == forward_flops(architecture, B, T) + masked
    assert counted(monkeypatch, lambda: model.loss_and_grads(tokens, tokens)) == step_flops(architecture, B, T) + 3 * masked


def test_a_long_context_skips_most_of_what_is_masked(monkeypatch):
    architecture = Architecture(hidden_dim=32, num_layers=1, num_heads=4, ff_dim=32, vocab_size=19)
    model = Transformer(architecture)
    tokens = np.zeros((1, 512), int)
    made = counted(monkeypatch, lambda: model.loss_and_grads(tokens, tokens))
    assert step_flops(architecture, 1, 512) < made < 1.15 * step_flops(architecture, 1, 512)
