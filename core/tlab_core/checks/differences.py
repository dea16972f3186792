"""Gradients against central finite differences: the slope that a loss really has when an array moves a little."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tlab_core.checks.report import BOUND, Finding

# A right gradient is met at one of three step sizes: a step that crosses a kink, as ReLU's, is wrong at that size only.
SIZES = (1e-5, 1e-6, 1e-7)
FLOOR = 1e-4  # slopes far smaller than this are compared absolutely: rounding is all that is left of them

Loss = Callable[[], float]


class Slopes(NamedTuple):
    """A slope by finite differences, the same by backward, and how far they are apart."""

    numeric: float
    analytic: float
    error: float


def slope_along(loss: Loss, array: np.ndarray, direction: np.ndarray, size: float) -> float:
    """Return the loss's slope when an array moves along `direction`, (L(a + s·d) − L(a − s·d)) / 2s; the array stays."""
    start = array.copy()
    array[...] = start + size * direction
    above = loss()
    array[...] = start - size * direction
    below = loss()
    array[...] = start
    return (above - below) / (2 * size)


def compare_along(loss: Loss, array: np.ndarray, direction: np.ndarray, gradient: np.ndarray) -> Slopes:
    """Compare a gradient's slope along `direction` with the loss's own, at the step size that fits best.

    error = |numeric − analytic| / (|numeric| + |analytic| + 0.0001), infinite where either is not finite.
    """
    analytic = float((gradient * direction).sum())
    best = None
    for size in SIZES:
        numeric = slope_along(loss, array, direction, size)
        error = abs(numeric - analytic) / (abs(numeric) + abs(analytic) + FLOOR)
        found = Slopes(numeric, analytic, error if np.isfinite(error) else np.inf)
        best = found if best is None or found.error < best.error else best
        if best.error < BOUND:
            break
    return best


def compare_all(loss: Loss, array: np.ndarray, gradient: np.ndarray, dice: np.random.Generator, name: str, where: str,
                directions: int = 1, single: bool = False) -> Finding:
    """Return the worst comparison along some random directions, and of every single number if `single`."""
    chosen = [dice.standard_normal(array.shape) for _ in range(directions)]
    if single:
        for place in np.ndindex(array.shape):
            direction = np.zeros(array.shape)
            direction[place] = 1
            chosen.append(direction)
    errors = [compare_along(loss, array, direction, gradient).error for direction in chosen]
    return Finding(name, where, len(errors), max(errors, default=0.0))


def numeric_gradient(loss: Loss, array: np.ndarray) -> np.ndarray:
    """Return the whole gradient by finite differences, one number after the other."""
    found = np.empty(array.shape)
    for place in np.ndindex(array.shape):
        direction = np.zeros(array.shape)
        direction[place] = 1
        found[place] = slope_along(loss, array, direction, SIZES[1])
    return found
