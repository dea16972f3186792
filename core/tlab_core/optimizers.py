"""How a gradient becomes a step: each optimizer updates one flat buffer of parameters in place.

All parameters lie in one buffer, matrices first (see Transformer.flat), so an update is one pass over a few long arrays
instead of a loop over names. The pass goes in blocks that fit a core's cache, and `span` lets each thread take a part.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tlab_core.registry import Registry

if TYPE_CHECKING:
    from tlab_core.config import Training

OPTIMIZERS = Registry("optimizer")

BLOCK = 32_768  # numbers worked on at a time: five arrays of float32 make 640 kB, which stays in a core's own cache


def blocks(start: int, stop: int) -> Iterator[slice]:
    """Cut start ... stop into slices of BLOCK numbers, the last one shorter.

    >>> [(block.start, block.stop) for block in blocks(10, 40_000)]
    [(10, 32778), (32778, 40000)]
    """
    for begin in range(start, stop, BLOCK):
        yield slice(begin, min(stop, begin + BLOCK))


@OPTIMIZERS.register("AdamW")
class AdamW:
    """Gives every parameter its own step size: the average gradient divided by the gradient's usual size.

    For update t, with gradient g, rate r and weight decay d:

        m = beta1 · m + (1 - beta1) · g               running average of the gradient
        v = beta2 · v + (1 - beta2) · g²              running average of its square
        p = (1 - r · d) · p                           matrices only; biases, gains stay
        p = p - r · (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + 1e-8)

    The divisions by 1 - beta^t make up for m and v starting from zero. The decay is apart from the gradient ("decoupled"),
    so that it isn't divided by the gradient's size.

    Kingma & Ba 2015 (Adam), Loshchilov & Hutter 2019 (AdamW).
    """

    epsilon = 1e-8

    def __init__(self, parameters: np.ndarray, matrix_size: int):
        """Start with zero averages for the 1-D buffer `parameters`, whose first `matrix_size` numbers are matrices."""
        self.parameters = parameters
        self.matrix_size = matrix_size
        self.average = np.zeros_like(parameters)
        self.square_average = np.zeros_like(parameters)

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
        decay = 1.0 - learning_rate * training.weight_decay
        scratch = np.empty(min(BLOCK, span.stop - span.start), self.parameters.dtype)
        matrices = blocks(span.start, min(span.stop, self.matrix_size))
        vectors = blocks(max(span.start, self.matrix_size), span.stop)
        for block in matrices:
            self._update_block(gradient, block, scratch, update, learning_rate, training, scale, decay)
        for block in vectors:
            self._update_block(gradient, block, scratch, update, learning_rate, training, scale, 1.0)

    def _update_block(self, gradient, block, scratch, update, learning_rate, training, scale, decay):
        beta1, beta2 = training.beta1, training.beta2
        # Both corrections leave the loop, with a = 1 - beta1^t and b = sqrt(1 - beta2^t):
        # r · (m / a) / (sqrt(v) / b + epsilon)  =  (r · b / a) · m / (sqrt(v) + epsilon · b)
        correction = math.sqrt(1.0 - beta2**update)
        rate = learning_rate * correction / (1.0 - beta1**update)
        p, g, m, v = self.parameters[block], gradient[block], self.average[block], self.square_average[block]
        t = scratch[: len(p)]

        np.multiply(g, scale * (1.0 - beta1), out=t)  # m = beta1 · m + (1 - beta1) · scale · g
        m *= beta1
        m += t
        np.multiply(g, scale * math.sqrt(1.0 - beta2), out=t)  # v = beta2 · v + (1 - beta2) · (scale · g)²
        t *= t
        v *= beta2
        v += t
        np.sqrt(v, out=t)  # p = decay · p - rate · m / (sqrt(v) + epsilon · correction)
        t += self.epsilon * correction
        np.divide(m, t, out=t)
        t *= rate
        if decay != 1.0:
            p *= decay
        p -= t
