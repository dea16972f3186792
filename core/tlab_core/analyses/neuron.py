"""One unit of a feed-forward layer: what excites it, and what it then writes."""

from typing import Any

import numpy as np
import xarray as xr

from tlab_core.analyses.base import ANALYSES, chosen, held_back, undisturbed, variable
from tlab_core.analyses.reading import activations

CHARACTERS = 4096  # of held-back text that the units are watched on
BINS = 40
PASSAGES = 8
AROUND = 20  # characters before and after the strongest one of a passage
WRITTEN = 8


@ANALYSES.register("neuron")
def neuron(run: Any, *, layer: int, unit: int | None = None, position: int | None = None) -> xr.Dataset:
    """Show on which characters a feed-forward unit fires, and which next characters it then makes likelier.

    Watches the units of one layer (the numbers a, after the bend, that `mlp.down` reads) on about 4,000 characters of
    held-back text and on the probe text. unit_std (unit,): how much each varies over the text; unit_at_position (unit,):
    each at one position of the probe text (`position`, None the last). For the chosen unit (None: the one that varies
    most): probe_activation (position,), a histogram, the passages (passage, offset) with its highest values, and what one
    unit of activation adds to each next token's logit, W_down[unit] · W_out. That is its direct path to the output: the
    norms on the way, and the layers above, are left out. Geva et al. 2021, "Transformer Feed-Forward Layers Are Key-Value
    Memories", sections 3 and 4.

    Passages don't overlap; there are 8, or fewer in a short text. Raises AnalysisError for a layer, unit or position that
    isn't there.
    """
    a, read = run.model.architecture, run.trainer.probe[:-1]
    layer = chosen("layer", layer, a.num_layers)
    position = len(read) - 1 if position is None else chosen("position", position, len(read))
    if unit is not None:
        unit = chosen("unit", unit, a.resolved_ff_dim)
    length = min(run.trainer.training.seq_len, CHARACTERS)
    tokens, _ = held_back(run, CHARACTERS // length, length)
    characters = np.array(list(run.tokenizer.characters))
    with undisturbed():
        at_probe = activations(run.model, layer, read[None])[0]
        at_text = activations(run.model, layer, tokens)
        spread = at_text.reshape(-1, a.resolved_ff_dim).std(axis=0, dtype=np.float64)
        if unit is None:
            unit = int(np.argmax(np.nan_to_num(spread)))
        fired = at_text[..., unit].astype(np.float64)
        count, edges = _histogram(fired)
        piece, start, peak, width = _passages(fired)
        places = piece[:, None], start[:, None] + np.arange(width)
        writes = _writes(run.model, layer, unit)
    order = np.argsort(-writes, kind="stable")
    raised, lowered = order[:WRITTEN], order[::-1][:WRITTEN]
    passage, rank = ("passage", "offset"), ("rank",)
    found = {
        "unit_std": variable(("unit",), spread, "standard deviation of the unit's activation over the text"),
        "unit_at_position": variable(("unit",), at_probe[position], "activation of the unit at the chosen character"),
        "probe_activation": variable(("position",), at_probe[:, unit], "activation of the chosen unit"),
        "count": variable(("bin",), count, "characters at which the chosen unit's activation is in the bin", "count"),
        "passage_character": variable(passage, characters[tokens[places]], "character of the passage"),
        "passage_activation": variable(passage, fired[places], "activation of the chosen unit"),
        "passage_peak": variable(("passage",), peak - start, "place of the strongest character in the passage", "tokens"),
        "raised_character": variable(rank, characters[raised], "next character that the unit makes likelier"),
        "raised": variable(rank, writes[raised], "logit added per unit of activation, norms left out"),
        "lowered_character": variable(rank, characters[lowered], "next character that the unit makes less likely"),
        "lowered": variable(rank, writes[lowered], "logit added per unit of activation, norms left out"),
    }
    coords = {
        "left": variable(("bin",), edges[:-1], "lower edge of the bin"),
        "right": variable(("bin",), edges[1:], "upper edge of the bin"),
        "unit": variable(("unit",), np.arange(a.resolved_ff_dim), "feed-forward unit"),
        "position": variable(("position",), np.arange(len(read)), "position in the probe text", "tokens"),
        "passage": variable(("passage",), np.arange(len(piece)), "passage, 0 the one with the highest activation"),
        "offset": variable(("offset",), np.arange(width), "place in the passage", "tokens"),
        "rank": variable(rank, np.arange(len(raised)), "place in the list, 0 the largest change"),
    }
    return xr.Dataset(found, coords, {"layer": layer, "unit": unit, "position": position, "characters": tokens.size})


def _histogram(fired: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (BINS,) and edges of a unit's finite activations."""
    return np.histogram(fired[np.isfinite(fired)], BINS)


def _passages(fired: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Find where a unit fires most, in activations (B, T): piece, start and peak of each passage, and their width.

    The highest activation takes the characters around it, then the highest of those whose passage would not overlap an
    earlier one, and so on. Activations that aren't finite make none.
    """
    length = fired.shape[1]
    width = min(2 * AROUND + 1, length)
    start_of = np.clip(np.arange(length) - AROUND, 0, length - width)  # a passage at a piece's end leans inwards
    free = np.isfinite(fired)
    found = []
    while len(found) < PASSAGES and free.any():
        piece, peak = np.unravel_index(np.argmax(np.where(free, fired, -np.inf)), fired.shape)
        found.append((piece, start_of[peak], peak))
        free[piece] &= np.abs(start_of - start_of[peak]) >= width
    piece, start, peak = np.array(found, np.intp).reshape(-1, 3).T
    return piece, start, peak, width


def _writes(model: Any, layer: int, unit: int) -> np.ndarray:
    """Return what one unit of activation adds to each logit on the direct path (V,): W_down[unit] · W_out."""
    table = model.parameters["token_embedding.weight"].T if model.architecture.tie_embeddings \
        else model.parameters["head.weight"]
    return model.parameters[f"blocks.{layer}.mlp.down.weight"][unit].astype(np.float64) @ table.astype(np.float64)
