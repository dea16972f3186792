"""Logits, loss and gradients of every combination against PyTorch, which works its gradients out by itself."""

import os

import numpy as np
import pytest

from tests.core.grid import COMBINATIONS, small_batch, small_model
from tests.core.test_gradients import SWITCHES

if not os.environ.get("CI"):  # in CI a missing PyTorch is a failure, not a skip
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e '.[reference]'")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("index", range(len(COMBINATIONS)), ids=lambda index: "-".join(COMBINATIONS[index]))
def test_logits_loss_and_gradients_equal_pytorchs(index, dtype):
    import torch

    from tests.core.torch_transformer import TorchTransformer

    model = small_model(*COMBINATIONS[index], **SWITCHES[(index * 3) % 8], dtype=dtype)
    reference = TorchTransformer(model.architecture, model.parameters)
    tokens, targets = small_batch()
    expected = reference.loss(torch.tensor(tokens), torch.tensor(targets))
    expected.backward()
    loss, gradients = model.loss_and_grads(tokens, targets)

    rtol = {"float64": 1e-9, "float32": 2e-4}[dtype]
    logits = reference.logits(torch.tensor(tokens)).detach().numpy()
    np.testing.assert_allclose(model.forward(tokens), logits, atol=rtol * np.abs(logits).max())
    assert loss == pytest.approx(expected.item(), rel=rtol)
    for name, gradient in gradients.items():
        grad = reference.p[name].grad
        wanted = np.zeros_like(gradient) if grad is None else grad.numpy()
        np.testing.assert_allclose(gradient, wanted, atol=rtol * (np.abs(wanted).max() + 1e-3), err_msg=name)


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 6, 8, 12, 16])
def test_alibi_slopes_equal_the_papers_code(heads):
    import torch

    from tests.core.torch_transformer import alibi_slopes
    from tlab_core.positions import ALiBi

    np.testing.assert_allclose(ALiBi.slopes(heads), alibi_slopes(heads, torch.float64).numpy())
