"""Activations: the bend that lets feed-forward units switch on and off. One class each, forward and backward together.

An activation works in place on blocks that fit a core's cache. Going forward it already works out its slope, which needs
the same exponentials, and leaves it where its input was; backward is then one multiplication (1.2 to 1.5 times the speed
of a whole training step).
"""

import math

import numpy as np

from tlab_core.registry import Registry

ACTIVATIONS = Registry("activation")


class Activation:
    """An elementwise bend a = f(u)."""

    gated = False

    @staticmethod
    def forward(u: np.ndarray, a: np.ndarray, scratch: np.ndarray) -> None:
        """Write f(u) to `a` and the slope f′(u) over `u`; `scratch` has their shape."""
        raise NotImplementedError

    @staticmethod
    def backward(da: np.ndarray, u: np.ndarray) -> None:
        """Write du = f′(u) · da over `u`, which holds the slope since forward."""
        u *= da

    @classmethod
    def _value_and_slope(cls, x) -> tuple[np.ndarray, np.ndarray]:
        slope = np.array(x, float)
        value = np.empty_like(slope)
        cls.forward(slope, value, np.empty_like(slope))
        return value, slope

    @classmethod
    def curve(cls, x) -> np.ndarray:
        """Return f at each number of `x`, computed by the code that training runs."""
        return cls._value_and_slope(x)[0]

    @classmethod
    def derivative(cls, x) -> np.ndarray:
        """Return the slope of f at each number of `x`, computed by the code that training runs."""
        return cls._value_and_slope(x)[1]


@ACTIVATIONS.register("ReLU")
class ReLU(Activation):
    """Let positive numbers through and stop negative ones: f(u) = max(0, u). A unit that never fires never learns.

    Nair & Hinton 2010, "Rectified Linear Units Improve Restricted Boltzmann Machines".
    """

    @staticmethod
    def forward(u, a, scratch):
        np.maximum(u, 0, out=a)
        np.greater(u, 0, out=u, casting="unsafe")  # the slope is 1 or 0


@ACTIVATIONS.register("GELU")
class GELU(Activation):
    """Let a number through in proportion to how large it is among others; smooth, with a small dip below zero.

    f(u) = u · s with s = (1 + tanh(c·(u + 0.044715·u³))) / 2, c = √(2/π): the tanh form that GPT-2 uses.
    Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2.
    """

    @staticmethod
    def forward(u, a, scratch):
        c, s = math.sqrt(2 / math.pi), scratch
        np.multiply(u, u, out=s)  # u·u, since NumPy's u**3 costs 50 to 800 multiplications
        s *= c * 0.044715
        s += c
        s *= u
        np.tanh(s, out=s)
        s *= 0.5
        s += 0.5
        np.multiply(u, s, out=a)  # f = u·s
        # f′ = s + u·s′ = s + f · (1 − s) · (2c + 6c·0.044715·u²), since s′ = 2·s·(1 − s) · (c + 3c·0.044715·u²)
        u *= u
        u *= 6 * c * 0.044715
        u += 2 * c
        u *= a
        np.subtract(1, s, out=s)
        u *= s
        u -= s  # ... + s, as s now holds 1 − s
        u += 1


@ACTIVATIONS.register("Swish")
class Swish(Activation):
    """Let a number through in proportion to a soft switch set by the number itself (also called SiLU).

    f(u) = u · σ(u), σ(u) = 1 / (1 + e^(−u)). Ramachandran, Zoph & Le 2017, "Searching for Activation Functions".
    """

    @staticmethod
    def forward(u, a, scratch):
        s = scratch
        np.multiply(u, 0.5, out=s)  # σ(u) = (1 + tanh(u/2)) / 2 can't overflow
        np.tanh(s, out=s)
        s *= 0.5
        s += 0.5
        np.multiply(u, s, out=a)  # f = u·σ
        np.subtract(1, s, out=u)  # f′ = σ + u·σ·(1 − σ) = σ + f · (1 − σ)
        u *= a
        u += s


class Gated(Activation):
    """Two paths that multiply: one, bent by `bend`, decides how much of the other gets through. a = bend(g) · u."""

    gated = True
    bend: type[Activation]

    @classmethod
    def forward(cls, g: np.ndarray, u: np.ndarray, a: np.ndarray, scratch: np.ndarray) -> None:
        """Write bend(g) · u to `a`, the slope towards g, bend′(g) · u, over `g`, and that towards u, bend(g), over `u`."""
        cls.bend.forward(g, a, scratch)
        g *= u
        np.multiply(a, u, out=scratch)
        np.copyto(u, a)
        np.copyto(a, scratch)

    @staticmethod
    def backward(da: np.ndarray, g: np.ndarray, u: np.ndarray) -> None:
        """Write the gradients over `g` and `u`, which hold the slopes since forward."""
        g *= da
        u *= da

    @classmethod
    def _value_and_slope(cls, x):
        return cls.bend._value_and_slope(x)


@ACTIVATIONS.register("SwiGLU")
class SwiGLU(Gated):
    """A gate bent by Swish decides how much of a second, straight path gets through.

    a = Swish(x·G) · (x·U); the layer then mixes a with its down matrix. Shazeer 2020, "GLU Variants Improve
    Transformer", section 2.
    """

    bend = Swish


@ACTIVATIONS.register("GEGLU")
class GEGLU(Gated):
    """A gate bent by GELU decides how much of a second, straight path gets through.

    a = GELU(x·G) · (x·U). Shazeer 2020, "GLU Variants Improve Transformer", section 2.
    """

    bend = GELU
