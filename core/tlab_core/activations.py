"""Activations: the bend that lets feed-forward units switch on and off. One class each, forward and backward together.

An activation works in place on blocks that fit a core's cache: its value takes the place of its input. Going forward it
already works out its slope, which needs the same exponentials; backward is then one multiplication (1.2 to 1.5 times the
speed of a whole training step).
"""

import math

import numpy as np

from tlab_core.expected import Derived
from tlab_core.registry import Registry


class Activation:
    """An elementwise bend a = f(u)."""

    gated = False

    @staticmethod
    def forward(u: np.ndarray, slope: np.ndarray, scratch: np.ndarray) -> None:
        """Write a = f(u) over `u` and f′(u) to `slope`; `scratch` has their shape."""
        raise NotImplementedError

    @classmethod
    def value(cls, u: np.ndarray, scratch: np.ndarray) -> None:
        """Write f(u) over `u` where nobody will ask for the slope."""
        cls.forward(u, np.empty_like(u), scratch)

    @staticmethod
    def backward(da: np.ndarray, slope: np.ndarray) -> None:
        """Write du = f′(u) · da over `slope`."""
        slope *= da

    @classmethod
    def _value_and_slope(cls, x) -> tuple[np.ndarray, np.ndarray]:
        value = np.array(x, np.result_type(np.asarray(x).dtype, np.float32))  # whole numbers become float64
        slope = np.empty_like(value)
        cls.forward(value, slope, np.empty_like(value))
        return value, slope

    @classmethod
    def curve(cls, x) -> np.ndarray:
        """Return f at each number of `x`, computed by the code that training runs."""
        return cls._value_and_slope(x)[0]

    @classmethod
    def derivative(cls, x) -> np.ndarray:
        """Return the slope of f at each number of `x`, computed by the code that training runs."""
        return cls._value_and_slope(x)[1]


ACTIVATIONS = Registry("activation", Derived(Activation, "forward"), traits={"gated": False})


@ACTIVATIONS.register("ReLU")
class ReLU(Activation):
    """Let positive numbers through and stop negative ones: f(u) = max(0, u). A unit that never fires never learns.

    Nair & Hinton 2010, "Rectified Linear Units Improve Restricted Boltzmann Machines".
    """

    @staticmethod
    def forward(u, slope, scratch):
        np.greater(u, 0, out=slope, casting="unsafe")  # 1 or 0
        np.maximum(u, 0, out=u)

    @staticmethod
    def value(u, scratch):
        np.maximum(u, 0, out=u)


@ACTIVATIONS.register("GELU")
class GELU(Activation):
    """Let a number through in proportion to how large it is among others; smooth, with a small dip below zero.

    f(u) = u · s with s = (1 + tanh(c·(u + 0.044715·u³))) / 2, c = √(2/π): the tanh form that GPT-2 uses.
    Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2.
    """

    @staticmethod
    def _switch(u, square, s):
        c = math.sqrt(2 / math.pi)
        np.square(u, out=square)  # NumPy's u**3 costs 50 to 800 multiplications
        np.multiply(square, c * 0.044715, out=s)
        s += c
        s *= u
        np.tanh(s, out=s)
        s *= 0.5
        s += 0.5

    @classmethod
    def value(cls, u, scratch):
        cls._switch(u, scratch, scratch)
        u *= scratch

    @classmethod
    def forward(cls, u, slope, scratch):
        c, s = math.sqrt(2 / math.pi), scratch
        cls._switch(u, slope, s)
        slope *= 6 * c * 0.044715  # r = 2c + 6c·0.044715·u², as s′ = s · (1 − s) · r
        slope += 2 * c
        u *= s  # f = u·s
        # f′ = s + u·s′ = s + f·(1 − s)·r = 1 + (1 − s) · (f·r − 1): three passes fewer than the form in the middle
        slope *= u
        slope -= 1
        np.subtract(1, s, out=s)
        slope *= s
        slope += 1


@ACTIVATIONS.register("Swish")
class Swish(Activation):
    """Let a number through in proportion to a soft switch set by the number itself (also called SiLU).

    f(u) = u · σ(u), σ(u) = 1 / (1 + e^(−u)). Ramachandran, Zoph & Le 2017, "Searching for Activation Functions".
    """

    @staticmethod
    def _switch(u, s):
        np.multiply(u, 0.5, out=s)  # σ(u) = (1 + tanh(u/2)) / 2 can't overflow
        np.tanh(s, out=s)
        s *= 0.5
        s += 0.5

    @classmethod
    def value(cls, u, scratch):
        cls._switch(u, scratch)
        u *= scratch

    @classmethod
    def forward(cls, u, slope, scratch):
        s = scratch
        cls._switch(u, s)
        u *= s  # f = u·σ
        np.subtract(1, s, out=slope)  # f′ = σ + u·σ·(1 − σ) = σ + f · (1 − σ)
        slope *= u
        slope += s


class Gated(Activation):
    """Two paths that multiply: one, bent by `bend`, decides how much of the other gets through. a = bend(g) · u."""

    gated = True
    bend: type[Activation]

    @classmethod
    def forward(cls, g: np.ndarray, u: np.ndarray, slope: np.ndarray, scratch: np.ndarray) -> None:
        """Write a = bend(g) · u over `u`; its slope towards g, bend′(g) · u, to `slope`; towards u, bend(g), over `g`."""
        cls.bend.forward(g, slope, scratch)
        slope *= u
        u *= g

    @classmethod
    def value(cls, g: np.ndarray, u: np.ndarray, scratch: np.ndarray) -> None:
        """Write bend(g) · u over `u`."""
        cls.bend.value(g, scratch)
        u *= g

    @staticmethod
    def backward(da: np.ndarray, slope: np.ndarray, g: np.ndarray) -> None:
        """Write dg over `slope` and du over `g`, which hold the slopes since forward."""
        slope *= da
        g *= da

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
