"""Parameters as one flat buffer with named views, and the dice that fill them."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Parameter:
    """The shape of one parameter and what it starts as: dice with standard deviation `std`, or a constant."""

    shape: tuple[int, ...]
    std: float | None = None
    constant: float = 0.0


def flat_views(shapes: dict[str, tuple[int, ...]], dtype) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """Return one flat buffer of zeros, a view of it for each name, and how many of its numbers belong to matrices.

    Matrices lie in front and vectors behind, so that the optimizer, the gradient's norm and weight decay (on matrices
    only) are each one pass over one array. The dict keeps the order of `shapes`.

    >>> flat, views, matrix_size = flat_views({"bias": (2,), "weight": (3, 2)}, "float32")
    >>> list(views), flat.size, matrix_size
    (['bias', 'weight'], 8, 6)
    """
    flat = np.zeros(sum(map(math.prod, shapes.values())), dtype)
    matrix_size = sum(math.prod(shape) for shape in shapes.values() if len(shape) >= 2)
    return flat, named_views(flat, shapes), matrix_size


def named_views(flat: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return a view of a flat buffer for each name, laid out as `flat_views` says."""
    laid_out = sorted(shapes, key=lambda name: len(shapes[name]) < 2)  # stable: matrices first
    offsets, end = {}, 0
    for name in laid_out:
        offsets[name], end = end, end + math.prod(shapes[name])
    return {name: flat[offsets[name] : offsets[name] + math.prod(shape)].reshape(shape) for name, shape in shapes.items()}


def move(model: Any, flat: np.ndarray, *, keep: bool = True) -> None:
    """Let a model's parameters live in the buffer `flat` from now on; `model.parameters` stays the same dict.

    `keep` copies their values there; without it the model takes on the values that it finds.
    """
    if keep:
        flat[...] = model.flat
    model.flat = flat
    model.parameters.update(named_views(flat, model.shapes))


def fill(views: dict[str, np.ndarray], parameters: dict[str, Parameter], seed: int) -> None:
    """Fill each view with its starting value, every parameter from a stream of its own keyed by seed and name.

    Two models that differ in one knob therefore begin with identical untouched parts. The dice are drawn in float64 and
    then rounded, so that both precisions start from the same numbers.
    """
    for name, parameter in parameters.items():
        if parameter.std is None:
            views[name][...] = parameter.constant
            continue
        key = hashlib.sha256(name.encode()).digest()
        stream = np.random.default_rng([seed, int.from_bytes(key[:8], "little")])
        views[name][...] = parameter.std * stream.standard_normal(parameter.shape)
