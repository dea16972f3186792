"""What measures and parameters are called on the page."""

from __future__ import annotations

MEASURE_WORDS = {"rms": "RMS", "mean": "mean", "std": "standard deviation", "max": "largest magnitude"}
WEIGHT_MEASURE_WORDS = {
    "weight_rms": "size (RMS)",
    "distance": "distance from start (RMS)",
    "update_ratio": "last update ÷ weights",
    "gradient_rms": "gradient (RMS)",
}
HEAD_MEASURE_WORDS = {
    "previous_token": "reads the previous",
    "first_token": "reads the first",
    "induction": "reads after the same",
    "largest_weight": "largest share",
    "entropy": "entropy (nats)",
}
QK_MEASURE_WORDS = {
    "qk_max": "largest score",
    "qk_mean": "mean score",
    "qk_std": "spread of scores",
    "query_norm": "length of queries",
    "key_norm": "length of keys",
}
WEIGHT_UNITS = {"gradient_rms": "nats per unit"}

_OWNERS = {
    "norm1": "norm 1",
    "norm2": "norm 2",
    "post_norm1": "post-norm 1",
    "post_norm2": "post-norm 2",
    "attention.qkv": "queries, keys, values",
    "attention.q_norm": "query norm",
    "attention.k_norm": "key norm",
    "attention.out": "attention out",
    "mlp.gate": "feed-forward gate",
    "mlp.up": "feed-forward up",
    "mlp.down": "feed-forward down",
    "token_embedding": "character table",
    "position_embedding": "position table",
    "final_norm": "final norm",
    "head": "output table",
}


def parameter_words(name: str) -> str:
    """Return what a parameter is called, by its whole name or by that within its layer.

    >>> parameter_words("attention.qkv.weight"), parameter_words("blocks.3.norm1.bias")
    ('queries, keys, values', 'norm 1, shift')
    """
    owner, _, kind = within_layer(name).rpartition(".")
    words = _OWNERS.get(owner, owner.replace(".", " ").replace("_", " "))
    if is_vector(name):
        norm = is_norm(owner)
        kind = {"weight": "scale" if norm else "weight", "bias": "shift" if norm else "bias"}.get(kind, kind)
        return f"{words}, {kind}"
    return words


def within_layer(name: str) -> str:
    """Return a parameter's name within its layer; of one that belongs to no layer the name as it is.

    >>> within_layer("blocks.12.mlp.up.weight")
    'mlp.up.weight'
    """
    return name.split(".", 2)[2] if name.startswith("blocks.") else name


def is_norm(owner: str) -> bool:
    """Return whether what owns a parameter is a norm."""
    return "norm" in owner.rpartition(".")[2]


def is_vector(name: str) -> bool:
    """Return whether a parameter is one row of numbers, a norm's or a bias, and not a matrix."""
    owner, _, kind = name.rpartition(".")
    return kind == "bias" or is_norm(owner)


def whole_words(name: str) -> str:
    """Return what a parameter is called and of which layer it is.

    >>> whole_words("blocks.3.mlp.up.weight"), whole_words("token_embedding.weight")
    ("Layer 3's feed-forward up", 'The character table')
    """
    words = parameter_words(name)
    return f"Layer {name.split('.')[1]}'s {words}" if name.startswith("blocks.") else f"The {words}"
