"""How a head's Q·K logits depend on how far it looks back."""

from typing import Any

import numpy as np
import xarray as xr

from tlab_core.analyses.base import ANALYSES, at_least_one, held_back, undisturbed, variable
from tlab_core.analyses.reading import read

WINDOWS = 8  # at most, unless told
PAIRS = 5e7  # of queries and keys, over all layers and heads, that may be looked at for more than one window


@ANALYSES.register("logit_distance")
def logit_distance(run: Any, *, windows: int | None = None) -> xr.Dataset:
    """Show whether a head prefers what is near or far: its Q·K logits, averaged over all pairs equally far apart.

    For each layer, head and distance δ = query − key from 0 (a position with itself) to seq_len − 1: mean and std of the
    logits before softmax, q·k/√d plus what the position encoding adds (ALiBi), over every such pair in `windows` pieces of
    held-back text, each as long as those trained on. count (distance,) says how many pairs that were; far apart there are
    few. Shapes (layer, head, distance). `windows` None: 8, or fewer in a large model.

    What position encodings do to it: Su et al. 2021, "RoFormer", section 3.4.3; Press et al. 2022, "Train Short, Test
    Long", section 3. Raises AnalysisError for windows below 1.
    """
    a, length = run.model.architecture, run.trainer.training.seq_len
    if windows is None:
        windows = int(max(1, min(WINDOWS, PAIRS // (a.num_layers * a.num_heads * length * (length + 1) / 2))))
    tokens, targets = held_back(run, at_least_one("windows", windows), length)
    total, square = np.zeros((2, a.num_layers, a.num_heads, length))

    def look(layer: int, past: int, scores: np.ndarray) -> None:
        for query, row in enumerate(np.moveaxis(scores, 2, 0), start=past):
            row = row[..., query::-1].astype(np.float64)  # (B, H, δ): from itself backwards
            total[layer, :, : query + 1] += row.sum(axis=0)
            square[layer, :, : query + 1] += np.square(row, out=row).sum(axis=0)

    with undisturbed():
        read(run.model, tokens, targets, look)
        count = len(tokens) * np.arange(length, 0, -1)
        mean = total / count
        std = np.sqrt(np.maximum(square / count - mean * mean, 0))  # rounding can take equal logits below zero
    dims = ("layer", "head", "distance")
    return xr.Dataset(
        {
            "mean": variable(dims, mean, "mean Q·K logit of the pairs this far apart"),
            "std": variable(dims, std, "standard deviation of the Q·K logits of the pairs this far apart"),
            "count": variable(("distance",), count, "pairs this far apart", "count"),
        },
        {
            "layer": variable(("layer",), np.arange(a.num_layers), "block"),
            "head": variable(("head",), np.arange(a.num_heads), "attention head"),
            "distance": variable(("distance",), np.arange(length), "how far the query looks back", "tokens"),
        },
        {"windows": len(tokens), "length": length},
    )
