"""The linear layer: every output channel is a weighted sum of the input channels."""

import numpy as np

from tlab_core.parameters import Parameter
from tlab_core.workspace import Workspace


class Linear:
    """Mix channels: y = x · W + b. Shapes: x (N, D), W (D, E), b (E,), y (N, E)."""

    def __init__(self, name: str, inputs: int, outputs: int, std: float, use_bias: bool):
        self.name, self.inputs, self.outputs, self.std, self.use_bias = name, inputs, outputs, std, use_bias
        self.weight, self.bias = f"{name}.weight", f"{name}.bias"

    def parameters(self) -> dict[str, Parameter]:
        """Return the weight and, where there is one, the bias by their full names."""
        named = {self.weight: Parameter((self.inputs, self.outputs), std=self.std)}
        if self.use_bias:
            named[self.bias] = Parameter((self.outputs,))
        return named

    def forward(self, x: np.ndarray, work: Workspace, out: np.ndarray | None = None, add_bias=True) -> np.ndarray:
        """Return x · W + b in `out` (a buffer of the layer's own unless given); keeps a reference to `x`.

        Without `add_bias` it is x · W alone, for a caller that goes over the result once more anyway.
        """
        y = work.buffer(f"{self.name}.y", len(x), self.outputs) if out is None else out
        np.matmul(x, work.parameters[self.weight], out=y)
        work.saved[self.name] = x
        if add_bias:
            self.add_bias(y, work)
        return y

    def read(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return x · W + b in a new array, in a pass that nothing will go back through."""
        y = x @ work.parameters[self.weight]
        if self.use_bias:
            y += work.parameters[self.bias]
        return y

    def add_bias(self, y: np.ndarray, work: Workspace) -> None:
        """Add b to some rows of x · W, if the layer has one."""
        if self.use_bias:
            y += work.parameters[self.bias]

    def backward(self, dy: np.ndarray, work: Workspace, out: np.ndarray) -> np.ndarray:
        """Return dx = dy · Wᵀ in `out`; add dW = xᵀ · dy and db = Σ dy over the rows."""
        x = work.saved[self.name]
        work.add_product(self.weight, x.T, dy)
        if self.use_bias:
            work.add_product(self.bias, work.ones(len(dy)), dy)
        return np.matmul(dy, work.parameters[self.weight].T, out=out)
