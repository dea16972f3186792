"""Why a gradient is wrong, as far as its numbers tell."""

from collections.abc import Sequence

import numpy as np

ALIKE = 1e-3  # relative distance of two gradients up to which one explains the other


def diagnosis(analytic: np.ndarray, numeric: np.ndarray, by_row: Sequence[np.ndarray] = (), rows: int = 0,
              given: np.ndarray | None = None) -> str:
    """Say in a sentence or two what is wrong with a gradient, beside the one by finite differences.

    by_row  what each row of the input alone adds to the numeric gradient, where that is known
    rows    how many rows there are; 0 where the array is no sum over rows
    given   the input, where the gradient is of the input
    """
    return (_by_a_factor(analytic, numeric, rows) or _by_a_row(analytic, by_row) or _by_a_term(analytic, numeric, given)
            or "") + _worst(analytic, numeric)


def _by_a_factor(analytic: np.ndarray, numeric: np.ndarray, rows: int) -> str:
    if not np.isfinite(analytic).all():
        return "Backward gives numbers that are not finite. "
    if not analytic.any():
        return "Backward leaves it at zero: nothing is added to it. "
    factor = float((analytic * numeric).sum() / max((numeric * numeric).sum(), 1e-300))
    if not _alike(analytic, factor * numeric):
        return ""
    if abs(factor + 1) < ALIKE:
        return "The sign is wrong: backward gives minus the gradient. "
    sign = "The sign is wrong too. " if factor < 0 else ""
    for count, words in ((rows, "rows (positions of the batch)"), (analytic.shape[-1] if analytic.ndim else 0, "channels")):
        if count > 1 and abs(abs(factor) * count - 1) < ALIKE:
            return f"Backward gives 1/{count} of the gradient: a mean over the {count} {words} where a sum belongs. {sign}"
        if count > 1 and abs(abs(factor) / count - 1) < ALIKE:
            return f"Backward gives {count} times the gradient: a sum over {count} {words} too many. {sign}"
    return f"Backward gives {factor:.4g} times the gradient: a factor is wrong. "


def _by_a_row(analytic: np.ndarray, by_row: Sequence[np.ndarray]) -> str:
    for row, alone in enumerate(by_row):
        if alone.any() and _alike(analytic, alone):
            place = "first" if row == 0 else "last" if row == len(by_row) - 1 else f"number {row}"
            return (f"Only one row counts, the {place}: a sum over the rows (the batch and its positions) is missing, or "
                    "each row overwrites the one before (add with +=). ")
    return ""


def _by_a_term(analytic: np.ndarray, numeric: np.ndarray, given: np.ndarray | None) -> str:
    """Tell two terms that are easily forgotten: how moving one channel moves a row's mean, and how it moves its scale."""
    if given is None or given.ndim != 2:
        return ""
    off = analytic - numeric
    if _alike(off, np.broadcast_to(off.mean(axis=1, keepdims=True), off.shape)):
        return "What is off is the same for all channels of a row: the term that goes through the row's mean is missing. "
    for row, words in ((given, "input"), (given - given.mean(axis=1, keepdims=True), "input less its mean")):
        share = (off * row).sum(axis=1, keepdims=True) / (row * row).sum(axis=1, keepdims=True)
        if _alike(off, share * row):
            return (f"What is off is in proportion to the {words}: the term that goes through the row's scale (its size or "
                    "spread) is missing. ")
    return ""


def _worst(analytic: np.ndarray, numeric: np.ndarray) -> str:
    with np.errstate(invalid="ignore"):
        distance = np.abs(analytic - numeric)
    distance = np.where(np.isfinite(distance), distance, np.inf)
    place = np.unravel_index(int(np.argmax(distance)), distance.shape)
    index = f"[{', '.join(map(str, place))}]" if place else "its one number"
    return f"At {index} backward gives {analytic[place]:.6g} and finite differences give {numeric[place]:.6g}."


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return float(np.abs(one - other).max()) <= ALIKE * max(float(np.abs(one).max()), float(np.abs(other).max()), 1e-12)
