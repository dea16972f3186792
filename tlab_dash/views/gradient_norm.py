"""How long the whole gradient is at each step, and where it is cut to."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look, steps
from tlab_dash.views.series import BELOW, axis_end, log_range, moving_average, shown, step_range, thinned
from tlab_dash.views.view import Columns, Range, View, empty

RECENT = 100  # steps that are counted


def columns(run, selection, ghost=None) -> Columns:
    """Return the gradient's length before clipping at each step, its average, the ghost's average and the clip line."""
    step, norm = steps.recorded(run, "train", "grad_norm")
    then = moving_average(*steps.recorded(ghost, "train", "grad_norm"), "norm") if ghost else empty("step", "norm")
    each = thinned(step, norm, "norm")
    clip = run.experiment.training.grad_clip
    words = "" if clip is None else f"cut to {clip:g} above this"
    return {
        **steps.level_columns("norm", clip, words, axis_end(each, then)),
        "ghost": then,
        "each": each,
        "average": moving_average(step, norm, "norm"),
        "shown": shown(selection, "norm", BELOW),
        "cut": _cut(norm, clip),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay on a logarithmic axis: a thin line a step, a strong one for the average."""
    c = columns
    return hv.Overlay([
        *steps.level(c, "norm", theme),
        steps.ghost(c["ghost"], "norm", theme),
        steps.curve(c["each"], "norm", "each step", theme.attention, 1, alpha=0.45),
        steps.curve(c["average"], "norm", "average", theme.attention),
        steps.upright(c["shown"], "norm", theme),
    ]).opts(**look.frame(theme, xlabel="step", ylabel="length (nats per unit)", **look.log_axis("y")), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all steps, and every length of the run that is finite with the clip line among them."""
    lengths = [columns[part]["norm"] for part in ("each", "average", "level")]
    return step_range(columns["each"], columns["ghost"]), log_range(*lengths)


def note(columns: Columns) -> str:
    """Say how often the gradient was longer than the clip line of late."""
    cut = columns["cut"]
    return f"Above the line in {cut['above'][0]} of the last {cut['of'][0]} steps." if len(cut["of"]) else ""


def _cut(norm: np.ndarray, clip: float | None) -> dict[str, np.ndarray]:
    """Count the recent lengths above the line; one that is not finite counts too."""
    recent = norm[-RECENT:]
    if clip is None or not len(recent):
        return {"above": np.empty(0, int), "of": np.empty(0, int)}
    return {"above": np.array([np.count_nonzero(~(recent <= clip))]), "of": np.array([len(recent)])}


gradient_norm = View(
    name="gradient_norm",
    title="Gradient length",
    caption="How strongly each batch asks for change. What is longer than the dotted line is cut to it.",
    columns=columns,
    draw=draw,
    limits=limits,
    warning=steps.nothing_yet("each"),
    ghosts={"ghost": {"y": "norm"}},
    log=lambda columns: "y",
    told=("cut",),
    note=note,
)
