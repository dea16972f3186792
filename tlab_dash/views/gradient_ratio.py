"""Whether the gradient reaches the first layer as strong as it left the last: one number a step."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look, steps
from tlab_dash.views.series import BELOW, axis_end, log_range, shown, step_range, thinned
from tlab_dash.views.view import Columns, Range, Table, View, empty, row

EVEN = 1.1  # within this factor, both ends are called as strong


def columns(run, selection, ghost=None) -> Columns:
    """Return the gradient's RMS after the last layer over that before the first, of each look inside; the ghost's; 1."""
    now = _ratio(run)
    then = _ratio(ghost) if ghost else empty("step", "ratio")
    at = row(run, "residual", selection.step)["gradient_rms"].astype(float)
    return {
        **steps.level_columns("ratio", 1.0, "as strong", axis_end(now, then)),
        "ghost": then,
        "ratio": now,
        "shown": shown(selection, "ratio", BELOW),
        "ends": {"first": at[:1], "last": at[-1:]},
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay on a logarithmic axis: one line, the ghost's dashed, and 1 dotted."""
    c = columns
    return hv.Overlay([
        *steps.level(c, "ratio", theme),
        steps.ghost(c["ghost"], "ratio", theme),
        steps.curve(c["ratio"], "ratio", "now", theme.residual),
        steps.upright(c["shown"], "ratio", theme),
    ]).opts(**look.frame(
        theme, xlabel="step", ylabel="gradient, last ÷ first layer", **look.log_axis("y")), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all steps, and every ratio of the run with 1 among them."""
    tables = [columns[part] for part in ("ratio", "ghost")]
    return step_range(*tables), log_range(columns["ratio"]["ratio"], np.ones(1))


def note(columns: Columns) -> str:
    """Say how many times stronger the gradient is at one end."""
    first, last = columns["ends"]["first"][0], columns["ends"]["last"][0]
    if not (np.isfinite(first) and np.isfinite(last) and first > 0 and last > 0):
        return ""
    if max(first, last) <= EVEN * min(first, last):
        return "The gradient is as strong at the first layer as at the last."
    if first > last:
        return f"Gradient at the first layer is {_times(first / last)}× that at the last."
    return f"Gradient at the last layer is {_times(last / first)}× that at the first."


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"


def _ratio(run) -> Table:
    step, size = steps.recorded(run, "residual", "gradient_rms")
    first, last = size[:, 0].astype(float), size[:, -1].astype(float)
    ratio = np.divide(last, first, out=np.full(len(step), np.nan), where=np.isfinite(last) & (first > 0))
    return thinned(step, ratio, "ratio")


gradient_ratio = View(
    name="gradient_ratio",
    title="Last layer beside first",
    caption="Gradient after the last layer divided by that before the first. Below 1 it has grown on its way.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "ratio"}},
    log=lambda columns: "y",
    told=("ends",),
    note=note,
)
