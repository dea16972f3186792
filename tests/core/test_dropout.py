"""Dropout: right gradients under fixed masks, the same masks whoever works and however often, and none while measuring."""

import numpy as np
import pytest

from tests.core.grid import small_batch, small_model
from tests.core.tiny_runs import same_bits, trainer_of
from tlab_core import trainer as trainer_module
from tlab_core.dropout import Dropout
from tlab_core.residuals import RESIDUALS

RATE, SEED, STEP = 0.3, 5, 9
layouts = pytest.mark.parametrize("residual", RESIDUALS.names())


def fresh(sequences=2, rate=RATE):
    return Dropout.of_step(rate, SEED, STEP, range(sequences))


def masks_by_hand(count, sequences, length, width):
    """Return the first `count` masks (B, T, D) as the docstrings say: dice keyed by (seed, step, sequence)."""
    result = np.empty((count, sequences, length, width))
    for sequence in range(sequences):
        dice = np.random.Generator(np.random.SFC64(np.random.SeedSequence(SEED, spawn_key=(STEP, sequence))))
        for mask in result:
            kept = dice.random((length, width), dtype=np.float32) >= np.float32(RATE)
            mask[sequence] = kept / (1 - RATE)
    return result


@layouts
@pytest.mark.parametrize(("norm", "position"), [("RMSNorm", "Sinusoidal"), ("None", "Learned")])
def test_gradients_by_finite_differences(residual, norm, position):
    model = small_model(norm, residual, "GELU", position)
    tokens, targets = small_batch()
    loss, gradients = model.loss_and_grads(tokens, targets, dropout=fresh())
    assert loss != pytest.approx(model.loss_and_grads(tokens, targets)[0], rel=1e-3)
    dice = np.random.default_rng(1)
    for name, parameter in model.parameters.items():
        direction, start = dice.standard_normal(parameter.shape), parameter.copy()
        losses = []
        for sign in (1, -1):
            parameter[...] = start + sign * 1e-6 * direction
            losses.append(model.loss_and_grads(tokens, targets, dropout=fresh())[0])
        parameter[...] = start
        slope = (losses[0] - losses[1]) / 2e-6
        assert float((gradients[name] * direction).sum()) == pytest.approx(slope, rel=2e-5, abs=1e-8), name


@layouts
@pytest.mark.parametrize("position", ["RoPE", "Learned"])
def test_pytorch_gets_the_same_with_the_same_masks(residual, position):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[reference])")
    from tests.core.torch_transformer import TorchTransformer

    model = small_model("LayerNorm", residual, "SwiGLU", position)
    tokens, targets = small_batch()
    masks = iter(torch.tensor(masks_by_hand(5, *tokens.shape, 12)))
    reference = TorchTransformer(model.architecture, model.parameters, drop=lambda x: x * next(masks))
    expected = reference.loss(torch.tensor(tokens), torch.tensor(targets))
    expected.backward()
    assert next(masks, None) is None  # all five were met: the embedded text and two branches in each of two layers
    loss, gradients = model.loss_and_grads(tokens, targets, dropout=fresh())
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, reference.p[name].grad.numpy(), atol=1e-12, err_msg=name)


def test_a_share_is_silent_and_the_mean_stays():
    work = small_model(dtype="float32").workspace()
    y = fresh(4, rate=0.25).forward("here", np.ones((4 * 500, 12), np.float32), work)
    assert set(np.unique(y)) == {np.float32(0), np.float32(4 / 3)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.01)
    assert y.mean() == pytest.approx(1, abs=0.015)
    dy = np.full_like(y, 2)
    assert np.array_equal(Dropout(0.25, []).backward("here", dy, work), 2 * y)
    assert (dy == 2).all()


def test_no_two_places_steps_sequences_or_seeds_share_a_mask():
    work = small_model().workspace()

    def mask(dropout):
        return dropout.forward("here", np.ones((7, 12)), work).copy()

    one = fresh(1)
    seen = [mask(one), mask(one), mask(fresh(2).part(slice(1, 2)))]
    seen += [mask(Dropout.of_step(RATE, *key, range(1))) for key in ((SEED, STEP + 1), (SEED + 1, STEP))]
    assert all(not np.array_equal(a, b) for i, a in enumerate(seen) for b in seen[:i])
    assert np.array_equal(seen[0], mask(fresh(1)))


def test_pieces_and_traces_see_the_same_masks(monkeypatch):
    model = small_model()
    dice = np.random.default_rng(2)
    tokens, targets = dice.integers(0, 11, (2, 5, 7))
    loss, gradients = model.loss_and_grads(tokens, targets, dropout=fresh(5))
    twos = [slice(0, 2), slice(2, 4), slice(4, 5)]
    monkeypatch.setattr(model, "_pieces", lambda tokens: iter(twos))
    for trace in (None, lambda name, x: x):
        again, others = model.loss_and_grads(tokens, targets, trace, dropout=fresh(5))
        assert again == pytest.approx(loss, rel=1e-12)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(others[name], gradient, atol=1e-12, err_msg=name)


# ---- in training


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_who_works_changes_no_bit(executor):
    serial = trainer_of(dropout=0.2, executor="serial", gradient_accumulation_steps=2)
    other = trainer_of(dropout=0.2, executor=executor, gradient_accumulation_steps=2)
    try:
        for trainer in (serial, other):
            list(trainer.run(steps=6))
        same_bits(serial, other)
    finally:
        other.close()


def test_masks_do_not_depend_on_how_a_batch_is_cut():
    one, many, without = trainer_of(dropout=0.2, shards=1), trainer_of(dropout=0.2, shards=5), trainer_of(shards=1)
    for trainer in (one, many, without):
        list(trainer.run(steps=6))
    apart = np.abs(one.model.flat - without.model.flat).max()
    assert np.abs(one.model.flat - many.model.flat).max() < 0.02 * apart


def test_it_acts_from_the_next_step_on():
    turned, without = trainer_of(), trainer_of()
    for trainer in (turned, without):
        list(trainer.run(steps=3))
    assert np.array_equal(turned.model.flat, without.model.flat)
    turned.training.dropout = 0.5
    losses = [next(trainer.run()).loss for trainer in (turned, without)]
    assert abs(losses[0] - losses[1]) > 1e-3


def test_measuring_and_writing_know_no_dropout():
    trainer = trainer_of(dropout=0.9, statistics_every=2, eval_every=2)
    list(trainer.run(steps=2))
    plain = trainer_of(model=trainer.model, eval_every=2)
    assert trainer.evaluate() == plain.evaluate()
    plain.measure()
    for group, name in (("probe", "loss"), ("residual", "rms"), ("validation", "loss")):
        assert np.array_equal(trainer.history[group][name][-1], plain.history[group][name][-1]), group


def test_the_search_for_a_divergence_throws_the_same_dice(monkeypatch):
    trainer = trainer_of(dropout=0.2, executor="serial", gradient_accumulation_steps=2)
    list(trainer.run(steps=2))
    seen, searched = [], []
    honest = trainer.model.shard_loss_and_grads

    def state(dropout):
        return [str(dice.bit_generator.state) for dice in dropout.dice]

    def watched(tokens, targets, work, scale, trace=None, **more):
        seen.append((tokens.tolist(), scale, state(more["dropout"])))
        return honest(tokens, targets, work, scale, trace, **more)

    def search(model, shards, work, scale, objective):
        searched.extend((tokens.tolist(), scale, state(dropout)) for tokens, _, dropout in shards)

    monkeypatch.setattr(trainer.model, "shard_loss_and_grads", watched)
    monkeypatch.setattr(trainer_module, "find_first", search)
    trainer.model.flat[:] = np.nan
    assert next(trainer.run(steps=1)).divergence.step == 3
    assert len(searched) == 4  # two groups of two shards
    assert seen == searched
