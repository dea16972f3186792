"""One measure of one parameter, from the first step to the newest."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look, steps
from tlab_dash.views.series import BELOW, log_range, range_from_zero, shown, step_range, thinned
from tlab_dash.views.view import Columns, Range, Table, View, empty
from tlab_dash.views.wording import WEIGHT_MEASURE_WORDS, WEIGHT_UNITS, whole_words

LOG = ("update_ratio", "gradient_rms")


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen measure of the chosen parameter at each look inside, and the ghost's if it has that parameter."""
    measure, parameter = selection.weight_measure, selection.parameter(run)
    log = measure in LOG
    words = WEIGHT_MEASURE_WORDS[measure]
    sizes = _history(run, parameter, measure)
    return {
        "axis": {
            "words": np.array([f"{words}, {WEIGHT_UNITS[measure]}" if measure in WEIGHT_UNITS else words], dtype=object),
            "log": np.array([log]),
        },
        "ghost": _history(ghost, parameter, measure) if ghost else empty("step", "size"),
        "size": sizes,
        "dot": sizes if len(sizes["size"]) == 1 else empty("step", "size"),
        "shown": shown(selection, "size", BELOW if log else 0.0),
        "facts": {"name": np.array([whole_words(parameter)], dtype=object)},
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: one line, a dot while there is a single point of it, the ghost's dashed."""
    c = columns
    return hv.Overlay([
        steps.ghost(c["ghost"], "size", theme),
        steps.curve(c["size"], "size", "now", theme.attention),
        hv.Points(c["dot"], [steps.STEP, "size"]).opts(color=theme.attention, size=7, backend="bokeh"),
        steps.upright(c["shown"], "size", theme),
    ]).opts(**look.frame(
        theme, xlabel="step", ylabel=c["axis"]["words"][0],
        **(look.log_axis("y") if c["axis"]["log"][0] else {"yformatter": look.short_numbers()}),
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all steps; from 0, or a logarithmic one around the run's sizes."""
    sizes = columns["size"]["size"]
    up = log_range(sizes) if columns["axis"]["log"][0] else range_from_zero(sizes)
    return step_range(columns["size"], columns["ghost"]), up


def note(columns: Columns) -> str:
    """Say whose line it is, and its newest value."""
    sizes, name = columns["size"]["size"], columns["facts"]["name"][0]
    if not len(sizes):
        return f"{name}: measured from the first update on."
    return f"{name}: {sizes[-1]:.2g}." if len(sizes) > 1 else f"{name}: {sizes[-1]:.2g} so far. Training adds to it."


def _history(run, parameter: str, measure: str) -> Table:
    names = list(run.recorder.coordinates["parameter"])
    if parameter not in names:
        return empty("step", "size")
    found = run.recorder.group("parameters").variables
    # The column alone, so that of a saved run only that is read.
    sizes, step = found[measure][:, names.index(parameter)].values.astype(float), found["step"].values
    there = np.isfinite(sizes)  # before the first update there is none to measure
    return thinned(step[there], sizes[there], "size")


weight_history = View(
    name="weight_history",
    title="One matrix through time",
    caption="The chosen measure of the chosen weights at each look inside.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "size"}},
    log=lambda columns: "y" if columns["axis"]["log"][0] else "",
    fixed=("axis",),
    told=("facts",),
    note=note,
)
