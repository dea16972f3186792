"""Position encodings: how the model knows where a character stands. One class each.

An encoding may act in three places: on the embeddings (`embed`), on queries and keys (`rotate`), and on the match scores
(`bias`). The base class acts in none of them.
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tlab_core.expected import Derived
from tlab_core.parameters import Parameter
from tlab_core.registry import Registry
from tlab_core.workspace import Workspace, row_blocks

if TYPE_CHECKING:
    from tlab_core.config import Architecture

class PositionEncoding:
    """Where a character stands, told to the model in up to three places."""

    needs_even_head_dim = False
    table = False  # True where something is added to the embeddings

    def __init__(self, architecture: "Architecture"):
        self.architecture = architecture
        self._tables: dict = {}

    def parameters(self) -> dict[str, Parameter]:
        """Return the encoding's parameters by their full names."""
        return {}

    def embed(self, x: np.ndarray, work: Workspace) -> None:
        """Change the embeddings x (batch, length, D) in place."""

    def embed_backward(self, dx: np.ndarray, work: Workspace) -> None:
        """Turn dx, the gradient after `embed`, into the gradient before it, in place; add the parameters' gradients."""

    def rotate(self, x: np.ndarray, past: int = 0) -> None:
        """Change queries or keys x (..., heads, length, head_dim), the first of which stands at `past`, in place."""

    def rotate_backward(self, dx: np.ndarray) -> None:
        """Turn the gradient after `rotate` into the gradient before it, in place."""

    def bias(self, length: int) -> np.ndarray | None:
        """Return what is added to the match scores, (heads, query, key), or None. It has no gradient to learn from."""
        return None

    @cached_property
    def biased(self) -> bool:
        """Tell whether anything is added to the match scores."""
        return self.bias(1) is not None

    def mask(self, length: int, dtype, past: int = 0) -> np.ndarray | None:
        """Return what is added to the match scores, (1 or heads, query, key): −∞ on the future, and the bias.

        The queries are `length` positions after the first `past`, the keys all up to the last query: a single one after
        others has no future, and None is returned unless there is a bias.
        """
        if past and length == 1 and not self.biased:
            return None

        def make(size):
            future = np.triu(np.full((1, size, size), -np.inf), 1)
            bias = self.bias(size)
            return (future if bias is None else future + bias).astype(dtype)

        stop = past + length
        return self._table(("mask", dtype), stop, make)[:, past:stop, :stop]

    def _table(self, key, length: int, make: Callable[[int], np.ndarray]) -> np.ndarray:
        """Return make(size) for some size of at least `length`, kept and only ever replaced by one twice as long.

        Generation asks for every length in turn: one table for each would soon be most of the memory.
        """
        size, table = self._tables.get(key, (0, None))
        if size < length:
            size = max(length, 2 * size)
            table = make(size)
            self._tables[key] = size, table
        return table


POSITIONS = Registry("position encoding", Derived(PositionEncoding), traits={"needs_even_head_dim": False, "table": False})


@POSITIONS.register("Sinusoidal")
class Sinusoidal(PositionEncoding):
    """Add to each position a fixed pattern of waves, from fast to slow, after scaling the embeddings up to match.

    x ← √D · x + table, table[t, 2i] = sin(t / 10000^(2i/D)), table[t, 2i+1] = cos(the same). Shapes (B, T, D).
    Vaswani et al. 2017, "Attention Is All You Need", sections 3.4 and 3.5.
    """

    table = True

    def waves(self, length: int) -> np.ndarray:
        """Return the pattern (length, D)."""
        D = self.architecture.hidden_dim
        angles = np.outer(np.arange(length), 10_000.0 ** (-np.arange(0, D, 2) / D))
        pattern = np.empty((length, D))
        pattern[:, 0::2] = np.sin(angles)
        pattern[:, 1::2] = np.cos(angles[:, : D // 2])
        return pattern

    def embed(self, x, work):
        x *= math.sqrt(x.shape[-1])
        stop = work.past + x.shape[1]
        x += self._table(x.dtype, stop, lambda size: self.waves(size).astype(x.dtype))[work.past : stop]

    def embed_backward(self, dx, work):
        dx *= math.sqrt(dx.shape[-1])


@POSITIONS.register("RoPE")
class RoPE(PositionEncoding):
    """Turn each query and key by an angle that grows with its position, so that their match depends on distance only.

    Channels i and i + d/2 of a head (d = head_dim) form a point in the plane, turned by t · 10000^(−2i/d):
    (a, b) ← (a·cos − b·sin, b·cos + a·sin). Shapes (..., H, T, d); d must be even.
    Su et al. 2021, "RoFormer", section 3.4, in the halves layout of GPT-NeoX.
    """

    needs_even_head_dim = True

    def _turn(self, x: np.ndarray, direction: int, past: int = 0) -> None:
        d, stop = x.shape[-1], past + x.shape[-2]

        def angles(size):
            turns = np.outer(np.arange(size), 10_000.0 ** (-np.arange(0, d, 2) / d))
            cos, sin = np.cos(turns), np.sin(turns)
            return np.stack([[cos, cos], [-sin, sin]]).transpose(0, 2, 1, 3).astype(x.dtype)

        cos, sin = self._table(x.dtype, stop, angles)[:, past:stop]  # (length, 2, d/2) each: for a, for b
        for part in row_blocks(len(x), x[0].size):  # a few sequences at a time, so that the copies stay in cache
            halves = x[part].reshape(*x[part].shape[:-1], 2, d // 2)  # a view: a is [..., 0, :], b is [..., 1, :]
            other = halves[..., ::-1, :] * sin  # (−b·sin, a·sin)
            halves *= cos
            if direction > 0:
                halves += other
            else:
                halves -= other

    def rotate(self, x, past=0):
        self._turn(x, +1, past)

    def rotate_backward(self, dx):
        self._turn(dx, -1)  # a rotation's transpose is the rotation back


@POSITIONS.register("ALiBi")
class ALiBi(PositionEncoding):
    """Lower each match score in proportion to the distance looked back, with a slope of its own for each head.

    score[h, q, k] ← score − m_h · (q − k); for H = 2^n heads m_h = 2^(−8(h+1)/H); otherwise the slopes of the next lower
    power of two, filled up with every other slope of the next higher. Shapes (H, T, T).
    Press, Smith & Lewis 2022, "Train Short, Test Long", section 3 and its code.
    """

    @staticmethod
    def slopes(heads: int) -> np.ndarray:
        """Return the slope of each head.

        >>> ALiBi.slopes(4).tolist()
        [0.25, 0.0625, 0.015625, 0.00390625]
        >>> ALiBi.slopes(3).tolist()
        [0.0625, 0.00390625, 0.25]
        """
        power = 2 ** int(math.log2(heads))
        slopes = 2.0 ** (-8 / power * np.arange(1, power + 1))
        between = 2.0 ** (-4 / power * np.arange(1, 2 * (heads - power) + 1, 2))
        return np.concatenate([slopes, between])

    def bias(self, length):
        distance = np.arange(length)[:, None] - np.arange(length)
        return -self.slopes(self.architecture.num_heads)[:, None, None] * np.maximum(distance, 0)


@POSITIONS.register("Learned")
class Learned(PositionEncoding):
    """Add to each position a row of a table that is learned like any other weight.

    x ← x + table[t]. Shapes: x (B, T, D), table (max_seq_len, D): longer texts can't be read.
    Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 4.1.
    """

    table = True

    def parameters(self):
        shape = (self.architecture.max_seq_len, self.architecture.hidden_dim)
        return {"position_embedding.weight": Parameter(shape, std=self.architecture.init_std)}

    def embed(self, x, work):
        stop, longest = work.past + x.shape[1], self.architecture.max_seq_len
        if stop > longest:
            raise ValueError(f"the text has {stop} tokens, but a learned position table covers max_seq_len = {longest}: "
                             f"shorten the text, or build the model with max_seq_len={stop}")
        x += work.parameters["position_embedding.weight"][work.past : stop]

    def embed_backward(self, dx, work):
        dw = work.gradient("position_embedding.weight")
        dw[: dx.shape[1]] += np.sum(dx, axis=0)


@POSITIONS.register("None")
class NoPosition(PositionEncoding):
    """Tell the model nothing of position: only the causal mask, which shows later characters more, gives order away.

    Haviv et al. 2022, "Transformer Language Models without Positional Encodings Still Learn Positional Information".
    """
