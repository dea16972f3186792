"""What one pass over a shard of the batch works in: parameters to read, gradients to write, buffers to use again."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from tlab_core.cache import KeyValueCache

if TYPE_CHECKING:
    from tlab_core.dropout import Dropout

# Elementwise work goes over blocks of rows of about this many numbers (512 KB in float32), so that the arrays a formula
# touches stay in a core's own cache (2 MB where this was measured). A step at 4 layers, width 128 takes 1.08 times as long
# with an eighth of it, 1.01 times with a half. Fewer, larger blocks also mean fewer moments at which two threads wait for
# Python's lock.
BLOCK = 131_072

# A shard goes through the model a few sequences at a time. Up to a width of NARROW they have about PIECE_ROWS rows (more if
# narrower still): what one layer writes is then in cache when the next reads it (4 layers, width 128, 8 sequences of 128:
# 67 ms in one piece, 59 in four). Beyond, nothing fits, and WIDE_ROWS make larger, faster products (width 256: 1.07 times);
# all 1024 at once would be 1.02 times as fast again and take twice the memory.
PIECE_ROWS = 256
NARROW = 128
WIDE_ROWS = 512

Trace = Callable[[str, np.ndarray], np.ndarray]


class Workspace:
    """One shard's arrays. It is not thread-safe: two shards that run at once need one each.

    Inside, activations are `rows`: (N, D) with N = batch · length, the sequences one after the other.
    """

    def __init__(self, parameters: dict[str, np.ndarray], gradients: dict[str, np.ndarray], flat_gradients: np.ndarray):
        self.parameters = parameters
        self.gradients = gradients
        self.flat_gradients = flat_gradients
        self.dtype = flat_gradients.dtype
        self.saved: dict[str, np.ndarray] = {}
        self.buffers: dict[tuple, np.ndarray] = {}  # may be lent to one workspace after another
        self.adding = False
        # With a cache a pass goes on from the tokens that went through before. Layers then keep nothing for backward and
        # show a trace their scores and activation alone: for one token at a time their plain formulas are faster than
        # filling buffers.
        self.cache: KeyValueCache | None = None
        self.begin(0, 0, None)

    def begin(self, batch: int, length: int, trace: Trace | None, dropout: "Dropout | None" = None) -> None:
        """Start a pass over `batch` sequences of `length` tokens, shown to `trace` at every named site."""
        self.batch, self.length, self.trace, self.dropout = batch, length, trace, dropout
        self.past = 0 if self.cache is None else self.cache.length  # tokens before the first of this pass
        self.saved.clear()

    def gradient(self, name: str) -> np.ndarray:
        """Return a parameter's gradient, to add to: zeros in a shard's first piece, what earlier pieces left in others.

        Each parameter's is asked for once in a pass. A workspace without gradients lends zeros that nobody reads.
        """
        if not self.gradients:
            return np.zeros_like(self.parameters[name])
        gradient = self.gradients[name]
        if not self.adding:
            gradient[...] = 0
        return gradient

    def add_product(self, name: str, a: np.ndarray, b: np.ndarray) -> None:
        """Add a · b to a parameter's gradient; in a shard's first piece, where there is nothing yet, write it there."""
        if not self.gradients:
            return
        gradient = self.gradients[name]
        if self.adding:
            gradient += np.matmul(a, b, out=self.buffer("product", *gradient.shape))
        else:
            np.matmul(a, b, out=gradient)

    def buffer(self, name: str, *shape: int) -> np.ndarray:
        """Return the array kept for (name, shape), with whatever was last written to it."""
        key = (name, shape)
        if key not in self.buffers:
            self.buffers[key] = np.empty(shape, self.dtype)
        return self.buffers[key]

    def ones(self, count: int) -> np.ndarray:
        """Return `count` ones: a product with them sums several times as fast as NumPy's sum over a short axis."""
        if ("ones", (count,)) not in self.buffers:
            self.buffer("ones", count)[...] = 1
        return self.buffer("ones", count)

    def mean(self, count: int) -> np.ndarray:
        """Return a column of `count` times 1/count: rows (N, count) times it are their means (N, 1)."""
        column = self.buffers.get(("mean", (count, 1)))
        if column is None:
            column = self.buffer("mean", count, 1)
            column[...] = 1 / count
        return column

    def blocks(self, rows: int, width: int) -> Iterator[slice]:
        """Cut rows of `width` numbers into slices that fit a core's cache; under a trace into a single one.

        A trace must see each site once and whole, so it pays with a little speed.
        """
        return row_blocks(rows, width) if self.trace is None else iter([slice(0, rows)])

    def site(self, name: str, x: np.ndarray) -> np.ndarray:
        """Show `x` to the trace, if there is one, and return what the pass goes on with.

        Rows (N, D) are shown as (batch, length, D). A replacement of the wrong shape raises ValueError.
        """
        if self.trace is None:
            return x
        shown = x.reshape(self.batch, self.length, -1) if x.ndim == 2 else x
        replacement = self.trace(name, shown)
        if replacement is shown:
            return x
        replacement = np.array(replacement, self.dtype)  # a copy: the pass may go on to add to it in place
        if replacement.shape != shown.shape:
            raise ValueError(f"the trace returned shape {replacement.shape} at {name!r}, where {shown.shape} is needed")
        return replacement.reshape(x.shape)


def pieces(batch: int, length: int, width: int) -> Iterator[slice]:
    """Cut `batch` sequences of `length` rows of `width` numbers into what goes through the model at once.

    >>> list(pieces(8, 128, 128))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None), slice(6, 8, None)]
    >>> list(pieces(8, 128, 256))
    [slice(0, 4, None), slice(4, 8, None)]
    """
    rows = PIECE_ROWS * max(1, NARROW // width) if width <= NARROW else WIDE_ROWS
    step = max(1, rows // length)
    for start in range(0, batch, step):
        yield slice(start, min(batch, start + step))


def row_blocks(rows: int, width: int) -> Iterator[slice]:
    """Cut `rows` rows of `width` numbers into slices of about BLOCK numbers.

    >>> list(row_blocks(5, 32_768))
    [slice(0, 4, None), slice(4, 5, None)]
    """
    step = max(1, BLOCK // width)
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))
