"""The gradient through time: a picture with a column a step and a row a place, which two views draw."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import heat, look
from tlab_dash.views.series import BEYOND, axis_end
from tlab_dash.views.view import Columns, Range, values

STEP = hv.Dimension("step", label="step")


def step_map(run, selection, group: str, place: tuple, chosen: tuple[float, float]) -> Columns:
    """Return the gradient's RMS over steps as log10, (place, step); the ends of its colours, the rows of the chosen layer
    and the step that is looked back at.

    place   the index of what is shown of a record
    chosen  from which row to which the chosen layer reaches
    """
    step, sizes = heat.over_steps(run, group, "gradient_rms", place)
    left, right = heat.edges(step)
    at = np.array([] if selection.step is None else [selection.step], dtype=float)
    return {
        # Of all that was recorded, so that the colours keep their meaning while the run goes on.
        "scale": heat.ends(values(run, group, "gradient_rms")[(slice(None), *place)]),
        "rows": {"count": np.array([sizes.shape[1]])},
        "map": {"step": step, "place": np.arange(sizes.shape[1], dtype=float), heat.LEVEL: heat.logs(sizes.T)},
        "chosen": {
            "left": np.array([left]), "bottom": np.array([chosen[0]]),
            "right": np.array([right]), "top": np.array([chosen[1]]),
        },
        "shown": {"step": at, "place": np.full(len(at), -BEYOND), "end": at, "top": np.full(len(at), BEYOND)},
    }


def draw(columns: Columns, theme: Theme, names: list[str], ticks: list[tuple[float, str]], label: str) -> hv.Overlay:
    """Return the picture, its rows named by `names` under the pointer and by `ticks` on the axis."""
    c = columns
    return hv.Overlay([
        heat.image(c["map"], c["scale"], theme, {"place": ("$y", names), "step": heat.step_hover()}, what="gradient RMS"),
        hv.Rectangles(c["chosen"], ["left", "bottom", "right", "top"]).opts(
            fill_alpha=0, line_color=theme.accent, line_width=2, backend="bokeh"),
        hv.Segments(c["shown"], [STEP, hv.Dimension("place"), "end", "top"]).opts(
            color=theme.residual, line_width=1.5, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel="step; colour: gradient RMS, nats per unit", ylabel=label, yticks=ticks,
        invert_yaxis=True, show_grid=False,
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: a round number of steps that the picture grows into; a row a place, the first at the top."""
    left, right = heat.edges(columns["map"]["step"])
    return (left, max(right, axis_end(columns["map"]))), (float(columns["rows"]["count"][0]) - 0.5, -0.5)
