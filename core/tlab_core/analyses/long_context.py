"""What happens on texts longer than those trained on."""

import math
from typing import Any

import numpy as np
import xarray as xr

from tlab_core.analyses.base import ANALYSES, at_least_one, held_back, undisturbed, variable
from tlab_core.analyses.reading import read

BLOCKS = 32  # about as many points as a curve over the positions gets
WINDOWS = 16  # at most, unless told
WORK = 3e10  # products and sums that may be spent on more than one window
MASK = 2**24  # numbers of a mask (heads · length², heads only where they differ), which memory must hold whole


@ANALYSES.register("long_context")
def long_context(run: Any, *, factor: int = 8, windows: int | None = None) -> xr.Dataset:
    """Show where a model loses the thread when a text goes on past the length that it was trained on.

    Reads `windows` pieces of held-back text, each up to `factor` times the training length, and says by position: loss,
    the mean of −ln p(next token); and for each layer mean, std and max of the Q·K logits of the queries there, over all
    keys that they see, all heads and all windows, with what the position encoding adds (ALiBi). Neighbouring positions are
    put together in about 32 blocks, none of which lies across the training length. loss_error is the standard error of the
    loss over the windows: their standard deviation / √windows. Shapes: loss (block,), qk_mean ... (layer, block).

    The attribute `limit` says why it stops early, if it does: learned positions end, the text ends, or memory would not
    hold a longer one. `windows` None: 16, or fewer in a large model. Press et al. 2022, "Train Short, Test Long", figure 1.
    Raises AnalysisError for a factor or windows below 1.
    """
    a, trained = run.model.architecture, run.trainer.training.seq_len
    length, limit = _reach(run, at_least_one("factor", factor) * trained)
    if windows is None:
        matrices = 2 * run.model.parameter_count * length
        windows = int(max(1, min(WINDOWS, WORK // (matrices + 2 * a.num_layers * a.hidden_dim * length * length))))
    tokens, targets = held_back(run, at_least_one("windows", windows), length)

    total, square = np.zeros((2, a.num_layers, length))
    largest = np.full((a.num_layers, length), -np.inf)

    def look(layer: int, past: int, scores: np.ndarray) -> None:
        count = scores.shape[2]
        scores = scores.astype(np.float64)
        future = np.triu(np.ones((count, count), bool), 1)
        queries = np.s_[layer, past : past + count]
        largest[queries] = np.maximum(largest[queries], scores.max(axis=(0, 1, 3)))
        np.copyto(scores[..., past:], 0, where=future)
        total[queries] += np.vecdot(scores, np.ones(past + count)).sum(axis=(0, 1))
        square[queries] += np.vecdot(scores, scores).sum(axis=(0, 1))

    first = _blocks(length, trained)
    last = np.append(first[1:], length) - 1
    with undisturbed():
        losses = np.add.reduceat(read(run.model, tokens, targets, look), first, axis=1) / (last - first + 1)
        pairs = np.add.reduceat(len(tokens) * a.num_heads * np.arange(1, length + 1), first)
        mean = np.add.reduceat(total, first, axis=1) / pairs
        variance = np.add.reduceat(square, first, axis=1) / pairs - mean * mean
        error = losses.std(axis=0, ddof=1) / math.sqrt(len(losses)) if len(losses) > 1 else np.full(len(first), np.nan)
    each, by_layer = ("block",), ("layer", "block")
    return xr.Dataset(
        {
            "loss": variable(each, losses.mean(axis=0), "mean loss of predicting the next token", "nats"),
            "loss_error": variable(each, error, "standard error of the mean loss", "nats"),
            "qk_mean": variable(by_layer, mean, "mean Q·K logit of the queries"),
            "qk_std": variable(by_layer, np.sqrt(np.maximum(variance, 0)), "standard deviation of the queries' Q·K logits"),
            "qk_max": variable(by_layer, np.maximum.reduceat(largest, first, axis=1), "largest Q·K logit of the queries"),
        },
        {
            "position": variable(each, (first + last) / 2, "position in the text, the middle of the block", "tokens"),
            "first": variable(each, first, "first position of the block", "tokens"),
            "last": variable(each, last, "last position of the block", "tokens"),
            "layer": variable(("layer",), np.arange(a.num_layers), "block of the transformer"),
        },
        {"trained_length": trained, "length": length, "windows": len(tokens), "limit": limit},
    )


def _reach(run: Any, wanted: int) -> tuple[int, str]:
    """Return how long a text can be read, at most `wanted`, and why it isn't longer."""
    a, trained = run.model.architecture, run.trainer.training.seq_len
    text = len(run.trainer.data.validation) - 1
    heads = a.num_heads if run.model.positions.biased else 1
    memory = max(trained, math.isqrt(MASK // heads))  # the mask of the training length is there already
    ends = {
        wanted: "",
        text: f"The held-back text ends after {text:,} characters.",
        memory: f"More than {memory:,} characters would take too much memory.",
    }
    if a.pos_encoding_type == "Learned":
        ends[a.max_seq_len] = f"The table of learned positions ends at {a.max_seq_len:,} characters."
    length = min(ends)
    return length, ends[length] if length < wanted else ""


def _blocks(length: int, trained: int) -> np.ndarray:
    """Return the first position of each block."""
    size = max(1, length // BLOCKS)
    within = min(trained, length)
    return np.concatenate([np.arange(0, within, size), np.arange(within, length, size)])
