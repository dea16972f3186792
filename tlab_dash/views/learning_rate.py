"""How far each step goes: the learning rate, as schedule and hand have set it."""

from __future__ import annotations

import holoviews as hv

from tlab_dash.theme import Theme
from tlab_dash.views import look, steps
from tlab_dash.views.series import range_from_zero, shown, step_range, thinned
from tlab_dash.views.view import Columns, Range, Table, View, empty


def columns(run, selection, ghost=None) -> Columns:
    """Return the learning rate of each update, and that of the ghost."""
    return {
        "ghost": _rates(ghost) if ghost else empty("step", "rate"),
        "rate": _rates(run),
        "shown": shown(selection, "rate"),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: one line, the ghost's dashed."""
    return hv.Overlay([
        steps.ghost(columns["ghost"], "rate", theme),
        steps.curve(columns["rate"], "rate", "now", theme.attention),
        steps.upright(columns["shown"], "rate", theme),
    ]).opts(**look.frame(theme, xlabel="step", ylabel="learning rate", yformatter=look.short_numbers()), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes, both from 0."""
    return (step_range(columns["rate"], columns["ghost"]),
            range_from_zero(columns["rate"]["rate"], least=1e-9 if len(columns["rate"]["rate"]) else 1e-3))


def _rates(run) -> Table:
    return thinned(*steps.recorded(run, "train", "learning_rate"), "rate")


learning_rate = View(
    name="learning_rate",
    title="Learning rate",
    caption="How far a step goes. It climbs while warming up, and falls towards the end.",
    columns=columns,
    draw=draw,
    limits=limits,
    warning=steps.nothing_yet("rate"),
    ghosts={"ghost": {"y": "rate"}},
)
