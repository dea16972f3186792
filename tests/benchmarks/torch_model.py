"""The benchmarks' opponent: the same transformer in eager PyTorch, written as one writes it for speed."""

import math

import torch
from torch import nn
from torch.nn import functional

from tlab_core.positions import ALiBi

NORMS = {"LayerNorm": nn.LayerNorm, "RMSNorm": nn.RMSNorm}
BENDS = {"ReLU": functional.relu, "GELU": functional.gelu, "Swish": functional.silu}
BENDS |= {"SwiGLU": functional.silu, "GEGLU": functional.gelu}


def norm(architecture):
    """Return a new norm of the kind that the architecture names."""
    if architecture.norm_type == "None":
        return nn.Identity()
    bias = {"bias": architecture.use_bias} if architecture.norm_type == "LayerNorm" else {}
    return NORMS[architecture.norm_type](architecture.hidden_dim, eps=1e-5, **bias)


def linear(inputs, outputs, architecture):
    """Return a new linear layer."""
    return nn.Linear(inputs, outputs, bias=architecture.use_bias)


class Attention(nn.Module):
    """Causal self-attention by PyTorch's own fused kernel."""

    def __init__(self, a):
        super().__init__()
        self.heads, self.turns = a.num_heads, a.pos_encoding_type == "RoPE"
        self.qkv, self.out = linear(a.hidden_dim, 3 * a.hidden_dim, a), linear(a.hidden_dim, a.hidden_dim, a)
        self.norms = nn.ModuleList(nn.RMSNorm(a.head_dim, eps=1e-5) for _ in range(2 * a.qk_norm))

    def forward(self, x, cos, sin, bias, kept=None, start=0):
        """Return what the heads gathered; with `kept` keys and values (2, B, H, window, d), x follows the first `start`."""
        B, T, D = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.norms:
            q, k = self.norms[0](q), self.norms[1](k)
        if self.turns:
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        if kept is not None:
            kept[0][:, :, start : start + T], kept[1][:, :, start : start + T] = k, v
            k, v = kept[0][:, :, : start + T], kept[1][:, :, : start + T]
        causal = T > 1 and bias is None
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
        return self.out(mixed.transpose(1, 2).reshape(B, T, D))


def rotated(x, cos, sin):
    """Return x turned by its position's angles, first half against second half."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


class FeedForward(nn.Module):
    """The feed-forward part; both paths of a gated one are a single product."""

    def __init__(self, a):
        super().__init__()
        self.gated, self.bend = a.activation_type in ("SwiGLU", "GEGLU"), BENDS[a.activation_type]
        self.how = {"approximate": "tanh"} if self.bend is functional.gelu else {}
        self.up = linear(a.hidden_dim, a.resolved_ff_dim * (1 + self.gated), a)
        self.down = linear(a.resolved_ff_dim, a.hidden_dim, a)

    def forward(self, x, *_):
        hidden = self.up(x)
        if self.gated:
            gate, hidden = hidden.chunk(2, -1)
            return self.down(self.bend(gate, **self.how) * hidden)
        return self.down(self.bend(hidden, **self.how))


class Branch(nn.Module):
    """Attention or feed-forward, and how it joins the residual stream."""

    def __init__(self, a, branch):
        super().__init__()
        self.layout, self.branch, self.norm = a.residual_type, branch, norm(a)
        self.post_norm = norm(a) if a.residual_type == "Sandwich" else nn.Identity()

    def forward(self, x, *more):
        if self.layout == "Post-LN":
            return self.norm(x + self.branch(x, *more))
        return x + self.post_norm(self.branch(self.norm(x), *more))


class Model(nn.Module):
    """The whole model of an Architecture; returns the mean cross-entropy."""

    def __init__(self, a):
        super().__init__()
        self.a = a
        self.embedding = nn.Embedding(a.vocab_size, a.hidden_dim)
        self.head = nn.Linear(a.hidden_dim, a.vocab_size, bias=False)
        if a.tie_embeddings:
            self.head.weight = self.embedding.weight
        if a.pos_encoding_type == "Learned":
            self.positions = nn.Parameter(torch.zeros(a.max_seq_len, a.hidden_dim))
        elif a.pos_encoding_type == "Sinusoidal":
            rates = 10_000.0 ** (-torch.arange(0, a.hidden_dim, 2) / a.hidden_dim)
            angles = torch.outer(torch.arange(a.max_seq_len), rates)
            self.register_buffer("positions", torch.stack([angles.sin(), angles.cos()], -1).flatten(1))
        else:
            self.positions = None
        self.branches = nn.ModuleList(Branch(a, make(a)) for _ in range(a.num_layers) for make in (Attention, FeedForward))
        self.norm = nn.Identity() if a.residual_type == "Post-LN" else norm(a)
        half = a.head_dim // 2
        angles = torch.outer(torch.arange(a.max_seq_len), 10_000.0 ** (-torch.arange(half) / max(1, half)))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        self.bias = None
        if a.pos_encoding_type == "ALiBi":
            steps = torch.arange(a.max_seq_len)
            slopes = torch.tensor(ALiBi.slopes(a.num_heads), dtype=torch.float32)[:, None, None]
            future = torch.full((a.max_seq_len, a.max_seq_len), -torch.inf).triu(1)
            self.bias = future - slopes * (steps[:, None] - steps).clamp(min=0)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def _embed(self, tokens, start=0):
        x = self.embedding(tokens)
        if self.a.pos_encoding_type == "Sinusoidal":
            x = x * math.sqrt(self.a.hidden_dim)
        return x if self.positions is None else x + self.positions[start : start + tokens.shape[1]]

    def forward(self, tokens, targets):
        T = tokens.shape[1]
        x, bias = self._embed(tokens), None if self.bias is None else self.bias[:, :T, :T]
        for branch in self.branches:
            x = branch(x, self.cos[:T], self.sin[:T], bias)
        return functional.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())

    @torch.inference_mode()
    def generate(self, tokens, length):
        """Continue `tokens` (1, T) greedily to `length` tokens, with keys and values kept in arrays made before."""
        shape = 2, 1, self.a.num_heads, length, self.a.head_dim
        kept = {branch: torch.zeros(shape) for branch in self.branches if isinstance(branch.branch, Attention)}
        new, start, text = tokens, 0, [tokens]
        while start + new.shape[1] < length:
            stop = start + new.shape[1]
            x = self._embed(new, start)
            cos, sin = self.cos[start:stop], self.sin[start:stop]
            bias = None if self.bias is None else self.bias[:, start:stop, :stop]
            for branch in self.branches:
                x = branch(x, cos, sin, bias, kept.get(branch), start)
            new, start = self.head(self.norm(x[:, -1])).argmax(-1, keepdim=True), stop
            text.append(new)
        return torch.cat(text, 1)
