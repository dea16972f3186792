"""Several groups of sequences before one update are as good as one batch of them all."""

import numpy as np
import pytest

from tests.core.tiny_runs import model_of, same_bits, trainer_of
from tlab_core import trainer as trainer_module

ALL = {"dropout": 0.2, "label_smoothing": 0.1, "z_loss": 0.01}


@pytest.mark.parametrize("extra", [{}, ALL], ids=["plain", "all"])
@pytest.mark.parametrize("shards", [1, 2, 4])
def test_it_equals_one_large_batch(extra, shards):
    extra = {"shards": shards, **extra}
    whole = trainer_of(model=model_of(dtype="float64"), batch_size=12, **extra)
    groups = trainer_of(model=model_of(dtype="float64"), batch_size=4, gradient_accumulation_steps=3, **extra)
    for step in (1, 5):
        for one, other in zip(whole.batch(step), groups.batch(step), strict=True):
            assert one.shape == (12, 8)
            assert np.array_equal(one, other)
    start = whole.model.flat.copy()
    for one, other in zip(whole.run(steps=8), groups.run(steps=8), strict=False):
        assert other.loss == pytest.approx(one.loss, rel=1e-9)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-9)
        assert other.tokens == one.tokens == one.step * 12 * 8
    assert np.abs(whole.model.flat - start).max() > 0.01
    assert np.abs(whole.model.flat - groups.model.flat).max() < 1e-6  # Adam divides tiny gradients by their size


def test_a_gradient_by_hand():
    trainer = trainer_of(gradient_accumulation_steps=3, statistics_every=1)
    tokens, targets = trainer.batch(1)
    assert tokens.shape == (15, 8)
    loss, gradients = trainer.model.loss_and_grads(tokens, targets)
    record = next(trainer.run())
    assert record.loss == pytest.approx(loss, rel=1e-6)
    for name, gradient in trainer._at_hand().shards.work(0).gradients.items():
        np.testing.assert_allclose(gradient, gradients[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_who_works_changes_no_bit_also_when_it_is_turned_meanwhile(executor):
    serial, other = trainer_of(executor="serial"), trainer_of(executor=executor)
    try:
        for trainer in (serial, other):
            list(trainer.run(steps=2))
            trainer.training.gradient_accumulation_steps = 3
            list(trainer.run(steps=3))
            assert trainer.tokens == (2 + 3 * 3) * 5 * 8
        same_bits(serial, other)
    finally:
        other.close()


def test_a_divergence_is_looked_for_in_every_group(monkeypatch):
    trainer = trainer_of(gradient_accumulation_steps=3, shards=2)
    searched = []
    monkeypatch.setattr(trainer_module, "find_first", lambda model, shards, *rest: searched.extend(shards))
    trainer.model.flat[:] = np.nan
    [record] = trainer.run(steps=4)
    assert record.divergence.step == 1
    assert np.array_equal(np.concatenate([tokens for tokens, *_ in searched]), trainer.batch(1)[0])
    assert [len(tokens) for tokens, *_ in searched] == [3, 2] * 3
