"""How surprised the model is by the next character, as training goes on."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_core.experiment import PARTS, Experiment
from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.names import apart
from tlab_dash.views.series import BELOW, axis_end, moving_average, series, shown, step_range, thinned, upright
from tlab_dash.views.view import Columns, Range, Table, View, empty

BASELINES = {"uniform": "any letter", "unigram": "letter counts", "bigram": "letter pairs"}

NAMES = ("baseline_grounds", "baseline_names")  # the parts that name them: what is under the letters, and the letters

CUT = 30  # characters of a value
ROOM = 1.2  # above the highest, for the first dot and for the legend over the highest name
GAP, HIGHEST = 0.13, 0.9  # of the axis: between two names, a line of text on the first page; up to the last of them

STEP = hv.Dimension("step", label="step")
LOSS = hv.Dimension("loss", label="loss", unit="nats")


def columns(run, selection, ghost=None) -> Columns:
    """Return the curves of `run`, the ghost's moving average, what simple guessing would lose, and the step looked at."""
    train, average = _curves(run)
    validation = series(*_losses(run, "validation"))
    ghost_average = _curves(ghost)[1] if ghost else empty("step", "loss")
    right = axis_end(train, validation, ghost_average)
    log = selection.scale == "log"
    known = [key for key in BASELINES if key in run.baselines]
    levels = np.array([run.baselines[key] for key in known], dtype=float)
    names = np.array([f"{BASELINES[key]} {run.baselines[key]:.2f}" for key in known], dtype=object)
    bottom = _bottom(average, validation, levels) if log else 0.0
    found = {
        "axis": {"log": np.array([log])},
        "baselines": {"step": np.zeros(len(levels)), "loss": levels, "end": np.full(len(levels), right), "level": levels},
        "ghost": ghost_average,
        "train": train,
        "average": average,
        "validation": validation,
        **_marks(run, bottom),
        # Over what crosses them.
        **{part: {"step": np.full(len(levels), right), "loss": levels, "name": names} for part in NAMES},
        "shown": shown(selection, "loss", BELOW if log else 0.0),
    }
    places = _legible(levels, loss.axes(found)[1], log)
    for part in NAMES:
        found[part]["loss"] = places
    return found


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: a thin line a step, a strong one for its average, dots for held-out text, the ghost dashed."""
    c, ink = columns, theme.residual
    return hv.Overlay([
        hv.Segments(c["baselines"], [STEP, LOSS, "end", "level"]).opts(
            color=theme.muted, line_width=1, line_dash="dotted", backend="bokeh"),
        hv.Curve(c["ghost"], STEP, LOSS, label="ghost").opts(
            color=theme.ghost, line_width=2, line_dash="dashed", backend="bokeh"),
        hv.Curve(c["train"], STEP, LOSS, label="each step").opts(
            color=theme.attention, line_width=1, alpha=0.45, backend="bokeh"),
        hv.Curve(c["average"], STEP, LOSS, label="average").opts(
            color=theme.attention, line_width=2.5, backend="bokeh"),
        hv.Points(c["validation"], [STEP, LOSS], label="unseen text").opts(
            color=theme.surface, line_color=ink, line_width=1.5, size=7, backend="bokeh"),
        hv.Segments(c["marks"], [STEP, LOSS, "end", "top"]).opts(
            color=theme.accent, line_width=1, line_dash="dashed", backend="bokeh"),
        hv.Labels(c["mark_names"], [STEP, LOSS], "name").opts(
            **look.text(theme, text_align="left", text_baseline="bottom", text_color=theme.accent), backend="bokeh"),
        *(hv.Labels(c[part], [STEP, LOSS], "name").opts(
            **look.text(theme, text_align="right", text_baseline="bottom", **more), backend="bokeh")
          for part, more in zip(NAMES, ({"text_alpha": 0, **look.on_card(theme)}, {}), strict=True)),
        hv.Segments(c["shown"], [STEP, LOSS, "end", "top"]).opts(color=ink, line_width=1.5, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel="step", ylabel="loss (nats)",
        **(look.log_axis("y") if c["axis"]["log"][0] else {}),
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: both from 0, with room for the first dot; a loss that explodes may leave at the top, so that the
    rest stays readable. A logarithmic axis begins below the lowest curve."""
    guess = max(columns["baselines"]["loss"], default=1.0)
    losses = np.concatenate([columns[part]["loss"] for part in ("average", "validation")])
    highest = max(losses[np.isfinite(losses)], default=guess)
    lowest = 0.0
    if columns["axis"]["log"][0]:
        lowest = _bottom(*(columns[part] for part in ("average", "validation")), columns["baselines"]["loss"])
    steps = step_range(*(columns[part] for part in ("train", "validation", "ghost")))
    return steps, (lowest, min(max(highest, guess), 2 * guess) * ROOM)


def _legible(levels: np.ndarray, axis: Range, log: bool) -> np.ndarray:
    """Return where the levels' names stand: on them, or above where the axis is so long that they would overprint."""
    along, back = (np.log10, lambda places: 10**places) if log else (np.asarray, np.asarray)
    low, high = along(axis)
    return back(low + (high - low) * apart((along(levels) - low) / (high - low), GAP, HIGHEST))


def _bottom(*curves: Table | np.ndarray) -> float:
    """Return where a logarithmic axis begins: below all that is drawn."""
    losses = np.concatenate([curve if isinstance(curve, np.ndarray) else curve["loss"] for curve in curves])
    return 0.9 * float(min(losses[np.isfinite(losses) & (losses > 0)], default=0.1))


def _marks(run, bottom: float) -> dict[str, Table]:
    """A line at each step at which a setting was changed on the way, with its name and new value."""
    steps = np.array([mark.step for mark in run.marks], dtype=float)
    names = [_mark_name(mark) for mark in run.marks]
    return {
        "marks": upright(steps, bottom=bottom),
        "mark_names": {"step": steps, "loss": np.full(len(steps), bottom), "name": np.array(names, dtype=object)},
    }


def _mark_name(mark) -> str:
    part, _, knob = mark.knob.rpartition(".")
    owner, value = PARTS.get(part, Experiment), mark.after
    label = owner.param[knob].label.lower() if knob in owner.param else knob  # out of a file, it may be anything
    plain = "off" if value is None else format(value, "g") if isinstance(value, float) else str(value)
    return f" {label} {plain[:CUT]}"


def _curves(run) -> tuple[Table, Table]:
    step, loss = _losses(run, "train")
    return thinned(step, loss), moving_average(step, loss)


def _losses(run, group: str) -> tuple[np.ndarray, np.ndarray]:
    # From one dataset: the run may be training on, and a second look could find one record more.
    recorded = run.recorder.group(group).variables
    return recorded["step"].values, recorded["loss"].values


loss = View(
    name="loss",
    title="Loss",
    caption="How surprised the model is by the next character. Below the lowest dashes it knows more than letter pairs.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "loss"}},
    log=lambda columns: "y" if columns["axis"]["log"][0] else "",
    fixed=("axis",),
)
