"""How large the numbers are that flow through a model, and how much of it is switched off."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlab_core.bins import INSIDE, Bins

MOMENTS = ("rms", "mean", "std", "max")
CACHED = 65_536  # numbers measured in one go: what fits a core's cache
FLAT = 0.01  # an activation whose slope is smaller than this passes next to no gradient


def moments(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Say how large the numbers of each row are: (R, n) -> rms, mean, std and max, each float64 (R,).

    rms = sqrt(mean(x²)), std = sqrt(mean(x²) - mean(x)²), max = max(|x|). NaN where the row has a NaN. Sums run in
    float64: a float32 row's squares can't overflow there, and std keeps its digits beside a mean many times as large.
    """
    rows64 = rows.astype(np.float64)
    mean = rows64.mean(axis=1)
    square = np.vecdot(rows64, rows64) / rows.shape[1]
    return {
        "rms": np.sqrt(square),
        "mean": mean,
        "std": np.sqrt(np.maximum(square - mean * mean, 0)),  # rounding can take a constant row below zero
        "max": np.maximum(rows.max(axis=1), -rows.min(axis=1)).astype(np.float64),
    }


class Meter:
    """A trace that measures the named sites as they pass, and keeps nothing of them.

    `moments` maps rms, mean, std and max to one number a site, NaN for sites that never came; `counts` holds one
    histogram a site if there are `bins`. Both are complete after `finish`. Sites of one size wait for each other until
    a cache is full of them: measuring eight costs little more than measuring one.

    >>> meter = Meter(["a", "b"])
    >>> _ = meter("a", np.array([3.0, -4.0]))
    >>> {name: values.tolist() for name, values in meter.finish().moments.items()}["max"]
    [4.0, nan]
    """

    def __init__(self, names: Sequence[str], bins: Bins | None = None):
        self.places = {name: place for place, name in enumerate(names)}
        self.bins = bins
        self.moments = {name: np.full(len(names), np.nan) for name in MOMENTS}
        self.counts = np.zeros((len(names), INSIDE + 2), np.int64)
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
            rows = rows[: len(places)]
            for name, values in moments(rows).items():
                self.moments[name][places] = values
            if self.bins is not None:
                self.counts[places] = self.bins.count(rows)
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
