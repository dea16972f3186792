"""One parameter looked at closely: how its numbers are spread, and in how many directions a matrix works."""

from typing import Any

import numpy as np
import xarray as xr

from tlab_core.analyses.base import ANALYSES, undisturbed, variable
from tlab_core.registry import UnknownNameError, did_you_mean

BINS = 40


@ANALYSES.register("weights")
def weights(run: Any, *, parameter: str) -> xr.Dataset:
    """Show how the numbers of one parameter are spread, and how much it stretches what it is given, now and at the start.

    A matrix W (inputs, outputs) turns its input, stretches it along a few directions and turns it again: W = U·S·Vᵀ. The
    stretches are its singular values s, min(inputs, outputs) of them, falling, in float64; a vector has none. With
    p = s / Σ s, effective_rank = exp(−Σ p·ln p): 1 where one direction does everything, as many as there are where all
    do the same. Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", section 2.
    `attention.qkv` is taken as the one matrix that it is.

    count (bin,) is a histogram over all numbers, with the same bins at the start; those that aren't finite are in no bin.
    distance is RMS(W − start). Raises UnknownNameError for a parameter that the model doesn't have.
    """
    if parameter not in run.model.parameters:
        hint = did_you_mean(parameter, run.model.parameters) or f" One that it has is {next(iter(run.model.parameters))!r}."
        raise UnknownNameError(f"the model has no parameter {parameter!r}.{hint}")
    now = run.model.parameters[parameter].astype(np.float64)
    start = run.trainer.start[parameter].astype(np.float64)
    with undisturbed():
        edges, count, start_count = _histograms(now, start)
        s, start_s = _singular_values(now), _singular_values(start)
        found = {
            "count": variable(("bin",), count, "numbers in the bin", "count"),
            "start_count": variable(("bin",), start_count, "numbers in the bin at the start", "count"),
            "rms": variable((), _rms(now), "RMS of the parameter"),
            "start_rms": variable((), _rms(start), "RMS of the parameter at the start"),
            "distance": variable((), _rms(now - start), "RMS of how far the parameter has moved since the start"),
            "singular_value": variable(("component",), s, "stretch along a direction (singular value)"),
            "start_singular_value": variable(("component",), start_s, "stretch along a direction at the start"),
            "effective_rank": variable((), _effective_rank(s), "directions that matter (effective rank)", "directions"),
            "start_effective_rank": variable((), _effective_rank(start_s), "directions that mattered at the start",
                                             "directions"),
        }
    coords = {
        "left": variable(("bin",), edges[:-1], "lower edge of the bin"),
        "right": variable(("bin",), edges[1:], "upper edge of the bin"),
        "component": variable(("component",), np.arange(1, len(s) + 1), "direction, 1 the one stretched most"),
    }
    return xr.Dataset(found, coords, {"parameter": parameter, "shape": " × ".join(map(str, now.shape))})


def _histograms(now: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return edges (BINS + 1,) around all finite numbers of both, and how many of each lie in the bins."""
    finite = [numbers[np.isfinite(numbers)] for numbers in (now, start)]  # `start` always has some
    ends = [end for numbers in finite if numbers.size for end in (numbers.min(), numbers.max())]
    edges = np.histogram_bin_edges(ends, BINS)  # of width 1 / BINS where all numbers are one
    now_count, start_count = (np.histogram(numbers, BINS, (edges[0], edges[-1]))[0] for numbers in finite)
    return edges, now_count, start_count


def _singular_values(matrix: np.ndarray) -> np.ndarray:
    if matrix.ndim < 2:
        return np.empty(0)
    if not np.isfinite(matrix).all():
        return np.full(min(matrix.shape), np.nan)
    return np.linalg.svd(matrix, compute_uv=False)


def _effective_rank(s: np.ndarray) -> float:
    """Return exp(−Σ p·ln p) of p = s / Σ s; NaN for a vector, and for a matrix of zeros or with infinities."""
    total = s.sum()
    if not total > 0:
        return np.nan
    p = s[s > 0] / total
    return float(np.exp(-(p * np.log(p)).sum()))


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x * x)))
