"""Causal self-attention: each position gathers from the positions before it, weighted by how well queries match keys."""

import math
from collections.abc import Iterator

import numpy as np

from tlab_core.linear import Linear
from tlab_core.norms import EPSILON
from tlab_core.parameters import Parameter
from tlab_core.positions import PositionEncoding
from tlab_core.workspace import BLOCK, Workspace

# e^40 is 2e17: a row's sum and its products with values stay far from float32's largest number, and 1/sum from zero.
SMALL_SCORE = 40.0
# Queries go in blocks, each with the keys up to its last one, so that most of the masked half is never computed: a step is
# 1.02 times as fast at a context of 128, 1.17 at 1024, 1.35 at 2048 (width 256, 4 layers).
QUERIES, LONG_QUERIES = 64, 128  # up to KEPT, and beyond
# Up to this context the weights are kept for backward. Beyond, they are computed again: at 1024 a step takes 1.08 times as
# long and 0.55 of the memory, which would grow with the square of the context.
KEPT = 512


class HeadNorm:
    """QK-norm: bring each head's queries (or keys) to a steady size, so that match scores can't grow without bound.

    y = w · x / √(mean(x²) + ε), over the head_dim channels of one head; w (head_dim,) is shared by the layer's heads.
    Shapes (B, H, T, head_dim), in place. Henry et al. 2020, "Query-Key Normalization for Transformers"; with RMSNorm as
    in Wortsman et al. 2023, "Small-scale proxies for large-scale Transformer training instabilities", section 3.1.
    """

    def __init__(self, name: str, head_dim: int):
        self.name, self.head_dim = name, head_dim

    def parameters(self) -> dict[str, Parameter]:
        return {f"{self.name}.weight": Parameter((self.head_dim,), constant=1.0)}

    def forward(self, x: np.ndarray, work: Workspace) -> None:
        unit, scale = work.buffer(f"{self.name}.unit", *x.shape), work.buffer(f"{self.name}.scale", *x.shape[:-1], 1)
        np.divide(1, np.sqrt(np.vecdot(x, x)[..., None] / self.head_dim + EPSILON), out=scale)
        np.multiply(x, scale, out=unit)
        np.multiply(unit, work.parameters[f"{self.name}.weight"], out=x)

    def backward(self, dy: np.ndarray, work: Workspace) -> None:
        # y = w·u with u = x·r: dx = r · (g − u · mean(g·u)), where g = w·dy
        unit, scale = work.buffer(f"{self.name}.unit", *dy.shape), work.buffer(f"{self.name}.scale", *dy.shape[:-1], 1)
        dw = work.gradient(f"{self.name}.weight")
        dw += np.sum(dy * unit, axis=(0, 1, 2))
        dy *= work.parameters[f"{self.name}.weight"]
        dy -= unit * (np.vecdot(dy, unit)[..., None] / self.head_dim)
        dy *= scale


class CausalSelfAttention:
    """Let each position ask (query), be asked (key) and hand over (value); no position sees a later one.

    q, k, v = split(x · W_qkv); P = softmax(q·kᵀ/√d + bias + mask); y = concat(P · v) · W_out.
    Shapes: x, y (N, D) with N = B·T; q, k, v (B, H, T, d) with d = D/H; P (B, H, T, T).
    Vaswani et al. 2017, "Attention Is All You Need", section 3.2.
    """

    def __init__(self, name: str, dim: int, heads: int, positions: PositionEncoding, *, qk_norm: bool, use_bias: bool,
                 std: float, out_std: float):
        self.block, self.dim, self.heads, self.positions = name.removesuffix(".attention"), dim, heads, positions
        self.name, self.head_dim = name, dim // heads
        self.qkv = Linear(f"{name}.qkv", dim, 3 * dim, std, use_bias)
        self.out = Linear(f"{name}.out", dim, dim, out_std, use_bias)
        self.norms = [HeadNorm(f"{name}.{part}_norm", self.head_dim) for part in "qk"] if qk_norm else []

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters of both linear layers and of QK-norm by their full names."""
        named = self.qkv.parameters() | self.out.parameters()
        for norm in self.norms:
            named |= norm.parameters()
        return named

    def _split(self, qkv: np.ndarray, work: Workspace) -> np.ndarray:
        """Return q, k, v, (3, B, H, T, d), as a view of the rows (N, 3D): products take strides, a copy costs 6-25 %."""
        parts = qkv.reshape(work.batch, work.length, 3, self.heads, self.head_dim)
        return parts.transpose(2, 0, 3, 1, 4)

    def _merge(self, rows: np.ndarray, work: Workspace) -> np.ndarray:
        """Return rows (N, D) seen head by head, (B, H, T, d)."""
        return rows.reshape(work.batch, work.length, self.heads, self.head_dim).transpose(0, 2, 1, 3)

    def forward(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the attention branch's output for rows `x`."""
        B, T, H, d = work.batch, work.length, self.heads, self.head_dim
        if work.cache is not None:
            return self._read_on(x, work)
        q, k, v = parts = self._split(self.qkv.forward(x, work), work)
        for norm, part in zip(self.norms, (q, k), strict=False):
            norm.forward(part, work)
        self.positions.rotate(parts[:2])
        if work.trace is not None:
            for letter, part in zip("qkv", (q, k, v), strict=True):
                part[...] = work.site(f"{self.block}.{letter}", part)

        scale, output = work.buffer(f"{self.name}.scale", B, H, T, 1), work.buffer(f"{self.name}.output", B * T, self.dim)
        heads, ones = self._merge(output, work), work.ones(T)[:, None]
        for tile in self._tiles(work):
            qt, kt, vt, rowwise, mixed = q[tile], k[tile], v[tile], scale[tile], heads[tile]
            qt *= 1 / math.sqrt(d)  # T · d numbers a head instead of T · T scores
            small = work.trace is None and self._scores_are_small(qt, kt)
            for rows, seen in self._query_blocks(work):
                P = self._block("weights", tile, rows, work)
                self._scores(qt, kt, tile, rows, P, work)
                if work.trace is not None:
                    P[...] = work.site(f"{self.block}.scores", P)
                top = None if small else np.max(P, axis=-1, keepdims=True, out=self._top(tile, rows, work))
                self._exponentials(P, top)
                np.divide(1, P @ ones[seen], out=rowwise[..., rows, :])
                if work.trace is not None:
                    P *= scale
                    scale[...] = 1
                    P[...] = work.site(f"{self.block}.weights", P)
                np.matmul(P, vt[..., seen, :], out=mixed[..., rows, :])
            mixed *= rowwise  # rather than P *= scale: d numbers a row instead of T
        if work.trace is not None:
            heads[...] = work.site(f"{self.block}.heads", heads)
        y = self.out.forward(output, work, out=work.buffer("attention.y", B * T, self.dim))
        return work.site(f"{self.block}.attention", y)

    def _read_on(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the same for rows that follow those in `work.cache`: keys and values are all S so far, P (B, H, T, S)."""
        parts = self._split(self.qkv.read(x, work), work)
        for norm, part in zip(self.norms, parts, strict=False):  # none, or those of q and k
            norm.forward(part, work)
        self.positions.rotate(parts[:2], work.past)
        k, v = work.cache.extend(self.name, parts[1:])
        P = (parts[0] * (1 / math.sqrt(self.head_dim))) @ k.swapaxes(-1, -2)
        mask = self.positions.mask(work.length, x.dtype, work.past)
        if mask is not None:
            P += mask
        if work.trace is not None:
            P = work.site(f"{self.block}.scores", P)
        P -= np.maximum.reduce(P, axis=-1, keepdims=True)
        np.exp(P, out=P)
        heads = P @ v
        heads /= np.add.reduce(P, axis=-1, keepdims=True)
        return self.out.read(heads.swapaxes(1, 2).reshape(x.shape), work)

    # ---- one block of the match scores at a time

    def _tiles(self, work: Workspace) -> Iterator[tuple[slice, slice]]:
        """Cut sequences and heads into tiles, so that one's block of scores fits a core's cache; not under a trace."""
        B, H, T = work.batch, self.heads, work.length
        block = self._queries(work) * T
        if H * block <= BLOCK or work.trace is not None:
            for sequences in work.blocks(B, H * T * T):
                yield sequences, slice(0, H)
        else:
            for b in range(B):
                for heads in work.blocks(H, block):
                    yield slice(b, b + 1), heads

    @staticmethod
    def _queries(work: Workspace) -> int:
        """Return how many queries a block has; under a trace, which may change masked weights, all of them."""
        T = work.length
        return T if work.trace is not None else min(T, QUERIES if T <= KEPT else LONG_QUERIES)

    def _query_blocks(self, work: Workspace) -> Iterator[tuple[slice, slice]]:
        """Cut the queries into blocks, the last first, each with the keys that it may see: the others' weights are zero."""
        size = self._queries(work)
        for stop in range(work.length, 0, -size):
            yield slice(max(0, stop - size), stop), slice(0, stop)

    def _keeps(self, work: Workspace) -> bool:
        """Tell whether the weights are kept for backward."""
        return work.length <= KEPT or work.trace is not None

    def _block(self, name: str, tile: tuple[slice, slice], rows: slice, work: Workspace) -> np.ndarray:
        """Return the array for the scores of a tile's queries `rows` and the keys up to the last of them."""
        count = rows.stop - rows.start
        if name == "weights" and self._keeps(work):
            return work.buffer(f"{self.name}.weights.{rows.start}", work.batch, self.heads, count, rows.stop)[tile]
        sizes = [part.stop - part.start for part in tile]
        return work.buffer(f"attention.{name}", *sizes, self._queries(work), work.length)[..., :count, : rows.stop]

    def _top(self, tile: tuple[slice, slice], rows: slice, work: Workspace) -> np.ndarray:
        """Return the array for the largest score of each of a tile's queries `rows`."""
        return work.buffer(f"{self.name}.top", work.batch, self.heads, work.length, 1)[tile][..., rows, :]

    def _scores(self, q: np.ndarray, k: np.ndarray, tile: tuple[slice, slice], rows: slice, P: np.ndarray,
                work: Workspace) -> None:
        """Write q·kᵀ + bias + mask of a tile's queries `rows` to `P`."""
        np.matmul(q[..., rows, :], k[..., : rows.stop, :].swapaxes(-1, -2), out=P)
        if self.positions.biased:
            P += self.positions.mask(work.length, P.dtype)[tile[1], rows, : rows.stop]
        else:  # all that is to be masked is the future within the block
            P[..., rows.start :] += self.positions.mask(rows.stop - rows.start, P.dtype)

    @staticmethod
    def _scores_are_small(q: np.ndarray, k: np.ndarray) -> bool:
        """Tell whether |q·k| ≤ |q| · |k| keeps every score's exponential, and sums of them, within float32."""
        return float(np.vecdot(q, q).max()) * float(np.vecdot(k, k).max()) < SMALL_SCORE**2

    @staticmethod
    def _exponentials(P: np.ndarray, top: np.ndarray | None) -> None:
        """Turn scores into softmax's numerators in place: e^(S − top), or e^S without `top`, where no score can be large.

        The division by their sum leaves both the same; finding the maximum costs twice an exponential.
        """
        if top is not None:
            P -= top
        np.exp(P, out=P)

    def backward(self, dy: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the gradient at `x` from that at the branch's output; add the parameters' gradients."""
        B, T, H, d = work.batch, work.length, self.heads, self.head_dim
        N, D = B * T, self.dim
        dy = work.site(f"{self.block}.attention.gradient", dy)
        output = work.buffer(f"{self.name}.output", N, D)
        d_output = self.out.backward(dy, work, out=work.buffer("attention.d_output", N, D))

        q, k, v = self._split(work.buffer(f"{self.qkv.name}.y", N, 3 * D), work)
        d_qkv = work.buffer("attention.d_qkv", N, 3 * D)
        dq, dk, dv = self._split(d_qkv, work)
        heads, d_heads = self._merge(output, work), self._merge(d_output, work)
        scale = work.buffer(f"{self.name}.scale", B, H, T, 1)
        for tile in self._tiles(work):
            qt, kt, vt, dqt, dkt, dvt, dO = q[tile], k[tile], v[tile], dq[tile], dk[tile], dv[tile], d_heads[tile]
            # P holds numerators: scaling dO makes all products below come out as if it held weights
            dO *= scale[tile]
            # softmax: dS = P ∘ (dP − Σ_k P·dP), and Σ_k P·dP = dO·O, a row of d numbers instead of T
            dO_O = np.vecdot(dO, heads[tile])[..., None]
            small = self._keeps(work) or self._scores_are_small(qt, kt)
            for rows, seen in self._query_blocks(work):
                P, dS = self._block("weights", tile, rows, work), self._block("dS", tile, rows, work)
                if not self._keeps(work):
                    self._scores(qt, kt, tile, rows, P, work)
                    self._exponentials(P, None if small else self._top(tile, rows, work))
                dOr, qr, kr = dO[..., rows, :], qt[..., rows, :], kt[..., seen, :]
                np.matmul(dOr, vt[..., seen, :].swapaxes(-1, -2), out=dS)  # O = P·v  =>  dP = dO·vᵀ,  dv = Pᵀ·dO
                dS -= dO_O[..., rows, :]
                dS *= P
                np.matmul(dS, kr, out=dqt[..., rows, :])  # S = q'·kᵀ  =>  dq' = dS·k,  dk = dSᵀ·q'
                if rows.stop == T:  # the last queries see every key; earlier ones add to what is there
                    np.matmul(P.swapaxes(-1, -2), dOr, out=dvt)
                    np.matmul(dS.swapaxes(-1, -2), qr, out=dkt)
                else:
                    dvt[..., seen, :] += np.matmul(P.swapaxes(-1, -2), dOr)
                    dkt[..., seen, :] += np.matmul(dS.swapaxes(-1, -2), qr)
            dqt *= 1 / math.sqrt(d)  # q' = q/√d
        if work.trace is not None:
            for letter, part in zip("qkv", (dq, dk, dv), strict=True):
                part[...] = work.site(f"{self.block}.{letter}.gradient", part)
        self.positions.rotate_backward(dq)
        self.positions.rotate_backward(dk)
        for norm, part in zip(self.norms, (dq, dk), strict=False):
            norm.backward(part, work)
        return self.qkv.backward(d_qkv, work, out=work.buffer("attention.dx", N, D))
