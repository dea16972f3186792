"""Both ends of the model: a table row for each token going in, a score for each token coming out."""

import numpy as np

from tlab_core.parameters import Parameter
from tlab_core.workspace import Workspace


class TokenEmbedding:
    """Look up each token's row: x = W[token]. Shapes: tokens (B, T), W (V, D), x (N, D)."""

    name = "token_embedding.weight"

    def __init__(self, vocab_size: int, dim: int, std: float):
        self.vocab_size, self.dim, self.std = vocab_size, dim, std

    def parameters(self) -> dict[str, Parameter]:
        """Return the table."""
        return {self.name: Parameter((self.vocab_size, self.dim), std=self.std)}

    def forward(self, tokens: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the rows of the tokens in the buffer that becomes the residual stream."""
        x = work.buffer("residual.x", tokens.size, self.dim)
        return np.take(work.parameters[self.name], tokens.ravel(), axis=0, out=x, mode="clip")

    def backward(self, dx: np.ndarray, tokens: np.ndarray, work: Workspace) -> None:
        """Add to dW[v] the gradients of all positions where token v stands: sorted by token, each is one run of rows."""
        order = np.argsort(tokens.ravel(), kind="stable")
        present, starts = np.unique(tokens.ravel()[order], return_index=True)
        work.gradients[self.name][present] += np.add.reduceat(dx[order], starts, axis=0)


class Head:
    """Score every token as the next one: logits = x · W, without a bias; tied, W is the token table turned over.

    Shapes: x (N, D), W (D, V) or the table (V, D), logits (N, V). Tied: Press & Wolf 2017, "Using the Output Embedding to
    Improve Language Models".
    """

    def __init__(self, vocab_size: int, dim: int, std: float, tied: bool):
        self.vocab_size, self.dim, self.std, self.tied = vocab_size, dim, std, tied

    def parameters(self) -> dict[str, Parameter]:
        """Return the weight, unless the token table serves."""
        return {} if self.tied else {"head.weight": Parameter((self.dim, self.vocab_size), std=self.std)}

    def forward(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the logits."""
        work.saved["head"] = x
        W = work.parameters[TokenEmbedding.name].T if self.tied else work.parameters["head.weight"]
        return np.matmul(x, W, out=work.buffer("logits", len(x), self.vocab_size))

    def backward(self, d_logits: np.ndarray, work: Workspace) -> np.ndarray:
        """Return dx = d_logits · Wᵀ; add dW = xᵀ · d_logits (tied: into the table's gradient)."""
        x, dx = work.saved["head"], work.buffer("head.dx", len(d_logits), self.dim)
        if self.tied:
            work.add_product(TokenEmbedding.name, d_logits.T, x)
            return np.matmul(d_logits, work.parameters[TokenEmbedding.name], out=dx)
        work.gradient(TokenEmbedding.name)  # empty it; tied, the product above has filled it
        work.add_product("head.weight", x.T, d_logits)
        return np.matmul(d_logits, work.parameters["head.weight"].T, out=dx)


class CrossEntropy:
    """How surprised the model is by what really comes next, in nats: −log softmax(logits)[target].

    Shapes: logits (N, V), targets (N,). The gradient at the logits is softmax(logits) − onehot(target), times `scale`.
    """

    @staticmethod
    def forward(logits: np.ndarray, targets: np.ndarray, work: Workspace) -> np.ndarray:
        """Return each position's loss (N,) in float64; the logits become the softmax's numerators."""
        largest = logits.max(axis=-1, keepdims=True)
        logits -= largest
        work.saved["softmax.largest"] = largest[:, 0]
        chosen = logits[np.arange(len(targets)), targets].astype(np.float64)
        np.exp(logits, out=logits)
        work.saved["softmax.total"] = total = logits @ np.ones(logits.shape[-1], logits.dtype)
        return np.log(total.astype(np.float64)) - chosen

    @staticmethod
    def backward(softmax: np.ndarray, targets: np.ndarray, scale: float, work: Workspace) -> np.ndarray:
        """Return scale · (softmax − onehot) in place of the numerators that forward left."""
        softmax *= (scale / work.saved["softmax.total"])[:, None]
        softmax[np.arange(len(targets)), targets] -= scale
        return softmax
