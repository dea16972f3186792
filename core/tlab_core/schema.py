"""The data contract: which groups, variables and coordinates a run's history has, with dimensions and units.

Step s is the state after s updates, and step 0 is the fresh model. `train.loss[s]` is the loss of the update that led
to s. Everything that is measured and everything that is drawn meets here, so a name is spelled once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from tlab_core.bins import ACTIVATION_BINS, GRADIENT_BINS, INSIDE

VERSION = 1

SITES = (
    "norm1", "q", "k", "v", "attention", "post_norm1", "norm2", "preactivation", "activation", "mlp", "post_norm2",
)  # fmt: skip
RANKS = 5


@dataclass(frozen=True)
class Variable:
    """One measured quantity: its dimensions (after `step`), what it is in words, its unit and its storage type.

    `optional` ones are filled with NaN where a record does not bring them.
    """

    dims: tuple[str, ...]
    long_name: str
    units: str = "1"
    dtype: str = "float32"
    optional: bool = False


@dataclass(frozen=True)
class Group:
    """Variables that are recorded together. Of a `thinned` group, memory holds a bounded number of records."""

    variables: Mapping[str, Variable]
    thinned: bool = False

    @property
    def dims(self) -> tuple[str, ...]:
        """All dimensions but `step`, in the order in which they first appear."""
        return tuple(dict.fromkeys(dim for variable in self.variables.values() for dim in variable.dims))


def _moments(dims: tuple[str, ...], what: str) -> dict[str, Variable]:
    words = {"rms": "RMS", "mean": "mean", "std": "standard deviation", "max": "largest magnitude"}
    values = {name: Variable(dims, f"{word} of {what}") for name, word in words.items()}
    gradients = {
        f"gradient_{name}": Variable(dims, f"{word} of the loss's gradient at {what}", "nats per unit")
        for name, word in words.items()
    }
    return values | gradients


_HEAD = ("layer", "head")

GROUPS: dict[str, Group] = {
    "train": Group(
        {
            "loss": Variable((), "loss of the batch", "nats", "float64"),
            "learning_rate": Variable((), "learning rate", dtype="float64"),
            "grad_norm": Variable((), "length of the whole gradient before clipping", "nats per unit", "float64"),
            "tokens": Variable((), "tokens trained on so far", "tokens", "int64"),
            "seconds": Variable((), "time spent training so far", "s", "float64"),
        }
    ),
    "validation": Group(
        {
            "loss": Variable((), "loss on text held back from training", "nats", "float64"),
            "answer_accuracy": Variable((), "share of answer characters guessed right", dtype="float64", optional=True),
        }
    ),
    "residual": Group(_moments(("depth",), "the residual stream")),
    "layers": Group(
        _moments(("layer", "site"), "the signal at a site")
        | {
            "dead_share": Variable(("layer",), "share of units that pass no gradient at any position"),
            "saturated_share": Variable(("layer",), "share of all units' moments that pass no gradient"),
        }
    ),
    "parameters": Group(
        {
            "weight_rms": Variable(("parameter",), "RMS of the parameter"),
            "gradient_rms": Variable(("parameter",), "RMS of the batch's gradient", "nats per unit"),
            "update_ratio": Variable(("parameter",), "RMS of the last update over RMS of the weights before it"),
            "distance": Variable(("parameter",), "RMS distance from where the parameter began"),
        }
    ),
    "heads": Group(
        {
            "entropy": Variable(_HEAD, "entropy of the attention weights", "nats"),
            "largest_weight": Variable(_HEAD, "largest attention weight of a query, on average"),
            "first_token": Variable(_HEAD, "share of attention on the first token"),
            "previous_token": Variable(_HEAD, "share of attention on the previous token"),
            "induction": Variable(_HEAD, "share of attention on what followed the same character before"),
            "qk_mean": Variable(_HEAD, "mean Q·K logit"),
            "qk_std": Variable(_HEAD, "standard deviation of the Q·K logits"),
            "qk_max": Variable(_HEAD, "largest Q·K logit"),
            "query_norm": Variable(_HEAD, "length of a query vector, on average"),
            "key_norm": Variable(_HEAD, "length of a key vector, on average"),
            "output_norm": Variable(_HEAD, "length of the head's output vector, on average"),
        }
    ),
    "histograms": Group(
        {
            "activation": Variable(("layer", "site", "bin"), "numbers of the signal in a bin", "count", "int32"),
            "gradient": Variable(("layer", "site", "bin"), "numbers of the gradient in a bin", "count", "int32"),
        },
        thinned=True,
    ),
    "qk_histograms": Group(
        {"count": Variable(("layer", "head", "bin"), "Q·K logits in a bin", "count", "int32")}, thinned=True
    ),
    "attention": Group(
        {"weight": Variable(("layer", "head", "query", "key"), "attention weight a query gives a key")}, thinned=True
    ),
    "probe": Group(
        {
            "token": Variable(("position",), "token read", "token id", "int32"),
            "target": Variable(("position",), "token that comes next", "token id", "int32"),
            "loss": Variable(("position",), "loss of predicting the next token", "nats"),
            "top_token": Variable(("position", "rank"), "likeliest next tokens", "token id", "int32"),
            "top_probability": Variable(("position", "rank"), "probability of the likeliest next tokens"),
        }
    ),
}


def groups_with(own: Mapping[str, Mapping[str, Variable]] | None = None) -> dict[str, Group]:
    """Return the groups of a history that also has variables of one's own, given by group and name."""
    own = own or {}
    return {name: Group({**group.variables, **own.get(name, {})}, group.thinned) for name, group in GROUPS.items()}


# Plain words and units of the coordinates; a name here is a dimension.
COORDINATES: dict[str, tuple[str, str]] = {
    "step": ("updates made", "steps"),
    "depth": ("place in the residual stream: 0 embedding, 2i+1 after attention, 2i+2 after feed-forward", "1"),
    "layer": ("block", "1"),
    "site": ("place inside a block", "1"),
    "parameter": ("parameter", "1"),
    "head": ("attention head", "1"),
    "bin": ("histogram bin", "1"),
    "query": ("position that looks", "tokens"),
    "key": ("position looked at", "tokens"),
    "position": ("position in the probe text", "tokens"),
    "rank": ("place among the likeliest tokens, 0 the likeliest", "1"),
}

# Edges of the bins, carried by the groups that have histograms: name -> (edges, words, units). Infinite at the ends.
EDGES: dict[str, dict[str, tuple[np.ndarray, str, str]]] = {
    "histograms": {
        "left": (ACTIVATION_BINS.left, "lower edge of an activation's bin", "1"),
        "right": (ACTIVATION_BINS.right, "upper edge of an activation's bin", "1"),
        "gradient_left": (GRADIENT_BINS.left, "lower edge of a gradient's bin", "nats per unit"),
        "gradient_right": (GRADIENT_BINS.right, "upper edge of a gradient's bin", "nats per unit"),
    },
    "qk_histograms": {
        "left": (ACTIVATION_BINS.left, "lower edge of a Q·K bin", "1"),
        "right": (ACTIVATION_BINS.right, "upper edge of a Q·K bin", "1"),
    },
}


def coordinates(
    *, num_layers: int, num_heads: int, vocab_size: int, parameters: Iterable[str], probe_length: int
) -> dict[str, np.ndarray]:
    """Return the coordinates of every dimension but `step` for a model and a probe text.

    `probe_length` is the number of positions the model reads: one less than the probe text has tokens, because the
    last token is only ever predicted.

    >>> names = ["token_embedding.weight"]
    >>> c = coordinates(num_layers=2, num_heads=4, vocab_size=65, parameters=names, probe_length=63)
    >>> {name: len(values) for name, values in c.items()}["depth"]
    5
    """
    return {
        "depth": np.arange(2 * num_layers + 1),
        "layer": np.arange(num_layers),
        "site": np.array(SITES),
        "parameter": np.array(list(parameters)),
        "head": np.arange(num_heads),
        "bin": np.arange(INSIDE + 2),
        "query": np.arange(probe_length),
        "key": np.arange(probe_length),
        "position": np.arange(probe_length),
        "rank": np.arange(min(RANKS, vocab_size)),
    }
