"""A step size of its own for every parameter: Adam, and AdamW, which lets weights decay."""

import math

import numpy as np

from tlab_core.optimizers.base import OPTIMIZERS, Optimizer


@OPTIMIZERS.register("Adam")
class Adam(Optimizer):
    """Gives every parameter its own step size: the average gradient divided by the gradient's usual size.

    For update t, with gradient g and rate r:

        m = beta1 · m + (1 - beta1) · g               running average of the gradient
        v = beta2 · v + (1 - beta2) · g²              running average of its square
        p = p - r · (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + 1e-8)

    The divisions by 1 - beta^t make up for m and v starting from zero. It has no weight decay, for which there is AdamW: a
    decay of 0.1 in Adam's gradient, as one used to do it, keeps this lab's small models from learning more than how often
    each letter comes. They start from a rate of 0.003.

    Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1.
    """

    uses: tuple[str, ...] = ("beta1", "beta2")
    usual_learning_rate = 3e-3
    epsilon = 1e-8

    def __init__(self, parameters, shapes):
        super().__init__(parameters, shapes)
        self.average = np.zeros_like(parameters)
        self.square_average = np.zeros_like(parameters)

    def _update_block(self, gradient, block, scratch, update, learning_rate, training, scale, weight_decay):
        self._adapt(gradient, block, scratch, update, learning_rate, training, scale, 1.0)

    def _adapt(self, gradient, block, scratch, update, learning_rate, training, scale, decay):
        """Make Adam's update on parameters that are multiplied by `decay` before."""
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


@OPTIMIZERS.register("AdamW")
class AdamW(Adam):
    """Gives every parameter its own step size, as Adam does, and shrinks weight matrices a little at each step.

    For update t, with gradient g, rate r and weight decay d:

        m = beta1 · m + (1 - beta1) · g               running average of the gradient
        v = beta2 · v + (1 - beta2) · g²              running average of its square
        p = (1 - r · d) · p                           matrices only; biases, gains stay
        p = p - r · (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + 1e-8)

    The decay is apart from the gradient ("decoupled"), so that it isn't divided by the gradient's size. This lab's small
    models start from a rate of 0.003, the larger ones from 0.001.

    Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
    """

    uses = ("beta1", "beta2", "weight_decay")
    usual_learning_rate = 3e-3

    def _update_block(self, gradient, block, scratch, update, learning_rate, training, scale, weight_decay):
        decay = 1.0 - learning_rate * weight_decay
        self._adapt(gradient, block, scratch, update, learning_rate, training, scale, decay)
