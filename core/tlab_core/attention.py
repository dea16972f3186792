"""Causal self-attention: each position gathers from the positions before it, weighted by how well queries match keys."""

import math
from collections.abc import Iterator

import numpy as np

from tlab_core.linear import Linear
from tlab_core.norms import EPSILON
from tlab_core.parameters import Parameter
from tlab_core.positions import PositionEncoding
from tlab_core.workspace import Workspace

# e^40 is 2e17: a row's sum and its products with values stay far from float32's largest number, and 1/sum from zero.
SMALL_SCORE = 40.0
# Backward skips the masked quarter of a context of 128 (more of a longer one), which makes it 1.1 times as fast. Forward
# gains nothing: smaller products and more calls cost what is saved.
QUERIES = 64


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

    def _split(self, qkv: np.ndarray, work: Workspace) -> list[np.ndarray]:
        """Return q, k, v (B, H, T, d) as views of the rows (N, 3D): a product takes strides, a copy would cost 6-25 %."""
        parts = qkv.reshape(work.batch, work.length, 3, self.heads, self.head_dim)
        return list(parts.transpose(2, 0, 3, 1, 4))

    def _merge(self, rows: np.ndarray, work: Workspace) -> np.ndarray:
        """Return rows (N, D) seen head by head, (B, H, T, d)."""
        return rows.reshape(work.batch, work.length, self.heads, self.head_dim).transpose(0, 2, 1, 3)

    def forward(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the attention branch's output for rows `x`."""
        B, T, H, d = work.batch, work.length, self.heads, self.head_dim
        q, k, v = self._split(self.qkv.forward(x, work), work)
        for norm, part in zip(self.norms, (q, k), strict=False):
            norm.forward(part, work)
        self.positions.rotate(q)
        self.positions.rotate(k)
        if work.trace is not None:
            for letter, part in zip("qkv", (q, k, v), strict=True):
                part[...] = work.site(f"{self.block}.{letter}", part)

        weights, scale = work.buffer(f"{self.name}.weights", B, H, T, T), work.buffer(f"{self.name}.scale", B, H, T, 1)
        output = work.buffer(f"{self.name}.output", B * T, self.dim)
        heads, mask, ones = self._merge(output, work), self.positions.mask(T, x.dtype), work.ones(T)[:, None]
        for part in work.blocks(B, H * T * T):  # a few sequences at a time, so that their scores stay in cache
            P = weights[part]
            q[part] *= 1 / math.sqrt(d)  # T · d numbers a head instead of T · T scores
            np.matmul(q[part], k[part].swapaxes(-1, -2), out=P)
            P += mask
            if work.trace is not None:
                P[...] = work.site(f"{self.block}.scores", P)
            self._exponentials(P, small=work.trace is None and self._scores_are_small(q[part], k[part]))
            np.divide(1, P @ ones, out=scale[part])
            if work.trace is not None:
                P *= scale
                scale[...] = 1
                P[...] = work.site(f"{self.block}.weights", P)
            np.matmul(P, v[part], out=heads[part])
            heads[part] *= scale[part]  # rather than P *= scale: d numbers a row instead of T
            if work.trace is not None:
                heads[...] = work.site(f"{self.block}.heads", heads)
        y = self.out.forward(output, work, out=work.buffer("attention.y", B * T, self.dim))
        return work.site(f"{self.block}.attention", y)

    @staticmethod
    def _query_blocks(length: int, work: Workspace) -> Iterator[tuple[slice, slice]]:
        """Cut the queries into blocks, the last first, each with the keys that it may see: the others' weights are zero.

        Under a trace, which may have changed those zeros, there is a single block.
        """
        size = QUERIES if work.trace is None else length
        for stop in range(length, 0, -size):
            yield slice(max(0, stop - size), stop), slice(0, stop)

    @staticmethod
    def _scores_are_small(q: np.ndarray, k: np.ndarray) -> bool:
        """Tell whether |q·k| ≤ |q| · |k| keeps every score's exponential, and sums of them, within float32."""
        return float(np.vecdot(q, q).max()) * float(np.vecdot(k, k).max()) < SMALL_SCORE**2

    @staticmethod
    def _exponentials(P: np.ndarray, small: bool) -> None:
        """Turn scores into softmax's numerators in place: e^(S − max S), or e^S where no score can be large.

        The division by their sum leaves both the same; finding the maximum costs twice an exponential.
        """
        if not small:
            P -= P.max(axis=-1, keepdims=True)
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
        weights, scale = work.buffer(f"{self.name}.weights", B, H, T, T), work.buffer(f"{self.name}.scale", B, H, T, 1)
        for part in work.blocks(B, H * T * T):
            # P holds numerators: scaling dO makes all products below come out as if it held weights
            dO = d_heads[part]
            dO *= scale[part]
            # softmax: dS = P ∘ (dP − Σ_k P·dP), and Σ_k P·dP = dO·O, a row of d numbers instead of T
            dO_O = np.vecdot(dO, heads[part])[..., None]
            for rows, seen in self._query_blocks(T, work):
                P, dOr = weights[part][..., rows, seen], dO[..., rows, :]
                dS = work.buffer("attention.dS", *P.shape)
                np.matmul(dOr, v[part][..., seen, :].swapaxes(-1, -2), out=dS)  # O = P·v  =>  dP = dO·vᵀ,  dv = Pᵀ·dO
                dS -= dO_O[..., rows, :]
                dS *= P
                np.matmul(dS, k[part][..., seen, :], out=dq[part][..., rows, :])  # S = q'·kᵀ  =>  dq' = dS·k,  dk = dSᵀ·q'
                dv_part, dk_part = P.swapaxes(-1, -2) @ dOr, dS.swapaxes(-1, -2) @ q[part][..., rows, :]
                if rows.stop == T:  # the last queries see every key; earlier ones add to what is there
                    dv[part], dk[part] = dv_part, dk_part
                else:
                    dv[part][..., seen, :] += dv_part
                    dk[part][..., seen, :] += dk_part
            dq[part] *= 1 / math.sqrt(d)  # q' = q/√d
        if work.trace is not None:
            for letter, part in zip("qkv", (dq, dk, dv), strict=True):
                part[...] = work.site(f"{self.block}.{letter}.gradient", part)
        self.positions.rotate_backward(dq)
        self.positions.rotate_backward(dk)
        for norm, part in zip(self.norms, (dq, dk), strict=False):
            norm.backward(part, work)
        return self.qkv.backward(d_qkv, work, out=work.buffer("attention.dx", N, D))
