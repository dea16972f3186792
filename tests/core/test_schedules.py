"""The learning rate at each step: the climb, the three shapes, the horizon and what lies past it."""

import math
from itertools import pairwise
from types import SimpleNamespace

import pytest

from tlab_core.registry import UnknownNameError
from tlab_core.schedules import SCHEDULES, learning_rate


def settings(schedule="cosine", peak=1e-3, final=1e-4, warmup=100, steps=2000):
    return SimpleNamespace(
        schedule=schedule,
        learning_rate=peak,
        resolved_min_learning_rate=final,
        warmup_steps=warmup,
        steps=steps,
    )


@pytest.mark.parametrize("schedule", SCHEDULES.names())
def test_the_climb_is_linear_and_its_last_step_gets_the_whole_rate(schedule):
    training = settings(schedule)
    rates = [learning_rate(step, training) for step in range(1, 101)]
    assert rates == pytest.approx([1e-3 * step / 100 for step in range(1, 101)], rel=1e-12)
    assert learning_rate(1, training) == pytest.approx(1e-5)
    assert learning_rate(100, training) == 1e-3


@pytest.mark.parametrize("schedule", SCHEDULES.names())
@pytest.mark.parametrize("warmup", [0, 1])
def test_without_warm_up_the_first_update_gets_the_whole_rate(schedule, warmup):
    training = settings(schedule, warmup=warmup)
    assert learning_rate(1, training) == 1e-3
    if schedule != "constant":
        assert learning_rate(2, training) < 1e-3


def test_cosine_between_warm_up_and_horizon():
    training = settings("cosine")
    assert learning_rate(1050, training) == pytest.approx((1e-3 + 1e-4) / 2)
    quarter = 100 + (2000 - 100) // 4
    assert learning_rate(quarter, training) == pytest.approx(1e-4 + 9e-4 * (1 + math.cos(math.pi / 4)) / 2)


def test_linear_between_warm_up_and_horizon():
    training = settings("linear")
    assert learning_rate(1050, training) == pytest.approx((1e-3 + 1e-4) / 2)
    assert learning_rate(100 + 190, training) == pytest.approx(1e-3 - 9e-4 * 0.1)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_final_rate_holds_at_and_past_the_horizon(schedule):
    training = settings(schedule)
    assert learning_rate(1999, training) > 1e-4
    assert [learning_rate(step, training) for step in (2000, 2001, 10**9)] == [1e-4] * 3


def test_constant_never_goes_down():
    training = settings("constant")
    assert {learning_rate(step, training) for step in (100, 500, 2000, 10**9)} == {1e-3}


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_rates_only_go_down_after_the_climb(schedule):
    training = settings(schedule, warmup=7, steps=60)
    rates = [learning_rate(step, training) for step in range(7, 70)]
    assert all(later <= earlier for earlier, later in pairwise(rates))
    assert len(set(rates)) > 50


@pytest.mark.parametrize("schedule", SCHEDULES.names())
@pytest.mark.parametrize(("warmup", "steps"), [(10, 10), (20, 10), (0, 1), (1, 1)])
def test_a_warm_up_as_long_as_the_horizon_divides_by_nothing(schedule, warmup, steps):
    training = settings(schedule, warmup=warmup, steps=steps)
    for step in range(1, 30):
        assert 0 < learning_rate(step, training) <= 1e-3


def test_the_trainings_default_is_a_tenth_at_the_end():
    from tlab_core.config import Training

    training = Training(learning_rate=0.02, steps=50, warmup_steps=5)
    assert learning_rate(50, training) == pytest.approx(0.002)
    assert learning_rate(5, training) == 0.02


def test_names_are_found_without_regard_to_case_and_the_nearest_is_offered():
    assert SCHEDULES.names() == ["constant", "linear", "cosine"]
    assert learning_rate(2000, settings("Cosine")) == 1e-4
    with pytest.raises(UnknownNameError, match="unknown schedule 'cosin'.*Did you mean 'cosine'"):
        learning_rate(1, settings("cosin"))
