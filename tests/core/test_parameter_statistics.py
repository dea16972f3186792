"""How large parameters, their gradients and their updates are: against sums in plain Python, at every scale."""

import math

import numpy as np
import pytest

from tlab_core.statistics import parameter_statistics
from tlab_core.transformer import Transformer


def test_against_the_formulas():
    dice = np.random.default_rng(0)
    names = ["w", "b"]
    now, gradients, before, start = (
        {"w": dice.standard_normal((3, 4)).astype(np.float32), "b": dice.standard_normal(5).astype(np.float32)}
        for _ in range(4)
    )
    statistics = parameter_statistics(names, now, gradients, before, start)

    def rms(a, b=None):
        b = np.zeros_like(a) if b is None else b
        differences = [x - y for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]
        return math.sqrt(math.fsum(d * d for d in differences) / len(differences))

    for place, name in enumerate(names):
        expected = {
            "weight_rms": rms(now[name]),
            "gradient_rms": rms(gradients[name]),
            "update_ratio": rms(now[name], before[name]) / rms(before[name]),
            "distance": rms(now[name], start[name]),
        }
        for statistic, value in expected.items():
            assert statistics[statistic][place] == pytest.approx(value, rel=1e-6), statistic


def test_the_fresh_model_has_not_moved():
    model = Transformer(vocab_size=10, hidden_dim=8, num_layers=2, num_heads=2)
    _, gradients = model.loss_and_grads([[1, 2, 3]], [[2, 3, 4]])
    names = list(model.parameters)
    statistics = parameter_statistics(names, model.parameters, gradients, None, model.parameters)
    assert np.isnan(statistics["update_ratio"]).all()
    assert (statistics["distance"] == 0).all()
    assert (statistics["gradient_rms"] > 0).all()
    assert np.isnan(parameter_statistics(names, model.parameters, None, None, model.parameters)["gradient_rms"]).all()


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12, 1e30])
def test_squares_neither_overflow_nor_vanish(size):
    dice = np.random.default_rng(0).standard_normal((4, 10_000)) * size
    now, gradients, before, start = ({"w": row.astype(np.float32)} for row in dice)
    statistics = parameter_statistics(["w"], now, gradients, before, start)
    now, gradients, before, start = (of["w"].astype(float) for of in (now, gradients, before, start))
    for name, expected in [
        ("weight_rms", math.hypot(*now) / 100),
        ("gradient_rms", math.hypot(*gradients) / 100),
        ("update_ratio", math.dist(now, before) / math.hypot(*before)),
        ("distance", math.dist(now, start) / 100),
    ]:
        assert statistics[name][0] == pytest.approx(expected, rel=2e-6), name


def test_what_has_broken_is_seen_to_be():
    fine, nan = {"w": np.ones(3, np.float32)}, {"w": np.array([1, np.nan, 1], np.float32)}
    infinite = {"w": np.array([1, np.inf, 1], np.float32)}
    statistics = parameter_statistics(["w"], nan, infinite, fine, fine)
    assert np.isnan([statistics[name][0] for name in ("weight_rms", "update_ratio", "distance")]).all()
    assert statistics["gradient_rms"][0] == np.inf


def test_there_is_no_ratio_to_zero():
    zero, one = {"b": np.zeros(3)}, {"b": np.ones(3)}
    statistics = parameter_statistics(["b"], one, one, zero, zero)
    assert np.isnan(statistics["update_ratio"][0])
    assert statistics["distance"][0] == 1
