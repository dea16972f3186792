"""Where a run broke: the first number, in the order of computation, that is no longer finite."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlab_core.display.numbers import size_figure

WORDS = {
    "norm1": "first norm",
    "norm2": "second norm",
    "post_norm1": "norm after attention",
    "post_norm2": "norm after feed-forward",
    "q": "queries",
    "k": "keys",
    "v": "values",
    "scores": "attention scores",
    "weights": "attention weights",
    "heads": "head outputs",
    "attention": "attention output",
    "preactivation": "activation input",
    "activation": "activation output",
    "mlp": "feed-forward output",
    "final_norm": "final norm",
    "logits": "logits",
    "loss": "loss",
    "grad_norm": "length of the gradient",
}


@dataclass(frozen=True)
class Divergence:
    """A run's end: update `step` was not made, because something on the way to it was not finite.

    `site` is a trace site ("blocks.3.scores", "logits.gradient"), a parameter ("blocks.1.mlp.up.weight"), a parameter's
    gradient ("head.weight.gradient"), "loss" or "grad_norm". `layer` is the block it lies in, None outside the blocks.
    `largest_score` is the layer's largest Q·K logit in the newest record where all were finite, that of `score_step`.
    """

    step: int
    layer: int | None
    site: str
    kind: str
    largest_score: float | None = None
    score_step: int | None = None

    @property
    def message(self) -> str:
        """Say it in a sentence or two: what, where, and how large the scores had become.

        >>> Divergence(41, 3, "blocks.3.scores", "infinite number", 3825.2, 40).message
        "Stopped at step 41: first infinite number in layer 3's attention scores. Largest score at step 40: 3,825."
        """
        sentence = f"Stopped at step {self.step}: first {self.kind} in {place(self.site)}."
        if self.largest_score is None:
            return sentence
        return f"{sentence} Largest score at step {self.score_step}: {size_figure(self.largest_score)}."


class DivergedError(RuntimeError):
    """Training was asked to go on after it had diverged."""


def layer_of(site: str) -> int | None:
    """Return the block that a site or parameter belongs to, None outside the blocks.

    >>> layer_of("blocks.3.scores"), layer_of("residual.5"), layer_of("residual.0"), layer_of("logits")
    (3, 2, None, None)
    """
    parts = site.split(".")
    if parts[0] == "blocks":
        return int(parts[1])
    if parts[0] == "residual" and parts[1] != "0":
        return (int(parts[1]) - 1) // 2
    return None


def place(site: str) -> str:
    """Return a site in words.

    >>> place("blocks.3.scores"), place("residual.2.gradient")
    ("layer 3's attention scores", "the gradient of the residual stream after layer 0's feed-forward")
    >>> place("blocks.1.mlp.up.weight"), place("head.weight")
    ("layer 1's parameter mlp.up.weight", 'the parameter head.weight')
    """
    if site.endswith(".gradient"):
        return f"the gradient of {place(site.removesuffix('.gradient'))}"
    if site == "residual.0":
        return "the embedded text"
    layer = layer_of(site)
    if site.startswith("residual."):
        branch = "attention" if int(site.split(".")[1]) % 2 else "feed-forward"
        return f"the residual stream after layer {layer}'s {branch}"
    owner = "the" if layer is None else f"layer {layer}'s"
    name = site.removeprefix(f"blocks.{layer}.")
    return f"{owner} {WORDS[name]}" if name in WORDS else f"{owner} parameter {name}"


def find_first(model: Any, shards: Iterable[tuple], work: Any, scale: float, objective: Any = None) -> tuple | None:
    """Run the batch again and return (site, kind) of its first number that is not finite; None if it finds none.

    `shards` are the batch's (tokens, targets, dropout) as they were cut. Looked at in this order: the parameters, whose
    damage would show anywhere; the sites forward, then backward; the parameters' gradients.
    """
    for name, values in model.parameters.items():
        if kind := broken(values):
            return name, kind
    found = []
    for tokens, targets, dropout in shards:
        scan = Scan()
        with np.errstate(all="ignore"):
            model.shard_loss_and_grads(tokens, targets, work, scale, trace=scan, objective=objective, dropout=dropout)
        for name, gradient in reversed(work.gradients.items()):  # as they were computed, from the end
            scan(f"{name}.gradient", gradient)
        if scan.first is not None:
            found.append(scan.first)
    return min(found)[1:] if found else None


class Scan:
    """A trace that remembers the first site that was not finite, as (how many came before it, site, kind)."""

    def __init__(self):
        self.seen = 0
        self.first: tuple[int, str, str] | None = None

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray:
        if self.first is None and (kind := broken(past(x) if name.endswith(".scores") else x)):
            self.first = self.seen, name, kind
        self.seen += 1
        return x


def past(scores: np.ndarray) -> np.ndarray:
    """Return the scores (..., T, T) that a query may use; the future's are infinite by design."""
    length = scores.shape[-1]
    return scores[..., np.tril(np.ones((length, length), bool))]


def broken(values: np.ndarray) -> str | None:
    """Return in words what is wrong with an array: it holds an infinite number, or only undefined ones; else None."""
    if np.isfinite(values).all():
        return None
    return "infinite number" if np.isinf(values).any() else "undefined number (NaN)"
