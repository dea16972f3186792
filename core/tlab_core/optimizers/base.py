"""What all optimizers share: one pass over the flat buffer of parameters, in blocks, a part of it for each shard.

All parameters lie in one buffer, matrices first (see Transformer.flat), so an update is one pass over a few long arrays
instead of a loop over names. The pass goes in blocks that fit a core's cache, and `span` lets each thread take a part.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tlab_core.expected import Derived
from tlab_core.parallel import cut
from tlab_core.registry import Registry

if TYPE_CHECKING:
    from tlab_core.config import Training

BLOCK = 32_768  # numbers worked on at a time: five arrays of float32 make 640 kB, which stays in a core's own cache


def blocks(start: int, stop: int) -> Iterator[slice]:
    """Cut start ... stop into slices of BLOCK numbers, the last one shorter.

    >>> [(block.start, block.stop) for block in blocks(10, 40_000)]
    [(10, 32778), (32778, 40000)]
    """
    for begin in range(start, stop, BLOCK):
        yield slice(begin, min(stop, begin + BLOCK))


class Optimizer:
    """Moves every parameter by what its gradient says. What it remembers from step to step is arrays, as attributes.

    A subclass says how one block moves (`_update_block`). Weight decay, where there is some, is for matrices only: biases
    and gains stay.
    """

    uses: tuple[str, ...] = ()  # the settings of Training that it heeds, of those that not every optimizer does
    usual_learning_rate: float  # what one starts from with the lab's small models

    def __init__(self, parameters: np.ndarray, shapes: dict[str, tuple[int, ...]]):
        """Get ready to update the 1-D buffer `parameters`, laid out as parameters.flat_views does it for `shapes`."""
        self.parameters = parameters
        self.shapes = shapes
        self.matrix_size = sum(math.prod(shape) for shape in shapes.values() if len(shape) >= 2)

    def spans(self, parts: int) -> list[slice]:
        """Cut the buffer into at most `parts` slices that may be updated at once."""
        size = self.parameters.size
        return cut(size, min(parts, size))

    def update(
        self,
        gradient: np.ndarray,
        span: slice,
        update: int,
        learning_rate: float,
        training: "Training",
        scale: float = 1.0,
    ) -> None:
        """Make update number `update` (counted from 1) on the part `span` of the parameters, with `scale` · `gradient`.

        `scale` is how global-norm clipping comes in, at no cost; the gradient itself is only read.
        """
        scratch = np.empty(min(BLOCK, span.stop - span.start), self.parameters.dtype)
        for block in blocks(span.start, min(span.stop, self.matrix_size)):
            self._update_block(gradient, block, scratch, update, learning_rate, training, scale, training.weight_decay)
        for block in blocks(max(span.start, self.matrix_size), span.stop):
            self._update_block(gradient, block, scratch, update, learning_rate, training, scale, 0.0)

    def _update_block(self, gradient, block, scratch, update, learning_rate, training, scale, weight_decay) -> None:
        """Update the parameters in `block`; `scratch` has room for as many numbers."""
        raise NotImplementedError


OPTIMIZERS = Registry("optimizer", Derived(Optimizer), traits={"uses": ()})
