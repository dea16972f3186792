"""Pictures whose colour is a size, dark for small: which colours, on which scale, and how the real value is read off."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import CustomJSHover, CustomJSTickFormatter, FixedTicker, HoverTool

from tlab_dash.theme import Theme, sequential
from tlab_dash.views import look
from tlab_dash.views.view import Table

MOST_DECADES = 5  # what is smaller still is as dark as the smallest
MOST_COLUMNS = 160  # of a picture over steps
LEVEL = "level"  # the column of colours: log10 of the size, or the number itself on an even scale

# The value under the pointer, in three digits.
_VALUE = "return Number.isFinite(value) ? Number((%s).toPrecision(3)).toString() : 'none'"
_POWER = "return Number((10 ** tick).toPrecision(1)).toString()"
_NAME = "const i = Math.floor(special_vars.%s + 0.5); return i in names ? names[i] : ''"


def logs(sizes: np.ndarray) -> np.ndarray:
    """Return log10 of sizes, and NaN, which is drawn as nothing, of what is not above 0 or not finite."""
    sizes = np.asarray(sizes, dtype=np.float32)
    return np.log10(sizes, out=np.full(sizes.shape, np.nan, np.float32), where=np.isfinite(sizes) & (sizes > 0))


def ends(sizes: np.ndarray) -> Table:
    """Return the ends of the colours as log10: halves of decades around all sizes, at most `MOST_DECADES` apart.

    Given all that was recorded so far, they only ever widen; as a fixed part they then seldom have a figure drawn anew.
    """
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not sizes.size:
        return {"low": np.array([-1.0]), "high": np.array([0.0])}
    low, high = np.floor(2 * np.log10(sizes.min())) / 2, np.ceil(2 * np.log10(sizes.max())) / 2
    return {"low": np.array([max(min(low, high - 1), high - MOST_DECADES)]), "high": np.array([high])}


def image(
    table: Table, scale: Table, theme: Theme, tooltips: dict, what: str,
    *, log: bool = True, colours: list[str] | None = None,
) -> hv.Image:
    """Return a picture of `table`: two coordinate columns and LEVEL, as log10 unless the scale is even (`log` off).

    scale     the ends of the colours, as `ends` gives them
    tooltips  {label: names along "$x" or "$y" as a list, or a CustomJSHover with "$x"/"$y" as (axis, hover)}
    what      what the colours measure
    colours   from the low end to the high one; None: those of sizes
    """
    across, down, _ = table
    shown = [(label, f"{axis}{{custom}}") for label, (axis, _) in tooltips.items()]
    named = {axis: _hover(axis, how) for axis, how in tooltips.values()}
    hover = HoverTool(
        tooltips=[*shown, (what, "@image{custom}")],
        formatters={**named, "@image": CustomJSHover(code=_VALUE % ("10 ** value" if log else "value"))},
        point_policy="follow_mouse",
    )
    (left, right), (bottom, top) = edges(table[across]), edges(table[down])
    low, high = float(scale["low"][0]), float(scale["high"][0])
    return hv.Image(
        (table[across], table[down], table[LEVEL]), [across, down], hv.Dimension(LEVEL, label=what, range=(low, high)),
        bounds=(left, bottom, right, top),
    ).opts(
        cmap=colours or sequential(theme), clim=(low, high), colorbar=True, clabel="", tools=[hover],
        colorbar_opts=_bar(theme) | (_powers(low, high) if log else {}), backend="bokeh",
    )


def edges(centres: np.ndarray) -> tuple[float, float]:
    """Return where a row of evenly spaced pixels begins and ends; a single one is 1 wide."""
    half = (centres[-1] - centres[0]) / (len(centres) - 1) / 2 if len(centres) > 1 else 0.5
    return float(centres[0] - half), float(centres[-1] + half)


def over_steps(run, group: str, variable: str, place: tuple = ()) -> tuple[np.ndarray, np.ndarray]:
    """Return evenly spaced steps from 0 to the last (n,), and the records in force at them (n, ...): each holds until the
    next. `place` is the index of what is taken of a record."""
    found = run.recorder.group(group).variables
    step = found["step"].values
    last = int(step[-1])
    centres = np.linspace(0, last, min(last + 1, MOST_COLUMNS))
    held, back = np.unique(np.searchsorted(step, centres, side="right") - 1, return_inverse=True)
    return centres, found[variable][held].values[(slice(None), *place)][back]


def step_hover() -> tuple[str, CustomJSHover]:
    """Return how a tooltip names the step under the pointer."""
    return "$x", CustomJSHover(code="return Math.max(0, Math.round(special_vars.x)).toLocaleString('en')")


def _hover(axis: str, how) -> CustomJSHover:
    return how if isinstance(how, CustomJSHover) else CustomJSHover(args={"names": list(how)}, code=_NAME % axis[1:])


def _bar(theme: Theme) -> dict:
    return {
        "width": 10, "padding": 4, "bar_line_color": None, "background_fill_alpha": 0, "border_line_alpha": 0,
        "major_tick_line_color": None, "label_standoff": 4, "major_label_text_color": theme.muted,
        "major_label_text_font": look.FONT, "major_label_text_font_size": look.TICK_SIZE,
    }


def _powers(low: float, high: float) -> dict:
    ticks = [tick for tick in np.arange(low, high + 0.1, 0.5).tolist() if high - low <= 2 or tick % 1 == 0]
    return {"ticker": FixedTicker(ticks=ticks), "formatter": CustomJSTickFormatter(code=_POWER)}
