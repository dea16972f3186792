"""A number through time as a line a layer, with the chosen layer's or head's on top: what several views draw."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from tlab_dash.theme import Theme, layer_colours
from tlab_dash.views import look, steps
from tlab_dash.views.names import with_room
from tlab_dash.views.series import step_range
from tlab_dash.views.view import Columns, Range, Table

ROOM = 1.2  # of the axis of steps, for names at the right
POINTS = 61  # of a layer's line, always as many: the column of colours that HoloViews adds keeps its length
GAP = 1 / 14  # of the axis, between two names
SIZE = hv.Dimension("size")


def sampled(run, group: str, variable: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps (POINTS,) evenly among the records, of few records some more than once, and the variable then."""
    found = run.recorder.group(group).variables
    step = found["step"].values
    kept, back = np.unique(np.rint(np.linspace(0, len(step) - 1, POINTS)).astype(int), return_inverse=True)
    return step[kept][back].astype(float), found[variable][kept].values[back]


def segments(step: np.ndarray, sizes: np.ndarray) -> Table:
    """Return lines (step, layer) as pieces from one step to the next; what is not finite is not drawn."""
    layers = sizes.shape[1]
    sizes = np.where(np.isfinite(sizes), sizes, np.nan)
    return {
        "step": np.tile(step[:-1], layers), "size": sizes[:-1].T.ravel(), "end": np.tile(step[1:], layers),
        "top": sizes[1:].T.ravel(), "layer": np.repeat(np.arange(layers), len(step) - 1),
    }


def names(last: float, ends: np.ndarray, chosen: Table, layer: int, gap: float, by_head: bool = True) -> Table:
    """Return the layers' names at the ends of their lines, those that have room, and `by_head` the chosen head's."""
    own = chosen["size"][-1] if by_head and len(chosen["size"]) else np.nan
    heights = np.append(ends.astype(float), own)
    kept = with_room(heights, len(ends) if by_head else layer, gap)
    words = ["  head" if i == len(ends) else f"  layer {i}" if i == layer else f"  {i}" for i in kept]
    return {"step": np.full(len(kept), float(last)), "size": heights[kept], "name": np.array(words, dtype=object)}


def draw(columns: Columns, theme: Theme, chosen: str, said: tuple[str, str]) -> hv.Overlay:
    """Return the overlay: a thin line a layer in its colour, the chosen one bold, the ghost's dashed.

    chosen  what the legend calls the bold line
    said    what the number is called beside a line that is pointed at, and how it is written
    """
    c, count = columns, len(columns["layers"]["layer"])
    hover = HoverTool(tooltips=[("layer", "@layer"), ("step", "@step{0,0}"), said], point_policy="follow_mouse")
    return hv.Overlay([
        hv.Segments(c["lines"], [steps.STEP, SIZE, "end", "top"], "layer").opts(
            color="layer", cmap=layer_colours(count, theme), clim=(0, max(count - 1, 1)), line_width=1.5, tools=[hover],
            backend="bokeh"),
        steps.ghost(c["ghost"], "size", theme),
        steps.curve(c["chosen"], "size", chosen, theme.attention, 3),
        hv.Labels(c["names"], [steps.STEP, SIZE], "name").opts(**look.text(theme, text_color=theme.text), backend="bokeh"),
        steps.upright(c["shown"], "size", theme),
    ]).opts(**look.frame(
        theme, xlabel="step", ylabel=c["measure"]["words"][0], yformatter=look.short_numbers()), backend="bokeh")


def across(columns: Columns) -> Range:
    """Return the axis of steps, with room for names at the right."""
    left, right = step_range(columns["lines"], columns["chosen"], columns["ghost"])
    return left, ROOM * right
