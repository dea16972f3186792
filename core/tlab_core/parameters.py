"""Parameters as one flat buffer with named views, and the dice that fill them."""

import hashlib
import math
from dataclasses import dataclass

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
    laid_out = sorted(shapes, key=lambda name: len(shapes[name]) < 2)  # stable: matrices first
    sizes = {name: math.prod(shapes[name]) for name in laid_out}
    flat = np.zeros(sum(sizes.values()), dtype)
    offsets, end = {}, 0
    for name in laid_out:
        offsets[name], end = end, end + sizes[name]
    views = {name: flat[offsets[name] : offsets[name] + sizes[name]].reshape(shape) for name, shape in shapes.items()}
    return flat, views, sum(size for name, size in sizes.items() if len(shapes[name]) >= 2)


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
