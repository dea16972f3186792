"""Norms: bring each position's numbers to a steady size. One class each, forward and backward side by side."""

import numpy as np

from tlab_core.expected import Derived
from tlab_core.parameters import Parameter
from tlab_core.registry import Registry
from tlab_core.workspace import Workspace, row_blocks

EPSILON = 1e-5


class Norm:
    """A layer from rows (N, D) to rows (N, D). `forward` and `backward` each return a buffer of their own."""

    measured = True  # False where the norm does nothing, so that there is nothing to look at

    def __init__(self, name: str, dim: int, use_bias: bool):
        self.name, self.dim, self.use_bias = name, dim, use_bias
        self.weight, self.bias = f"{name}.weight", f"{name}.bias"

    def parameters(self) -> dict[str, Parameter]:
        """Return the norm's parameters by their full names."""
        return {}

    def forward(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the norm of `x`, and keep in `work` what backward needs."""
        raise NotImplementedError

    def backward(self, dy: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the gradient at the input from `dy`, the gradient at the output; add the parameters' gradients."""
        raise NotImplementedError


NORMS = Registry("norm", Derived(Norm, "forward", "backward"), traits={"measured": True})


@NORMS.register("LayerNorm")
class LayerNorm(Norm):
    """Centre each position's numbers on zero, scale them to a spread of one, then stretch and shift each channel.

    y = w · (x − mean(x)) / √(var(x) + ε) + b, over the D channels of a position. Shapes (N, D) → (N, D), ε = 1e-5.
    Ba, Kiros & Hinton 2016, "Layer Normalization", section 3.
    """

    def parameters(self):
        named = {self.weight: Parameter((self.dim,), constant=1.0)}
        if self.use_bias:
            named[self.bias] = Parameter((self.dim,))
        return named

    def forward(self, x, work):
        N, D = x.shape
        w, b = work.parameters[self.weight], work.parameters.get(self.bias)
        if work.cache is not None:
            mean = work.mean(D)
            u = x - x @ mean
            u /= np.sqrt((u * u) @ mean + EPSILON)
            u *= w
            return u if b is None else np.add(u, b, out=u)
        y, unit, scale = work.buffer(f"{self.name}.y", N, D), work.buffer(f"{self.name}.unit", N, D), \
            work.buffer(f"{self.name}.scale", N, 1)
        average = np.full(D, 1 / D, x.dtype)
        for rows in row_blocks(N, D):
            u, r = unit[rows], scale[rows]
            np.subtract(x[rows], (x[rows] @ average)[:, None], out=u)  # x − mean(x); a product is a fast mean
            np.divide(1, np.sqrt(np.vecdot(u, u)[:, None] / D + EPSILON), out=r)
            u *= r
            np.multiply(u, w, out=y[rows])
            if b is not None:
                y[rows] += b
        return y

    def backward(self, dy, work):
        # y = w·u + b with u = (x − mean(x))·r: moving x moves u directly, through the mean and through the scale r.
        # dx = r · (g − mean(g) − u · mean(g·u)), where g = w·dy
        N, D = dy.shape
        w = work.parameters[self.weight]
        unit, scale = work.buffer(f"{self.name}.unit", N, D), work.buffer(f"{self.name}.scale", N, 1)
        dx, product = work.buffer("norm.dx", N, D), work.buffer("norm.product", N, D)
        average, ones = np.full(D, 1 / D, dy.dtype), work.ones(N)
        dw = work.gradient(self.weight)
        for rows in row_blocks(N, D):
            g, u, t = dx[rows], unit[rows], product[rows]
            np.multiply(dy[rows], u, out=t)
            dw += ones[rows] @ t
            np.multiply(dy[rows], w, out=g)
            mean_gu, mean_g = (t @ (w * average))[:, None], (g @ average)[:, None]
            np.multiply(u, mean_gu, out=t)
            g -= t
            g -= mean_g
            g *= scale[rows]
        if self.use_bias:
            work.add_product(self.bias, ones, dy)
        return dx


@NORMS.register("RMSNorm")
class RMSNorm(Norm):
    """Scale each position's numbers to a root mean square of one, then stretch each channel; nothing is centred.

    y = w · x / √(mean(x²) + ε), over the D channels of a position. Shapes (N, D) → (N, D), ε = 1e-5. No bias.
    Zhang & Sennrich 2019, "Root Mean Square Layer Normalization".
    """

    def parameters(self):
        return {self.weight: Parameter((self.dim,), constant=1.0)}

    def forward(self, x, work):
        N, D = x.shape
        w = work.parameters[self.weight]
        if work.cache is not None:
            return x / np.sqrt((x * x) @ work.mean(D) + EPSILON) * w
        y, unit, scale = work.buffer(f"{self.name}.y", N, D), work.buffer(f"{self.name}.unit", N, D), \
            work.buffer(f"{self.name}.scale", N, 1)
        for rows in row_blocks(N, D):
            u, r = unit[rows], scale[rows]
            np.divide(1, np.sqrt(np.vecdot(x[rows], x[rows])[:, None] / D + EPSILON), out=r)
            np.multiply(x[rows], r, out=u)
            np.multiply(u, w, out=y[rows])
        return y

    def backward(self, dy, work):
        # y = w·u with u = x·r: moving x moves u directly and through the scale r.
        # dx = r · (g − u · mean(g·u)), where g = w·dy
        N, D = dy.shape
        w = work.parameters[self.weight]
        unit, scale = work.buffer(f"{self.name}.unit", N, D), work.buffer(f"{self.name}.scale", N, 1)
        dx, product = work.buffer("norm.dx", N, D), work.buffer("norm.product", N, D)
        w_average, ones = w * (1 / D), work.ones(N)
        dw = work.gradient(self.weight)
        for rows in row_blocks(N, D):
            g, u, t = dx[rows], unit[rows], product[rows]
            np.multiply(dy[rows], u, out=t)
            dw += ones[rows] @ t
            mean_gu = (t @ w_average)[:, None]
            np.multiply(dy[rows], w, out=g)
            np.multiply(u, mean_gu, out=t)
            g -= t
            g *= scale[rows]
        return dx


@NORMS.register("None")
class NoNorm(Norm):
    """Leave the numbers as they come: y = x. Sizes then drift from layer to layer, which is the thing to see."""

    measured = False

    def forward(self, x, work):
        # A copy, since the residual stream may be added to in place while the branch still needs its input.
        y = work.buffer(f"{self.name}.y", *x.shape)
        np.copyto(y, x)
        return y

    def backward(self, dy, work):
        dx = work.buffer("norm.dx", *dy.shape)
        np.copyto(dx, dy)
        return dx
