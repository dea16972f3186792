"""Steps straight down the slope, without and with momentum."""

import numpy as np

from tlab_core.optimizers.base import OPTIMIZERS, Optimizer


@OPTIMIZERS.register("SGD")
class SGD(Optimizer):
    """Takes every parameter a step against its gradient, all at the same rate; the steepest direction limits it.

    With gradient g and rate r:

        p = p - r · g

    It remembers nothing and has no weight decay. With this lab's small models one starts from a rate of 0.5, and it takes
    several times as many steps as AdamW. Robbins & Monro 1951, "A Stochastic Approximation Method".
    """

    usual_learning_rate = 0.5

    def _update_block(self, gradient, block, scratch, update, learning_rate, training, scale, weight_decay):
        p, g = self.parameters[block], gradient[block]
        t = scratch[: len(p)]
        np.multiply(g, learning_rate * scale, out=t)  # p = p - r · scale · g
        p -= t


@OPTIMIZERS.register("Momentum")
class Momentum(Optimizer):
    """Rolls down the slope like a heavy ball: what gradients agree on adds up, what they disagree on cancels.

    With gradient g and rate r:

        m = beta1 · m + g                             up to 1 / (1 - beta1) gradients long
        p = p - r · m

    It has no weight decay. With this lab's small models one starts from a rate of 0.2. Polyak 1964, "Some methods of
    speeding up the convergence of iteration methods"; the form is that of Sutskever et al. 2013 and of PyTorch, where the
    rate is outside of m.
    """

    uses = ("beta1",)
    usual_learning_rate = 0.2

    def __init__(self, parameters, shapes):
        super().__init__(parameters, shapes)
        self.average = np.zeros_like(parameters)

    def _update_block(self, gradient, block, scratch, update, learning_rate, training, scale, weight_decay):
        p, g, m = self.parameters[block], gradient[block], self.average[block]
        t = scratch[: len(p)]
        np.multiply(g, scale, out=t)  # m = beta1 · m + scale · g
        m *= training.beta1
        m += t
        np.multiply(m, learning_rate, out=t)  # p = p - r · m
        p -= t
