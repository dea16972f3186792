"""The numbers on the map: read from a run's statistics, put on a scale, written out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

SIGNAL, GRADIENT, RATIO = "signal", "gradient", "ratio"
STATISTICS = {GRADIENT: "Gradient", SIGNAL: "Signal", RATIO: "vs ghost"}
EXPLANATIONS = {
    GRADIENT: "RMS: how strongly each part is told to change",
    SIGNAL: "RMS: how large the numbers are here",
    RATIO: "gradient now ÷ gradient in the ghost",
}
VARIABLES = {SIGNAL: "rms", GRADIENT: "gradient_rms"}

CLIP = 16.0  # a ratio beyond this is drawn as this
DECADES = 1.0  # a scale spans at least this much, lest differences too small to matter look large


@dataclass(frozen=True)
class MapValues:
    """RMS of the signal and of its gradient at each part, after `step` updates; a part that was not measured is absent."""

    step: int
    signal: dict[str, float] = field(default_factory=dict)
    gradient: dict[str, float] = field(default_factory=dict)

    def of(self, statistic: str) -> dict[str, float]:
        """The values of "signal" or "gradient", by part."""
        return {SIGNAL: self.signal, GRADIENT: self.gradient}[statistic]


@dataclass(frozen=True)
class Scale:
    """The range of a logarithmic colour scale; `low` and `high` are powers of ten."""

    low: float
    high: float

    def widened(self, values: Iterable[float]) -> Scale:
        """The smallest scale that holds this one and the values; it never narrows, so a colour keeps its meaning."""
        logs = [math.log10(value) for value in values if value > 0 and math.isfinite(value)]
        return Scale(min([self.low, *logs]), max([self.high, *logs]))

    @classmethod
    def around(cls, values: Iterable[float]) -> Scale | None:
        """The scale that just holds the values, at least `DECADES` wide; None when there is none above zero."""
        logs = [math.log10(value) for value in values if value > 0 and math.isfinite(value)]
        if not logs:
            return None
        low, high = min(logs), max(logs)
        slack = max(0.0, DECADES - (high - low)) / 2
        return cls(low - slack, high + slack)

    def position(self, value: float) -> float:
        """Where a value lies, 0 (the low end, or zero) to 1 (the high end, or infinite)."""
        if value <= 0:
            return 0.0
        if math.isinf(value):
            return 1.0
        return min(1.0, max(0.0, (math.log10(value) - self.low) / (self.high - self.low)))


def widen(scale: Scale | None, values: MapValues | None, statistic: str) -> Scale | None:
    """The scale for `values`: `scale` widened to hold them, or a new one."""
    if values is None or statistic == RATIO:
        return scale
    numbers = values.of(statistic).values()
    return scale.widened(numbers) if scale else Scale.around(numbers)


def map_values(run, step: int | None = None) -> MapValues | None:
    """Read the map's numbers off a run's `residual` and `layers` statistics, at the newest record or the last by `step`.

    None before the first record.
    """
    residual, layers = run.recorder.group("residual"), run.recorder.group("layers")
    steps = residual["step"].values
    count = len(steps) if step is None else int((steps <= step).sum())
    if not count:
        return None
    found: dict[str, dict[str, float]] = {}
    for statistic, variable in VARIABLES.items():
        parts = {f"residual.{d}": v for d, v in enumerate(residual[variable].values[count - 1])}
        branches = layers[variable].sel(site=["attention", "mlp"]).values[count - 1]  # (layer, site)
        for layer, (attention, mlp) in enumerate(branches):
            parts |= {f"blocks.{layer}.attention": attention, f"blocks.{layer}.mlp": mlp}
        found[statistic] = {part: float(value) for part, value in parts.items() if not math.isnan(value)}
    return MapValues(int(steps[count - 1]), **found)


def ratios(values: MapValues, ghost: MapValues) -> dict[str, float]:
    """Gradient now ÷ gradient in the ghost, for the parts that both have."""
    pairs = ((part, now, ghost.gradient.get(part, 0.0)) for part, now in values.gradient.items())
    return {part: now / then for part, now, then in pairs if then > 0}


def written(value: float) -> str:
    """A number in at most three significant digits and few characters.

    >>> [written(v) for v in (0.0180, 0.0123456, 1.5, 3825, 4e-7, 0, float("inf"))]
    ['0.018', '0.0123', '1.5', '3825', '4e-7', '0', '∞']
    """
    if math.isinf(value):
        return "∞"
    if value == 0 or 1e-4 <= abs(value) < 999.5:
        return f"{value:.3g}"
    if 999.5 <= abs(value) < 99_999.5:
        return f"{value:.0f}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def written_ratio(value: float) -> str:
    """A ratio in two or three significant digits.

    >>> written_ratio(9.04), written_ratio(0.5), written_ratio(160)
    ('9.04×', '0.5×', '160×')
    """
    return f"{written(value)}×"


def broken_part(site: str) -> str:
    """Return the part of the map in which a trace site lies.

    >>> broken_part("blocks.3.scores"), broken_part("blocks.0.preactivation.gradient"), broken_part("residual.2")
    ('blocks.3.attention', 'blocks.0.mlp', 'residual.2')
    """
    parts = site.removesuffix(".gradient").split(".")
    if parts[0] != "blocks":
        return ".".join(parts[:2])
    inside = parts[2] in ("norm2", "post_norm2", "preactivation", "activation", "mlp")
    return f"blocks.{parts[1]}.{'mlp' if inside else 'attention'}"
