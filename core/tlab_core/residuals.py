"""Residual layouts: where the norms sit on the way from one block to the next. One class each.

A layout joins a branch f (attention or feed-forward) to the residual stream x. `forward` takes x as rows (N, D) and returns
the new x; `backward` takes the gradient at the new x and returns that at the old one. While training with dropout, what
joins x is thinned out first.
"""

import numpy as np

from tlab_core.expected import Derived
from tlab_core.registry import Registry
from tlab_core.workspace import Workspace


class ResidualLayout:
    """How one branch and its norms are wired to the residual stream; `position` is 1 for attention, 2 for feed-forward."""

    norms: tuple[str, ...] = ("norm",)  # names of the norms at each branch, in the order a signal meets them
    final_norm = True  # whether the stream is normed once more before the head
    norm_on_the_road = False  # whether a norm interrupts the residual stream itself

    def __init__(self, block: str, position: int, branch, make_norm):
        self.block, self.position, self.branch = block, position, branch
        names = [f"{block}.{norm}{position}" for norm in self.norms]
        self.layers = [make_norm(name) for name in names]

    def parameters(self) -> dict:
        """Return the parameters of the norms and of the branch by their full names."""
        named = {}
        for layer in (self.layers[0], self.branch, *self.layers[1:]):
            named |= layer.parameters()
        return named

    def _norm(self, index: int, x: np.ndarray, work: Workspace) -> np.ndarray:
        layer = self.layers[index]
        y = layer.forward(x, work)
        return work.site(layer.name, y) if layer.measured else y

    def _norm_backward(self, index: int, dy: np.ndarray, work: Workspace) -> np.ndarray:
        layer = self.layers[index]
        if layer.measured:
            dy = work.site(f"{layer.name}.gradient", dy)
        return layer.backward(dy, work)

    def _drop(self, y: np.ndarray, work: Workspace) -> np.ndarray:
        """Return what joins the stream of what the branch has written: all of it, unless dropout is at work."""
        return y if work.dropout is None else work.dropout.forward(f"{self.block}.dropout{self.position}", y, work)

    def _drop_backward(self, dy: np.ndarray, work: Workspace) -> np.ndarray:
        return dy if work.dropout is None else work.dropout.backward(f"{self.block}.dropout{self.position}", dy, work)

    def forward(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the residual stream after the branch."""
        raise NotImplementedError

    def backward(self, dy: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the gradient at the residual stream before the branch."""
        raise NotImplementedError


RESIDUALS = Registry("residual layout", Derived(ResidualLayout, "forward", "backward"),
                     traits={"norms": ("norm",), "final_norm": True, "norm_on_the_road": False})


@RESIDUALS.register("Pre-LN")
class PreLN(ResidualLayout):
    """Norm what the branch reads; the residual stream itself runs through untouched, and so does its gradient.

    x ← x + f(N(x)), with one more norm before the head. Xiong et al. 2020, "On Layer Normalization in the Transformer
    Architecture", figure 1 (b).
    """

    def forward(self, x, work):
        x += self._drop(self.branch.forward(self._norm(0, x, work), work), work)
        return x

    def backward(self, dy, work):
        d_branch = self.branch.backward(self._drop_backward(dy, work), work)
        dy += self._norm_backward(0, d_branch, work)  # y = x + f(N(x)): 1 + N′·f′
        return dy


@RESIDUALS.register("Post-LN")
class PostLN(ResidualLayout):
    """Norm the sum of stream and branch: every layer's norm stands on the road, and every gradient must pass them all.

    x ← N(x + f(x)), and no norm before the head. Vaswani et al. 2017, "Attention Is All You Need", section 3.1.
    """

    final_norm = False
    norm_on_the_road = True

    def forward(self, x, work):
        total = self._drop(self.branch.forward(x, work), work)
        total += x
        return self._norm(0, total, work)

    def backward(self, dy, work):
        d_total = self._norm_backward(0, dy, work)
        dx = work.buffer("residual.dx", *dy.shape)
        d_branch = self.branch.backward(self._drop_backward(d_total, work), work)
        np.add(d_total, d_branch, out=dx)  # y = N(x + f(x)): N′·(1 + f′)
        return dx


@RESIDUALS.register("Sandwich")
class Sandwich(ResidualLayout):
    """Norm what the branch reads and again what it writes; the residual stream itself runs through untouched.

    x ← x + N₂(f(N₁(x))), with one more norm before the head. Ding et al. 2021, "CogView", section 2.4.
    """

    norms = ("norm", "post_norm")

    def forward(self, x, work):
        x += self._drop(self._norm(1, self.branch.forward(self._norm(0, x, work), work), work), work)
        return x

    def backward(self, dy, work):
        d_branch = self.branch.backward(self._norm_backward(1, self._drop_backward(dy, work), work), work)
        dy += self._norm_backward(0, d_branch, work)  # y = x + N₂(f(N₁(x))): 1 + N₁′·f′·N₂′
        return dy
