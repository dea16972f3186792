"""What changes when numbers arrive: each part's fill, ink and printed number. The drawing itself stays."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tlab_dash.architecture_map.values import (
    CLIP,
    RATIO,
    STATISTICS,
    MapValues,
    Scale,
    ratios,
    widen,
    written,
    written_ratio,
)
from tlab_dash.architecture_map.wiring import ATTENTION, FEED_FORWARD
from tlab_dash.theme import LIGHT, Theme, diverging_colour, ink, reference, sequential


@dataclass(frozen=True)
class Paint:
    """The colours and numbers of one moment.

    `parts` maps a part to (fill, ink, number); `labels` a layer to the sentence a screen reader says; `low` and `high` are
    the ends of the legend, and `step` says of which step the numbers are.
    """

    parts: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    low: str = ""
    high: str = ""
    step: str = ""

    def to_dict(self) -> dict:
        """The same as plain lists and dicts, for the browser."""
        return {
            "parts": {key: list(part) for key, part in self.parts.items()},
            "labels": {str(layer): label for layer, label in self.labels.items()},
            "legend": {"low": self.low, "high": self.high, "step": self.step},
        }


def paint(
    layers: int,
    values: MapValues | None,
    statistic: str,
    scale: Scale | None = None,
    ghost_values: MapValues | None = None,
    theme: Theme = LIGHT,
) -> Paint:
    """Colour every part of a map of `layers` layers by a statistic; a part without a value keeps the card's colour."""
    check_statistic(statistic)
    blank = (reference("surface", theme), reference("text", theme), "")
    keys = [f"residual.{d}" for d in range(2 * layers + 1)]
    keys += [f"blocks.{i}.{branch}" for i in range(layers) for branch in (ATTENTION, FEED_FORWARD)]
    numbers: dict[str, float] = {}
    low, high = "", ""
    if statistic == RATIO:
        if values and ghost_values:
            numbers = ratios(values, ghost_values)
        low, high = f"÷{CLIP:g}", f"×{CLIP:g}"

        def coloured(value):
            return diverging_colour(ratio_position(value), theme)
    else:
        numbers = values.of(statistic) if values else {}
        scale = widen(scale, values, statistic)
        if scale:
            low, high = written(10**scale.low), written(10**scale.high)

        def coloured(value):
            return sequential(theme)[round(255 * scale.position(value))] if scale else theme.surface

    write = written_ratio if statistic == RATIO else written
    painted = {}
    for key in keys:
        value = numbers.get(key)
        if value is None:
            painted[key] = blank
        else:
            fill = coloured(value)
            painted[key] = (fill, ink(fill), write(value))
    labels = {layer: _label(layer, painted, statistic) for layer in range(layers)}
    return Paint(painted, labels, low, high, f"step {values.step:,}" if values else "")


def ratio_position(ratio: float) -> float:
    """Where a ratio lies on the diverging scale: 0 for 1×, ±1 at `CLIP` times or `1/CLIP` and beyond; symmetric."""
    if ratio <= 0:
        return -1.0
    return min(1.0, max(-1.0, math.log(ratio) / math.log(CLIP))) if math.isfinite(ratio) else 1.0


def check_statistic(statistic: str) -> None:
    """Raise ValueError unless there is such a statistic."""
    if statistic not in STATISTICS:
        allowed = ", ".join(repr(name) for name in STATISTICS)
        raise ValueError(f"unknown statistic {statistic!r} for the architecture map: allowed are {allowed}.")


def _label(layer: int, painted: dict[str, tuple[str, str, str]], statistic: str) -> str:
    named = {
        "attention": f"blocks.{layer}.{ATTENTION}",
        "feed-forward": f"blocks.{layer}.{FEED_FORWARD}",
        "stream after it": f"residual.{2 * layer + 2}",
    }
    said = [f"{name} {painted[key][2]}" for name, key in named.items() if painted[key][2]]
    of = "gradient against the ghost" if statistic == RATIO else STATISTICS[statistic].lower()
    return f"Layer {layer}: {of} of {', '.join(said)}" if said else f"Layer {layer}"
