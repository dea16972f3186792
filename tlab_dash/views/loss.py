"""How surprised the model is by the next character, as training goes on."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_core.config import Training
from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.view import Columns, Range, Table, View, empty

WINDOW = 25  # steps that the moving average looks back on; fewer at first, where the loss falls fast
MOST_POINTS = 2000  # a line of more is thinned; a screen has no more columns
BASELINES = {"uniform": "any letter", "unigram": "letter counts", "bigram": "letter pairs"}

BEYOND = 1e9  # above any axis: a mark runs from the bottom to the top of the plot

STEP = hv.Dimension("step", label="step")
LOSS = hv.Dimension("loss", label="loss", unit="nats")


def columns(run, selection, ghost=None) -> Columns:
    """Return the curves of `run`, the ghost's moving average, what simple guessing would lose, and the step looked at."""
    train, average = _curves(run)
    validation = _table(*_losses(run, "validation"))
    ghost_average = _curves(ghost)[1] if ghost else empty("step", "loss")
    right = _axis_end([train, validation, ghost_average])
    known = [key for key in BASELINES if key in run.baselines]
    levels = np.array([run.baselines[key] for key in known], dtype=float)
    names = np.array([f"{BASELINES[key]} {run.baselines[key]:.2f}" for key in known], dtype=object)
    return {
        "baselines": {"step": np.zeros(len(levels)), "loss": levels, "end": np.full(len(levels), right), "level": levels},
        "baseline_names": {"step": np.full(len(levels), right), "loss": levels, "name": names},
        "ghost": ghost_average,
        "train": train,
        "average": average,
        "validation": validation,
        **_marks(run),
        "shown": _upright([] if selection.step is None else [selection.step]),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: a thin line a step, a strong one for its average, dots for held-out text, the ghost dashed."""
    c, ink = columns, theme.residual
    return hv.Overlay([
        hv.Segments(c["baselines"], [STEP, LOSS, "end", "level"]).opts(
            color=theme.muted, line_width=1, line_dash="dotted", backend="bokeh"),
        hv.Labels(c["baseline_names"], [STEP, LOSS], "name").opts(
            **look.text(theme, text_align="right", text_baseline="bottom"), backend="bokeh"),
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
        hv.Segments(c["shown"], [STEP, LOSS, "end", "top"]).opts(color=ink, line_width=1.5, backend="bokeh"),
    ]).opts(**look.frame(theme, xlabel="step", ylabel="loss (nats per character)"), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: both from 0, with room for the first dot; a loss that explodes may leave at the top, so that the
    rest stays readable."""
    right = _axis_end([columns[part] for part in ("train", "validation", "ghost")])
    guess = max(columns["baselines"]["loss"], default=1.0)
    losses = np.concatenate([columns[part]["loss"] for part in ("average", "validation", "ghost")])
    highest = max(losses[np.isfinite(losses)], default=guess)
    return (-right / 60, right), (0.0, min(max(highest, guess), 2 * guess) * 1.12)


def _marks(run) -> dict[str, Table]:
    """A line at each step at which a training setting was changed while the run went on, with its name and new value."""
    steps = np.array([mark.step for mark in run.marks], dtype=float)
    names = [_mark_name(mark) for mark in run.marks]
    return {
        "marks": _upright(steps),
        "mark_names": {"step": steps, "loss": np.zeros(len(steps)), "name": np.array(names, dtype=object)},
    }


def _upright(steps) -> Table:
    """A line from the bottom to the top of the plot at each of these steps."""
    steps = np.array(steps, dtype=float)
    return {"step": steps, "loss": np.zeros(len(steps)), "end": steps, "top": np.full(len(steps), BEYOND)}


def _mark_name(mark) -> str:
    label = Training.param[mark.knob.removeprefix("training.")].label.lower()
    return f" {label} {'off' if mark.after is None else format(mark.after, 'g')}"


def _curves(run) -> tuple[Table, Table]:
    step, loss = _losses(run, "train")
    return thinned(step, loss), moving_average(step, loss)


def _losses(run, group: str) -> tuple[np.ndarray, np.ndarray]:
    # From one dataset: the run may be training on, and a second look could find one record more.
    recorded = run.recorder.group(group).variables
    return recorded["step"].values, recorded["loss"].values


def _table(step: np.ndarray, loss: np.ndarray) -> Table:
    return {"step": np.asarray(step, dtype=float), "loss": np.asarray(loss, dtype=float)}


def thinned(step: np.ndarray, loss: np.ndarray) -> Table:
    """Return the lowest and highest loss of each stretch of steps, at most `MOST_POINTS` points.

    Stretches are a power of two long, so that they don't shift with every new step.
    """
    stretch = _stretch(len(step))
    if stretch == 1:
        return _table(step, loss)
    whole = len(loss) // stretch * stretch
    stretches = loss[:whole].reshape(-1, stretch)
    start = np.arange(0, whole, stretch)
    ends = np.sort(np.stack([start + stretches.argmin(axis=1), start + stretches.argmax(axis=1)], axis=1), axis=1)
    kept = np.concatenate([ends.ravel(), np.arange(whole, len(loss))])
    return _table(step[kept], loss[kept])


def moving_average(step: np.ndarray, loss: np.ndarray) -> Table:
    """Return the mean at each step of the last quarter of all losses, at most `WINDOW`; thinned as above."""
    if not len(loss):
        return empty("step", "loss")
    kept = np.arange(0, len(loss), _stretch(len(loss)))
    if kept[-1] != len(loss) - 1:
        kept = np.append(kept, len(loss) - 1)
    window = np.clip((kept + 1) // 4, 1, WINDOW)
    # Each window is added up by itself: as a difference of running totals, a loss of 1e24 would wipe out those after it.
    back = np.arange(WINDOW)
    losses = np.where(back < window[:, None], loss[np.maximum(kept[:, None] - back, 0)], 0.0)
    return _table(step[kept], losses.sum(axis=1) / window)


def _stretch(count: int) -> int:
    """The shortest power of two of which two points a stretch stay within `MOST_POINTS`; 1 keeps every point."""
    return 1 if count <= MOST_POINTS else 2 ** int(np.ceil(np.log2(2 * count / MOST_POINTS)))


def _axis_end(tables: list[Table]) -> float:
    """A round number of steps at or beyond the last: the curve grows into the axis, the axis seldom jumps."""
    last = max((float(table["step"][-1]) for table in tables if len(table["step"])), default=0.0)
    unit = 10 ** np.floor(np.log10(max(last, 100.0)))
    return float(next(m * unit for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if m * unit >= last))


loss = View(
    name="loss",
    title="Loss",
    caption="How surprised the model is by the next character. Below the dashes it knows more than letter pairs.",
    columns=columns,
    draw=draw,
    limits=limits,
)
