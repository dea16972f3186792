"""What is said under a picture that shows less than one expects: of a run that broke, or nearly did."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tlab_core.display.numbers import loss_figure
from tlab_dash.views.view import Columns, Range

BROKE = "No numbers: the run broke."
SEEN = 1 / 300  # of an axis, as much as a pixel
Limits = tuple[Range, Range]


def remark(view: str, columns: Columns, limits: Limits) -> str:
    """Return why the picture of that view is empty or cut off; nothing where it isn't."""
    return REMARKS[view](columns, limits) if view in REMARKS else ""


def of_map(gradients: dict[str, float]) -> str:
    """Return why the map has no colours; nothing where it has."""
    if not gradients:
        return "No colours: no gradient was measured here."
    return "" if any(gradients.values()) else "No colours: every gradient is 0, so nothing is told to change."


def _loss(columns: Columns, limits: Limits) -> str:
    losses = np.concatenate([columns[part]["loss"] for part in ("train", "validation")])
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return "No curve: no loss was a finite number."
    highest = np.max(columns["train"]["loss"], initial=0, where=np.isfinite(columns["train"]["loss"]))
    return f"It goes up to {loss_figure(highest)} nats, far beyond the top." if highest > 2 * limits[1][1] else ""


def _signal(columns: Columns, limits: Limits) -> str:
    there = np.isfinite(columns["now"]["rms"])
    return "" if there.all() else "Where the line ends, the signal is no finite number." if there.any() else BROKE


def _layer(columns: Columns, limits: Limits) -> str:
    signal, gradient = columns["signal"]["rms"], columns["gradient"]["rms"]
    said = [] if np.isfinite(signal).all() else ["Where there is no dot, the signal is no finite number."]
    if np.isnan(gradient).all():
        said.append("No triangles: no gradient was measured here.")
    elif not np.nan_to_num(gradient).any():
        said.append("No triangles: every gradient is 0.")
    return " ".join(said)


def _qk(columns: Columns, limits: Limits) -> str:
    bars, ((left, right), (_, top)) = columns["bars"], limits
    if not len(bars["top"]):
        return BROKE
    seen = (bars["top"] > SEEN * top) & (bars["right"] - bars["left"] > SEEN * (right - left))
    return "" if seen.any() else "No bars: the scores lie so far apart that each would be thinner than a hair."


REMARKS: dict[str, Callable[[Columns, Limits], str]] = {
    "loss": _loss, "signal": _signal, "layer_statistics": _layer, "qk": _qk,
}  # fmt: skip
