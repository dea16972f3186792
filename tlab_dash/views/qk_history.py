"""How match scores, or the vectors they are made of, grow through time: a line a layer, and the chosen head's."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import layer_lines
from tlab_dash.views.head_grid import short
from tlab_dash.views.head_history import head_history_of
from tlab_dash.views.series import BEYOND, shown
from tlab_dash.views.view import Columns, Range, View, empty, row
from tlab_dash.views.wording import QK_MEASURE_WORDS


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen measure over steps: of each layer the mean over its heads (of "largest score": the largest), as
    segments; of the chosen head, and of the ghost's, as curves."""
    layer, head, _ = selection.resolve(run)
    measure = selection.qk_measure
    step, sizes = layer_lines.sampled(run, "heads", measure)
    with np.errstate(invalid="ignore"):  # the mean of both infinities, in a run that broke
        by_layer = sizes.max(axis=2) if measure == "qk_max" else sizes.mean(axis=2, dtype=float)
    chosen = head_history_of(run, measure, layer, head, "size")
    ghosts = head_history_of(ghost, measure, layer, head, "size")
    words = QK_MEASURE_WORDS[measure]
    found = {
        "layers": {"layer": run.recorder.coordinates["layer"]},
        "measure": {"words": np.array([words], dtype=object)},
        "lines": layer_lines.segments(step, by_layer.astype(float)),
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
    found["names"] = layer_lines.names(step[-1], by_layer[-1], chosen, layer, layer_lines.GAP * (top - bottom))
    return found


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: a thin line a layer in its colour, the chosen head's bold, the ghost's dashed."""
    return layer_lines.draw(columns, theme, "the chosen head", (columns["measure"]["words"][0], "@size{0.00}"))


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all steps with room for names at the right; all sizes of the run and 0."""
    return layer_lines.across(columns), _up(columns)


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
