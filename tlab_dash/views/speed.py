"""How many tokens a second the training gets through."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look, steps
from tlab_dash.views.series import WINDOW, range_from_zero, shown, step_range, thinned
from tlab_dash.views.view import Columns, Range, Table, View, empty


def columns(run, selection, ghost=None) -> Columns:
    """Return the tokens per second over the last `WINDOW` steps before each step, and the ghost's."""
    return {
        "ghost": _speed(ghost) if ghost else empty("step", "speed"),
        "speed": _speed(run),
        "shown": shown(selection, "speed"),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: one line, the ghost's dashed."""
    return hv.Overlay([
        steps.ghost(columns["ghost"], "speed", theme),
        steps.curve(columns["speed"], "speed", "now", theme.attention),
        steps.upright(columns["shown"], "speed", theme),
    ]).opts(**look.frame(
        theme, xlabel="step", ylabel="characters a second", yformatter=look.short_numbers()), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes, both from 0."""
    return (step_range(columns["speed"], columns["ghost"]),
            range_from_zero(columns["speed"]["speed"], least=1.0))


def _speed(run) -> Table:
    """Tokens by seconds since `WINDOW` steps before; since the beginning in the first steps."""
    step, tokens, seconds = steps.recorded(run, "train", "tokens", "seconds")
    tokens, seconds = np.concatenate([[0.0], tokens]), np.concatenate([[0.0], seconds])
    before = np.maximum(np.arange(1, len(tokens)) - WINDOW, 0)
    passed = seconds[1:] - seconds[before]
    # A clock that did not move between two steps says nothing about speed.
    speed = np.divide(tokens[1:] - tokens[before], passed, out=np.full(len(passed), np.nan), where=passed > 0)
    return thinned(step, speed, "speed")


speed = View(
    name="speed",
    title="Speed",
    caption="How many characters the model learns from in a second.",
    columns=columns,
    draw=draw,
    limits=limits,
    warning=steps.nothing_yet("speed"),
    ghosts={"ghost": {"y": "speed"}},
)
