"""Steps of one size, up or down: only the gradient's sign counts."""

import numpy as np

from tlab_core.optimizers.base import OPTIMIZERS, Optimizer


@OPTIMIZERS.register("Lion")
class Lion(Optimizer):
    """Moves every parameter by exactly the rate, up or down: only the sign of the remembered gradient counts.

    With gradient g, rate r and weight decay d:

        c = beta1 · m + (1 - beta1) · g               what decides the direction
        p = (1 - r · d) · p                           matrices only; biases, gains stay
        p = p - r · sign(c)
        m = beta2 · m + (1 - beta2) · g               what is remembered, for longer

    No number moves less than the rate, which is therefore smaller than AdamW's: this lab's small models start from 0.002.
    It keeps one array where Adam keeps two.

    Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", program 1.
    """

    uses = ("beta1", "beta2", "weight_decay")
    usual_learning_rate = 2e-3

    def __init__(self, parameters, shapes):
        super().__init__(parameters, shapes)
        self.average = np.zeros_like(parameters)

    def _update_block(self, gradient, block, scratch, update, learning_rate, training, scale, weight_decay):
        p, g, m = self.parameters[block], gradient[block], self.average[block]
        t, decay = scratch[: len(p)], 1.0 - learning_rate * weight_decay

        # beta · m + (1 - beta) · g  =  m + (1 - beta) · (g - m), which needs one array less
        np.multiply(g, scale, out=t)  # c = m + (1 - beta1) · (scale · g - m)
        t -= m
        t *= 1.0 - training.beta1
        t += m
        step = np.sign(t)  # p = decay · p - r · sign(c); NumPy's sign is ten times slower in place
        step *= learning_rate
        if decay != 1.0:
            p *= decay
        p -= step
        np.multiply(g, scale, out=t)  # m = m + (1 - beta2) · (scale · g - m)
        t -= m
        t *= 1.0 - training.beta2
        m += t
