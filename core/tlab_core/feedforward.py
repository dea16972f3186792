"""The feed-forward part: each position on its own is widened, bent by the activation, and narrowed again."""

import numpy as np

from tlab_core.activations import Activation
from tlab_core.linear import Linear
from tlab_core.parameters import Parameter
from tlab_core.workspace import Workspace


class FeedForward:
    """Look for patterns in one position's numbers and write what follows from them.

    Plain: y = f(x·U + b) · W_down + b. Gated: y = (f(x·G + b) ∘ (x·U + b)) · W_down + b.
    Shapes: x, y (N, D); inside (N, F) with F = `ff_dim`. Vaswani et al. 2017, section 3.3; gated: Shazeer 2020.
    """

    def __init__(self, name: str, dim: int, ff_dim: int, activation: type[Activation], *, use_bias: bool, std: float,
                 out_std: float):
        self.block, self.name, self.dim, self.ff_dim = name.removesuffix(".mlp"), name, dim, ff_dim
        self.activation = activation
        paths = ("gate", "up") if activation.gated else ("up",)
        self.paths = [Linear(f"{name}.{path}", dim, ff_dim, std, use_bias) for path in paths]
        self.down = Linear(f"{name}.down", ff_dim, dim, out_std, use_bias)

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of the linear layers by their full names."""
        named = {}
        for layer in (*self.paths, self.down):
            named |= layer.parameters()
        return named

    def forward(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the feed-forward branch's output for rows `x`."""
        N, F = len(x), self.ff_dim
        if work.cache is not None:
            paths = [path.read(x, work) for path in self.paths]
            self.activation.value(*paths, np.empty_like(paths[0]))
            return self.down.read(work.site(f"{self.block}.activation", paths[-1]), work)
        paths = [path.forward(x, work, add_bias=False) for path in self.paths]  # (N, F) each; the first one is bent
        slope = work.buffer(f"{self.name}.slope", N, F)
        for rows in work.blocks(N, F):
            for path, u in zip(self.paths, paths, strict=True):
                path.add_bias(u[rows], work)  # here, while the rows are in cache
            if work.trace is not None:
                paths[0][rows] = work.site(f"{self.block}.preactivation", paths[0])
            self.activation.forward(*(u[rows] for u in paths), slope[rows],
                                    work.buffer("mlp.scratch", rows.stop - rows.start, F))
        a = work.site(f"{self.block}.activation", paths[-1])
        y = self.down.forward(a, work, out=work.buffer("mlp.y", N, self.dim))
        return work.site(f"{self.block}.mlp", y)

    def backward(self, dy: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the gradient at `x` from that at the branch's output; add the parameters' gradients."""
        N, F = len(dy), self.ff_dim
        dy = work.site(f"{self.block}.mlp.gradient", dy)
        da = self.down.backward(dy, work, out=work.buffer("mlp.da", N, F))
        da = work.site(f"{self.block}.activation.gradient", da)
        # Slopes turn into gradients: the first path's in a buffer of its own, the second's where the first path was.
        du = [work.buffer(f"{self.name}.slope", N, F), *(work.buffer(f"{path.name}.y", N, F) for path in self.paths[:-1])]
        for rows in work.blocks(N, F):
            self.activation.backward(da[rows], *(slope[rows] for slope in du))
        du[0] = work.site(f"{self.block}.preactivation.gradient", du[0])
        dx = self.paths[0].backward(du[0], work, out=work.buffer("mlp.dx", N, self.dim))
        for path, gradient in zip(self.paths[1:], du[1:], strict=True):
            dx += path.backward(gradient, work, out=work.buffer("mlp.dx2", N, self.dim))
        return dx
