"""Label smoothing and z-loss: the gradient is the objective's, the loss that is told stays the cross-entropy."""

import numpy as np
import pytest

from tests.core.grid import small_batch, small_model
from tests.core.tiny_runs import trainer_of
from tlab_core.config import Training
from tlab_core.embedding import CrossEntropy
from tlab_core.objective import Objective

KINDS = [(0.1, 0.0), (0.0, 0.05), (0.2, 0.01)]
kinds = pytest.mark.parametrize(("smoothing", "price"), KINDS)


def by_hand(logits, targets, smoothing, price):
    """Return the objective (N,) from the formula, in float64."""
    log_z = np.log(np.exp(logits).sum(axis=-1))
    log_p = logits - log_z[:, None]
    q = np.full(logits.shape, smoothing / logits.shape[-1])
    q[np.arange(len(targets)), targets] += 1 - smoothing
    return -(q * log_p).sum(axis=-1) + price * log_z**2


@kinds
def test_the_gradient_at_the_logits_by_finite_differences(smoothing, price):
    dice = np.random.default_rng(4)
    logits, targets, work = 3 + dice.standard_normal((6, 5)), dice.integers(0, 5, 6), small_model().workspace()
    copy = logits.copy()
    CrossEntropy.forward(copy, targets, work)
    gradient = Objective(smoothing, price).backward(copy, targets, 0.5, work)
    for place in np.ndindex(logits.shape):
        moved = np.zeros_like(logits)
        moved[place] = 1e-6
        change = by_hand(logits + moved, targets, smoothing, price) - by_hand(logits - moved, targets, smoothing, price)
        assert gradient[place] == pytest.approx(0.5 * change.sum() / 2e-6, abs=1e-8)


@kinds
def test_pytorch_gets_the_same_gradients(smoothing, price):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[reference])")
    from tests.core.torch_transformer import TorchTransformer

    model = small_model()
    tokens, targets = small_batch()
    reference = TorchTransformer(model.architecture, model.parameters)
    logits = reference.logits(torch.tensor(tokens)).flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(targets).flatten(), label_smoothing=smoothing)
    (expected + price * (torch.logsumexp(logits, -1) ** 2).mean()).backward()
    loss, gradients = model.loss_and_grads(tokens, targets, objective=Objective(smoothing, price))
    assert loss == model.loss_and_grads(tokens, targets)[0]  # the plain one
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, reference.p[name].grad.numpy(), atol=1e-12, err_msg=name)


def test_without_either_there_is_no_objective_but_the_cross_entropy():
    assert Objective.of(Training()) is None
    assert Objective.of(Training(z_loss=1e-4)).z_loss == 1e-4
    assert Objective.of(Training(label_smoothing=0.1)).label_smoothing == 0.1


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_both_act_from_the_next_step_on_and_the_loss_stays_plain(executor):
    trainer, twin = trainer_of(executor=executor), trainer_of(executor="serial")
    try:
        for one in (trainer, twin):
            list(one.run(steps=2))
        trainer.training.param.update(label_smoothing=0.2, z_loss=0.5)
        record, plain = next(trainer.run()), next(twin.run())
        assert record.loss == plain.loss
        assert abs(record.grad_norm - plain.grad_norm) > 1e-2
        assert not np.array_equal(trainer.model.flat, twin.model.flat)
    finally:
        trainer.close()


def test_z_loss_brings_ln_z_near_zero():
    trainers = trainer_of(steps=150), trainer_of(steps=150, z_loss=0.1)
    sizes = []
    for trainer in trainers:
        trainer.model.parameters["final_norm.weight"] *= 3
        list(trainer.run())
        logits = trainer.model.forward(trainer.batch(1)[0]).astype(np.float64)
        sizes.append(np.abs(np.log(np.exp(logits).sum(axis=-1))).mean())
    assert sizes[1] < 0.5 * sizes[0]


def test_label_smoothing_keeps_the_model_from_certainty():
    counting = np.arange(900) % 11  # what comes next is certain
    trainers = trainer_of(counting, steps=150), trainer_of(counting, steps=150, label_smoothing=0.2)
    for trainer in trainers:
        list(trainer.run())
    certain, smooth = (trainer.evaluate() for trainer in trainers)
    assert certain < 0.1
    best = -np.log(0.8 + 0.2 / 11)  # of a model that gives the right token 1 − ε + ε/V
    assert smooth == pytest.approx(best, abs=0.05)
