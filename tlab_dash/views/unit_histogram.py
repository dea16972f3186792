"""How often one feed-forward unit is how active."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.surprise import named, percent
from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.measured import noted, number, told
from tlab_dash.views.units import neuron_needs, neuron_of
from tlab_dash.views.view import Columns, Range, View, empty

ACTIVATION = hv.Dimension("activation", label="activation of the unit")
COUNT = hv.Dimension("count", label="characters")
FLOOR = 0.5  # of the logarithmic axis: a bar of one character stands on it


def columns(run, selection, ghost=None) -> Columns:
    """Return a bar for each bin in which there are characters, and the activation at the chosen one."""
    found = neuron_of(run, selection)
    bars, mark, name = empty("left", "bottom", "right", "top"), np.empty(0), []
    if found is not None:
        left, right, count = (found[part].values for part in ("left", "right", "count"))
        taken = count > 0
        bars = {"left": left[taken], "bottom": np.full(taken.sum(), FLOOR), "right": right[taken],
                "top": count[taken].astype(float)}
        position = found.attrs["position"]
        here = found["probe_activation"].values[[position]].astype(float)
        mark = here[np.isfinite(here)]
        name = [f"{named(run.probe_tokens[position])} {number(here)}" for here in mark]
    height = 2 * max([*bars["top"], 1.0])
    return {
        "bars": bars,
        "mark": {"activation": mark, "count": np.full(len(mark), FLOOR), "end": mark, "height": np.full(len(mark), height)},
        "mark_name": {
            "activation": mark, "count": np.full(len(mark), height), "name": np.array(name, dtype=object),
        },
        "told": told(run, selection, found,
                     constant=found is not None and float(found["unit_std"].values[found.attrs["unit"]]) == 0.0),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay on a logarithmic axis, since most units are quiet most of the time."""
    c = columns
    return hv.Overlay([
        hv.Rectangles(c["bars"], ["left", "bottom", "right", "top"]).opts(
            color=theme.feed_forward, fill_alpha=0.75, line_color=theme.surface, line_width=0.5, backend="bokeh"),
        hv.Segments(c["mark"], [ACTIVATION, COUNT, "end", "height"]).opts(
            color=theme.residual, line_width=1.5, line_dash="dotted", backend="bokeh"),
        hv.Labels(c["mark_name"], [ACTIVATION, COUNT], "name").opts(
            **look.text(theme, text_align="center", text_baseline="bottom", text_color=theme.text), backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel=ACTIVATION.label, ylabel="characters", logy=True, yticks=look.log_ticker(), yformatter="%g", xticks=5,
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every activation that occurred, with room for a name; counts from half a character up."""
    bars, mark = columns["bars"], columns["mark"]["activation"]
    ends = np.concatenate([bars["left"], bars["right"], mark])
    low, high = (float(ends.min()), float(ends.max())) if len(ends) else (-1.0, 1.0)
    room = 0.08 * (high - low) or 0.5
    return (low - room, high + room), (FLOOR, 6 * max([*bars["top"], 1.0]))


def note(columns: Columns) -> str:
    """Return how seldom the unit is in the upper half of what it reaches."""
    bars = columns["bars"]

    def say():
        total = int(bars["top"].sum())
        if columns["told"]["constant"][0]:
            return f"The unit is the same at all {total:,} characters: it tells nothing."
        if not total:
            return "The unit's numbers are no longer finite."
        largest = bars["right"][-1]
        upper = bars["left"] >= largest / 2
        if largest <= 0 or not upper.any():
            return f"Over {total:,} characters it reaches {number(largest)}."
        share = bars["top"][upper].sum() / total
        often = f"at {percent(share)} of {total:,} characters"
        return f"Above {number(bars['left'][upper][0])} {often}; its largest is {number(largest)}."

    return noted(columns["told"], say)


unit_histogram = View(
    name="unit_histogram",
    title="How often it is how active",
    caption="Bars count characters of unseen text. Few at the right: a choosy unit.",
    columns=columns,
    draw=draw,
    limits=limits,
    told=("told",),
    note=note,
    needs=neuron_needs,
)
