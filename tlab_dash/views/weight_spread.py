"""How the numbers of one parameter are spread, now and at the start."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look, matrix, measured
from tlab_dash.views.series import range_from_zero
from tlab_dash.views.view import Columns, Range, Table, View, empty
from tlab_dash.views.wording import whole_words

VALUE = hv.Dimension("value", label="weight")
DENSITY = hv.Dimension("density", label="share per unit")


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen parameter's histogram as bars whose area is a share of all numbers, and as outlines that at the
    start and the ghost's."""
    parameter = selection.parameter(run)
    found, then = matrix.taken(run, parameter), matrix.taken(ghost, parameter) if ghost else None
    sizes = {} if found is None else {name: float(found[name]) for name in ("rms", "start_rms", "distance")}
    return {
        "bars": _bars(found),
        "ghost": _outline(then, "count"),
        "start": _outline(found, "start_count"),
        "facts": measured.told(run, selection, found, name=whole_words(parameter), **sizes),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: filled bars now, a line for the start, a dashed one for the ghost."""
    c = columns
    return hv.Overlay([
        hv.Rectangles(c["bars"], ["left", "bottom", "right", "top"], label="now").opts(
            color=theme.attention, fill_alpha=0.6, line_color=theme.surface, line_width=0.5, backend="bokeh"),
        hv.Curve(c["ghost"], VALUE, DENSITY, label="ghost").opts(
            color=theme.ghost, line_width=2, line_dash="dashed", backend="bokeh"),
        hv.Curve(c["start"], VALUE, DENSITY, label="at the start").opts(
            color=theme.residual, line_width=1.5, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel="weight", ylabel="share per unit", xticks=5,
        xformatter=look.short_numbers(), yformatter=look.short_numbers()), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every number of the run, now and at the start, and room above the highest bar."""
    places = np.concatenate([columns["bars"]["left"], columns["bars"]["right"]])
    heights = [columns["bars"]["top"], columns["start"]["density"]]
    left, right = (float(places.min()), float(places.max())) if len(places) else (-1.0, 1.0)
    return (left, right), range_from_zero(*heights)


def note(columns: Columns) -> str:
    """Say how large the numbers are, and how far they have moved."""
    facts = columns["facts"]

    def say() -> str:
        now, start, distance = (facts[name][0] for name in ("rms", "start_rms", "distance"))
        return f"{facts['name'][0]}: RMS {now:.2g}, {start:.2g} at the start; moved by {distance:.2g}."

    return measured.noted(facts, say)


def _bars(found) -> Table:
    if found is None:
        return empty("left", "bottom", "right", "top")
    left, right = found["left"].values, found["right"].values
    return {"left": left, "bottom": np.zeros(len(left)), "right": right, "top": _density(found, "count")}


def _outline(found, variable: str) -> Table:
    """Bars as one line that goes up and down around them."""
    if found is None:
        return empty("value", "density")
    ends = np.stack([found["left"].values, found["right"].values], axis=1).ravel()
    return {"value": ends, "density": np.repeat(_density(found, variable), 2)}


def _density(found, variable: str) -> np.ndarray:
    count = found[variable].values.astype(float)
    return count / max(1.0, count.sum()) / (found["right"].values - found["left"].values)


weight_spread = View(
    name="weight_spread",
    title="How one matrix's numbers are spread",
    caption="Bars: the numbers now. Line: those at the start. Look for numbers that have moved far out.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"x": "value", "y": "density"}},
    told=("facts",),
    note=note,
    needs=matrix.needs,
)
