"""How large the numbers are that flow through a model, and how much of it is switched off."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tlab_core.bins import INSIDE, Bins

MOMENTS = ("rms", "mean", "std", "max")
CACHED = 262_144  # numbers measured in one go: 1 MB in float32, which fits a core's cache; with a quarter it takes longer
FLAT = 0.01  # an activation whose slope is smaller than this passes next to no gradient


def moments(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Say how large the numbers of each row are: (R, n) -> rms, mean, std and max, each float64 (R,).

    rms = sqrt(mean(x²)), std = sqrt(mean(x²) - mean(x)²), max = max(|x|). NaN where the row has a NaN. Sums run in the
    rows' own precision, as products; where that could lose digits they run in float64. So no float32 row's squares
    overflow or vanish, and std keeps its digits beside a mean many times as large.
    """
    with np.errstate(all="ignore"):  # a diverged run's infinities and NaNs are data here, not accidents
        largest = np.maximum(rows.max(axis=1), -rows.min(axis=1)).astype(np.float64)
        mean, square = _means(rows)
        doubtful = ~(squares_fit(largest) & (mean * mean < square / 2))  # NaN is doubtful too
        if doubtful.any():
            mean[doubtful], square[doubtful] = _means(rows[doubtful].astype(np.float64))
        return {
            "rms": np.sqrt(square),
            "mean": mean,
            "std": np.sqrt(np.maximum(square - mean * mean, 0)),  # rounding can take a constant row below zero
            "max": largest,
        }


def _means(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean(x) and mean(x²) of each row, float64 (R,)."""
    count = rows.shape[1]
    sums = np.vecdot(rows, np.ones(count, rows.dtype)), np.vecdot(rows, rows)
    return sums[0].astype(np.float64) / count, sums[1].astype(np.float64) / count


def squares_fit(size: np.ndarray) -> np.ndarray:
    """Tell where numbers of this size have squares, and sums of them, far from the ends of what float32 can hold."""
    return (size > 1e-15) & (size < 1e15)


class Meter:
    """A trace that measures the named sites as they pass, and keeps nothing of them.

    `sites` gives each site's histogram bins, or None for a site without a histogram. `moments` maps rms, mean, std and
    max to one number a site, in their order, NaN for sites that never came; `counts` holds one histogram a site. Both
    are complete after `finish`. Sites of one size wait for each other until a cache is full of them: measuring eight
    costs little more than measuring one.

    >>> meter = Meter({"a": None, "b": None})
    >>> _ = meter("a", np.array([3.0, -4.0]))
    >>> {name: values.tolist() for name, values in meter.finish().moments.items()}["max"]
    [4.0, nan]
    """

    def __init__(self, sites: Mapping[str, Bins | None]):
        self.places = {name: place for place, name in enumerate(sites)}
        self.bins = list(sites.values())
        self.moments = {name: np.full(len(sites), np.nan) for name in MOMENTS}
        self.counts = np.zeros((len(sites), INSIDE + 2), np.int64)
        self._waiting: dict[int, tuple[np.ndarray, list[int]]] = {}  # size -> rows, and the places they belong to

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray:
        """Take down a site's array, of any shape, if it is one of the named ones; return it unchanged."""
        if name in self.places:
            if x.size not in self._waiting:
                self._waiting[x.size] = np.empty((max(1, CACHED // x.size), x.size), x.dtype), []
            rows, places = self._waiting[x.size]
            np.copyto(rows[len(places)].reshape(x.shape), x)
            places.append(self.places[name])
            if len(places) == len(rows):
                self._measure(x.size)
        return x

    def finish(self) -> "Meter":
        """Measure what still waits."""
        for size in list(self._waiting):
            self._measure(size)
        return self

    def _measure(self, size: int) -> None:
        rows, places = self._waiting[size]
        if places:
            for name, values in moments(rows[: len(places)]).items():
                self.moments[name][places] = values
            for place, row in zip(places, rows, strict=False):
                if self.bins[place] is not None:
                    self.counts[place] = self.bins[place].count(row)
            places.clear()


def activation_shares(preactivation: np.ndarray, activation: Any) -> dict[str, np.ndarray]:
    """Say how much of the feed-forward layers is switched off: (L, T, F) -> two shares in 0..1, each (L,).

    The activation's slope decides, for all kinds alike: a unit is off at a position where |activation'(x)| < 0.01,
    because no gradient to speak of passes there. x is what goes into the bend (of gated activations, the gate), and
    `activation.derivative(x)` its slope. For ReLU "off" means x <= 0: exactly zero, exactly no gradient. GELU and
    Swish are off far on the negative side, and in passing where their dip bottoms out.

    dead_share: units that are off at every position of the probe text; they can't learn from it.
    saturated_share: of all units at all positions, those that are off.
    """
    off = np.abs(activation.derivative(preactivation)) < FLAT
    off &= ~np.isnan(preactivation)  # a signal that has become NaN is broken, not off
    return {"dead_share": off.all(axis=1).mean(axis=-1), "saturated_share": off.mean(axis=(1, 2))}
