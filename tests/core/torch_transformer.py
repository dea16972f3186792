"""The same transformer written a second time, in PyTorch, from the papers' formulas; autograd does its backward pass."""

import math

import torch
import torch.nn.functional as F

BENDS = {"ReLU": F.relu, "GELU": lambda x: F.gelu(x, approximate="tanh"), "Swish": F.silu}
GATES = {"SwiGLU": F.silu, "GEGLU": lambda x: F.gelu(x, approximate="tanh")}


class TorchTransformer:
    """Reads an Architecture and parameters named as the engine's; `drop(x)` is what is left of what joins the stream."""

    def __init__(self, architecture, parameters, drop=lambda x: x):
        self.a, self.drop = architecture, drop
        self.p = {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}

    def linear(self, name, x):
        y = x @ self.p[f"{name}.weight"]
        return y + self.p[f"{name}.bias"] if f"{name}.bias" in self.p else y

    def norm(self, name, x):
        if self.a.norm_type == "None":
            return x
        weight = self.p[f"{name}.weight"]
        if self.a.norm_type == "LayerNorm":
            return F.layer_norm(x, weight.shape, weight, self.p.get(f"{name}.bias"), eps=1e-5)
        return F.rms_norm(x, weight.shape, weight, eps=1e-5)

    def rotate(self, x):
        length, d = x.shape[-2:]
        angles = torch.outer(torch.arange(length).double(), 10000.0 ** (-torch.arange(0, d, 2).double() / d)).to(x.dtype)
        cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)
        half_turned = torch.cat([-x[..., d // 2 :], x[..., : d // 2]], -1)
        return x * cos + half_turned * sin

    def attention(self, name, x):
        B, T, D = x.shape
        H, d = self.a.num_heads, D // self.a.num_heads
        q, k, v = (part.reshape(B, T, H, d).transpose(1, 2) for part in self.linear(f"{name}.qkv", x).chunk(3, -1))
        if self.a.qk_norm:
            q = F.rms_norm(q, (d,), self.p[f"{name}.q_norm.weight"], eps=1e-5)
            k = F.rms_norm(k, (d,), self.p[f"{name}.k_norm.weight"], eps=1e-5)
        if self.a.pos_encoding_type == "RoPE":
            q, k = self.rotate(q), self.rotate(k)
        bias = torch.full((T, T), -torch.inf, dtype=x.dtype).triu(1)
        if self.a.pos_encoding_type == "ALiBi":
            distance = torch.arange(T)[:, None] - torch.arange(T)
            bias = bias - alibi_slopes(H, x.dtype)[:, None, None] * distance.clamp(min=0)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.linear(f"{name}.out", y.transpose(1, 2).reshape(B, T, D))

    def feed_forward(self, name, x):
        if self.a.activation_type in GATES:
            inner = GATES[self.a.activation_type](self.linear(f"{name}.gate", x)) * self.linear(f"{name}.up", x)
        else:
            inner = BENDS[self.a.activation_type](self.linear(f"{name}.up", x))
        return self.linear(f"{name}.down", inner)

    def logits(self, tokens):
        a, x = self.a, F.embedding(tokens, self.p["token_embedding.weight"])
        T, D = x.shape[1:]
        if a.pos_encoding_type == "Learned":
            x = x + self.p["position_embedding.weight"][:T]
        if a.pos_encoding_type == "Sinusoidal":
            channel = torch.arange(D)
            angles = torch.arange(T)[:, None] / 10000.0 ** ((channel - channel % 2).double() / D)
            x = math.sqrt(D) * x + torch.where(channel % 2 == 0, angles.sin(), angles.cos()).to(x.dtype)
        x = self.drop(x)
        for i in range(a.num_layers):
            for number, branch in ((1, self.attention), (2, self.feed_forward)):
                name, block = ("attention", "mlp")[number - 1], f"blocks.{i}"
                if a.residual_type == "Pre-LN":
                    x = x + self.drop(branch(f"{block}.{name}", self.norm(f"{block}.norm{number}", x)))
                elif a.residual_type == "Post-LN":
                    x = self.norm(f"{block}.norm{number}", x + self.drop(branch(f"{block}.{name}", x)))
                else:
                    y = branch(f"{block}.{name}", self.norm(f"{block}.norm{number}", x))
                    x = x + self.drop(self.norm(f"{block}.post_norm{number}", y))
        if a.residual_type != "Post-LN":
            x = self.norm("final_norm", x)
        return x @ (self.p["token_embedding.weight"].T if a.tie_embeddings else self.p["head.weight"])

    def loss(self, tokens, targets):
        return F.cross_entropy(self.logits(tokens).flatten(0, 1), targets.flatten())


def alibi_slopes(heads, dtype):
    """Return the slopes as the paper's own recursive code gives them."""

    def power_of_two(n):
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    if math.log2(heads).is_integer():
        return torch.tensor(power_of_two(heads), dtype=dtype)
    closest = 2 ** math.floor(math.log2(heads))
    return torch.tensor(power_of_two(closest) + power_of_two(2 * closest)[0::2][: heads - closest], dtype=dtype)
