"""How the learning rate moves: it climbs during warm-up, then stays or goes down until the horizon.

Steps are counted as everywhere in the lab: step s is the state after s updates, so `learning_rate(s)` is the rate of the
update that leads to step s, and the first update is s = 1. With w warm-up steps, horizon S, peak rate r and final rate m:

    s <= w          r · s / w                       update 1 gets r / w, update w gets all of r
    w < s < S       from r down to m                by the schedule's own shape
    s >= S          m                               update S, and whatever is trained past the horizon

Without warm-up the first update gets all of r. `constant` has no final rate: it stays at r for good.
"""

import math
from typing import TYPE_CHECKING

from tlab_core.expected import Function
from tlab_core.registry import Registry

if TYPE_CHECKING:
    from tlab_core.config import Training

SCHEDULES = Registry("schedule", Function("step", "training", returns="a learning rate"))


def learning_rate(step: int, training: "Training") -> float:
    """Return the rate of the update that leads to `step` (counted from 1), by the schedule that `training` names."""
    return SCHEDULES.get(training.schedule)(step, training)


def warming_up(step: int, training: "Training") -> bool:
    """Tell whether update `step` still belongs to the climb."""
    return step < training.warmup_steps


def climb(step: int, training: "Training") -> float:
    """Return the rate during warm-up: peak · step / warmup_steps (Goyal et al. 2017, section 2.2)."""
    return training.learning_rate * step / training.warmup_steps


def progress(step: int, training: "Training") -> float:
    """Return how far update `step` is from the end of the warm-up (0) to the horizon (1)."""
    if step >= training.steps:
        return 1.0
    start = max(training.warmup_steps, 1)  # the first update to get the whole rate
    return max(0, step - start) / (training.steps - start)


@SCHEDULES.register("constant")
def constant(step: int, training: "Training") -> float:
    """Warm up, then keep the rate for good."""
    if warming_up(step, training):
        return climb(step, training)
    return training.learning_rate


@SCHEDULES.register("linear")
def linear(step: int, training: "Training") -> float:
    """Warm up, then go down in a straight line: r · share + m · (1 - share), share = 1 - progress."""
    if warming_up(step, training) and step < training.steps:
        return climb(step, training)
    return between(1.0 - progress(step, training), training)


@SCHEDULES.register("cosine")
def cosine(step: int, training: "Training") -> float:
    """Warm up, then go down along half a cosine: share = (1 + cos(π · progress)) / 2 (Loshchilov & Hutter 2017)."""
    if warming_up(step, training) and step < training.steps:
        return climb(step, training)
    return between((1.0 + math.cos(math.pi * progress(step, training))) / 2, training)


def between(share: float, training: "Training") -> float:
    """Return peak · share + final · (1 - share): exactly the peak at 1, exactly the final rate at 0."""
    return training.learning_rate * share + training.resolved_min_learning_rate * (1.0 - share)
