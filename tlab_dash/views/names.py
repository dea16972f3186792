"""Names at the ends of lines, which must not lie on one another."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def apart(heights: np.ndarray, gap: float, top: float) -> np.ndarray:
    """Return heights for names that want to stand at `heights`: at least `gap` apart, in the same order, none above `top`.

    >>> apart(np.array([0.5, 0.1, 0.52]), 0.1, 1.0).tolist()
    [0.5, 0.1, 0.6]
    """
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, dtype=float)
    for below, above in pairwise(order):
        placed[above] = max(placed[above], placed[below] + gap)
    if len(order):
        placed[order[-1]] = min(placed[order[-1]], top)
    for above, below in pairwise(order[::-1]):
        placed[below] = min(placed[below], placed[above] - gap)
    return placed


def with_room(heights: np.ndarray, first: int, gap: float) -> list[int]:
    """Return which names have room, at least `gap` from those before them: `first`, and of the others from the top down.

    >>> with_room(np.array([1.0, 1.02, 2.0, np.nan]), 0, 0.1)
    [0, 2]
    """
    kept: list[int] = []
    for i in (first, *np.argsort(-heights, kind="stable")):
        if np.isfinite(heights[i]) and all(abs(heights[i] - heights[j]) >= gap for j in kept):
            kept.append(int(i))
    return kept
