"""How match scores, or the vectors they are made of, grow through time: a line a layer, and the chosen head's."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from tlab_dash.theme import Theme, layer_colours
from tlab_dash.views import look, steps
from tlab_dash.views.head_grid import short
from tlab_dash.views.head_history import head_history_of
from tlab_dash.views.names import with_room
from tlab_dash.views.series import BEYOND, shown, step_range
from tlab_dash.views.view import Columns, Range, Table, View, empty, row
from tlab_dash.views.wording import QK_MEASURE_WORDS

ROOM = 1.2  # of the axis of steps, for names at the right
POINTS = 61  # of a layer's line, always as many: the column of colours that HoloViews adds keeps its length
GAP = 1 / 14  # of the axis, between two names
SIZE = hv.Dimension("size")


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen measure over steps: of each layer the mean over its heads (of "largest score": the largest), as
    segments; of the chosen head, and of the ghost's, as curves."""
    layer, head, _ = selection.resolve(run)
    measure = selection.qk_measure
    step, sizes = _sampled(run, measure)
    with np.errstate(invalid="ignore"):  # the mean of both infinities, in a run that broke
        by_layer = sizes.max(axis=2) if measure == "qk_max" else sizes.mean(axis=2, dtype=float)
    chosen = head_history_of(run, measure, layer, head, "size")
    ghosts = head_history_of(ghost, measure, layer, head, "size")
    words = QK_MEASURE_WORDS[measure]
    found = {
        "layers": {"layer": run.recorder.coordinates["layer"]},
        "measure": {"words": np.array([words], dtype=object)},
        "lines": _segments(step, by_layer.astype(float)),
        "ghost": ghosts,
        "chosen": chosen,
        "names": empty("step", "size"),
        "shown": shown(selection, "size", -BEYOND),
        "told": {
            "name": np.array([f"Layer {layer}, head {head}"], dtype=object), "measure": np.array([words], dtype=object),
            "start": chosen["size"][:1],
            "now": np.array([float(row(run, "heads", selection.step)[measure][layer, head])]),
        },
    }
    bottom, top = _up(found)
    found["names"] = _names(step[-1], by_layer[-1], chosen, layer, GAP * (top - bottom))
    return found


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: a thin line a layer in its colour, the chosen head's bold, the ghost's dashed."""
    c, count = columns, len(columns["layers"]["layer"])
    words = c["measure"]["words"][0]
    hover = HoverTool(
        tooltips=[("layer", "@layer"), ("step", "@step{0,0}"), (words, "@size{0.00}")], point_policy="follow_mouse")
    return hv.Overlay([
        hv.Segments(c["lines"], [steps.STEP, SIZE, "end", "top"], "layer").opts(
            color="layer", cmap=layer_colours(count, theme), clim=(0, max(count - 1, 1)), line_width=1.5, tools=[hover],
            backend="bokeh"),
        steps.ghost(c["ghost"], "size", theme),
        steps.curve(c["chosen"], "size", "the chosen head", theme.attention, 3),
        hv.Labels(c["names"], [steps.STEP, SIZE], "name").opts(**look.text(theme, text_color=theme.text), backend="bokeh"),
        steps.upright(c["shown"], "size", theme),
    ]).opts(**look.frame(theme, xlabel="step", ylabel=words, yformatter=look.short_numbers()), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all steps with room for names at the right; all sizes of the run and 0."""
    left, right = step_range(columns["lines"], columns["chosen"], columns["ghost"])
    return (left, ROOM * right), _up(columns)


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap chooses the layer whose line is nearest above or below."""
    lines = columns["lines"]
    under = (lines["step"] <= x) & (x <= lines["end"]) & (lines["step"] < lines["end"])
    if not under.any():
        return None
    share = (x - lines["step"][under]) / (lines["end"] - lines["step"])[under]
    height = lines["size"][under] + share * (lines["top"] - lines["size"])[under]
    away = np.abs(height - y)
    return {"layer": int(lines["layer"][under][np.nanargmin(away)])} if np.isfinite(away).any() else None


def note(columns: Columns) -> str:
    """Say what the chosen head's measure was at first and is now."""
    told = columns["told"]
    if not len(told["start"]) or not np.isfinite(told["now"][0]):
        return ""
    name, measure, start, now = (told[key][0] for key in ("name", "measure", "start", "now"))
    return f"{name}: {measure} {short(start)} at step 0, now {short(now)}."


def _sampled(run, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (POINTS,) evenly among the records, of few records some more than once, and the measure then."""
    found = run.recorder.group("heads").variables
    step = found["step"].values
    kept, back = np.unique(np.rint(np.linspace(0, len(step) - 1, POINTS)).astype(int), return_inverse=True)
    return step[kept][back].astype(float), found[measure][kept].values[back]


def _segments(step: np.ndarray, sizes: np.ndarray) -> Table:
    """Lines (step, layer) as pieces from one step to the next; what is not finite is not drawn."""
    layers = sizes.shape[1]
    sizes = np.where(np.isfinite(sizes), sizes, np.nan)
    return {
        "step": np.tile(step[:-1], layers), "size": sizes[:-1].T.ravel(), "end": np.tile(step[1:], layers),
        "top": sizes[1:].T.ravel(), "layer": np.repeat(np.arange(layers), len(step) - 1),
    }


def _names(last: float, ends: np.ndarray, chosen: Table, layer: int, gap: float) -> Table:
    """The chosen head's name at the end of its line, and those of the layers that have room."""
    heights = np.append(ends.astype(float), chosen["size"][-1] if len(chosen["size"]) else np.nan)
    kept = with_room(heights, len(ends), gap)
    words = ["  head" if i == len(ends) else f"  layer {i}" if i == layer else f"  {i}" for i in kept]
    return {"step": np.full(len(kept), float(last)), "size": heights[kept], "name": np.array(words, dtype=object)}


def _up(columns: Columns) -> Range:
    lines = columns["lines"]
    sizes = np.concatenate([lines["size"], lines["top"], columns["chosen"]["size"], np.zeros(1)])
    low, high = float(np.nanmin(sizes)), float(np.nanmax(sizes))
    spare = 0.08 * (high - low) or 1.0
    return (low - spare if low < 0 else 0.0), high + spare


qk_history = View(
    name="qk_history",
    title="Match scores through time",
    caption="A thin line a layer: the mean of its heads, or the largest of all. Bold: the chosen head.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "size"}},
    fixed=("layers", "measure"),
    told=("told",),
    pick=pick,
    note=note,
)
