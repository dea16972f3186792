"""Parameters as one flat buffer with named views, and the dice that fill them."""

import hashlib
import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Parameter:
    """The shape of one parameter and what it starts as: dice with standard deviation `std`, or a constant."""

    shape: tuple[int, ...]
    std: float | None = None
    constant: float = 0.0


def flat_views(shapes: dict[str, tuple[int, ...]], dtype) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return one flat buffer of zeros, and a view of it for each name.

    Matrices lie in front and vectors behind, so that the optimizer, the gradient's norm and weight decay (on matrices
    only) are each one pass over one array. The dict keeps the order of `shapes`.

    >>> flat, views = flat_views({"bias": (2,), "weight": (3, 2)}, "float32")
    >>> list(views), flat.size
    (['bias', 'weight'], 8)
    """
    flat = np.zeros(sum(map(math.prod, shapes.values())), dtype)
    return flat, named_views(flat, shapes)


def places(shapes: dict[str, tuple[int, ...]]) -> dict[str, slice]:
    """Return where in a flat buffer each parameter lies, in the order of the buffer: matrices first.

    >>> places({"bias": (2,), "weight": (3, 2)})
    {'weight': slice(0, 6, None), 'bias': slice(6, 8, None)}
    """
    laid_out = sorted(shapes, key=lambda name: len(shapes[name]) < 2)  # stable: each kind keeps its order
    ends = accumulate(math.prod(shapes[name]) for name in laid_out)
    return {name: slice(end - math.prod(shapes[name]), end) for name, end in zip(laid_out, ends, strict=True)}


def named_views(flat: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return a view of a flat buffer for each name, laid out as `flat_views` says."""
    where = places(shapes)
    return {name: flat[where[name]].reshape(shape) for name, shape in shapes.items()}


def move(model: Any, flat: np.ndarray) -> None:
    """Let a model's parameters live in the buffer `flat` from now on; `model.parameters` stays the same dict."""
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
