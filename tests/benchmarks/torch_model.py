"""The benchmark's opponent: the same transformer in eager PyTorch, written as one writes it for speed."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """One Pre-LN block: attention and feed-forward, GPT-2's or Llama's kind."""

    def __init__(self, width: int, heads: int, ff: int, llama: bool):
        super().__init__()
        norm = nn.RMSNorm if llama else nn.LayerNorm
        self.heads, self.llama = heads, llama
        self.norm1, self.norm2 = norm(width, eps=1e-5), norm(width, eps=1e-5)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=not llama), nn.Linear(width, width, bias=not llama)
        self.up, self.down = nn.Linear(width, ff * (1 + llama), bias=not llama), nn.Linear(ff, width, bias=not llama)

    def forward(self, x, cos, sin):
        B, T, D = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.llama:
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(B, T, D))
        hidden = self.up(self.norm2(x))
        if self.llama:
            gate, hidden = hidden.chunk(2, -1)
            return x + self.down(functional.silu(gate) * hidden)
        return x + self.down(functional.gelu(hidden, approximate="tanh"))


def rotated(x, cos, sin):
    """Return x turned by its position's angles, first half against second half."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)


class Model(nn.Module):
    """The whole model; returns the mean cross-entropy. The embedding also scores the next character, as in the lab."""

    def __init__(self, vocabulary: int, size: tuple, llama: bool):
        super().__init__()
        layers, width, heads, ff, _, seq = size
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = None if llama else nn.Parameter(torch.zeros(seq, width))
        self.blocks = nn.ModuleList(Block(width, heads, ff, llama) for _ in range(layers))
        self.norm = (nn.RMSNorm if llama else nn.LayerNorm)(width, eps=1e-5)
        half = width // heads // 2
        angles = torch.outer(torch.arange(seq), 10_000.0 ** (-torch.arange(half) / half))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        if self.positions is not None:
            x = x + self.positions
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = functional.linear(self.norm(x), self.embedding.weight)
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
