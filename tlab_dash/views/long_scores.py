"""What becomes of the match scores when a text goes on past the trained length: mean, spread and largest, by layer."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool, LinearColorMapper
from bokeh.transform import transform

from tlab_dash.theme import Theme, layer_colours
from tlab_dash.views import look
from tlab_dash.views.long_loss import (
    POSITION,
    limits_of,
    long_needs,
    long_of,
    reach,
    trained,
    trained_elements,
    trained_name,
)
from tlab_dash.views.measured import noted, number, told
from tlab_dash.views.view import Columns, Range, Table, View, empty

CLOSE = 1.5  # a spread, or a largest score, that changes by less is too close to call
APART = 1 / 12  # of the axis: names closer than that to one before are left out


def _columns(variable: str, run, selection, ghost) -> Columns:
    """Return a line a layer as segments, the chosen layer's and the same layer of the ghost as curves, and names."""
    layer, _, _ = selection.resolve(run)
    layers = len(run.recorder.coordinates["layer"])
    found, then = long_of(run, selection), long_of(ghost, selection) if ghost else None
    lines, chosen, ghosts = _segments(found, variable), _curve(found, variable, layer), _curve(then, variable, layer)
    axis = limits_of(lines["score"], lines["top"])
    return {
        "layers": {"layer": np.arange(layers)},
        "trained": trained(found, "score"),
        "trained_name": trained_name(found, "score", axis),
        "lines": lines,
        "ghost": ghosts,
        "chosen": chosen,
        "names": _names(found, variable, layer, axis),
        "told": told(run, selection, found, layer=layer, **_change(found, variable, layer)),
    }


def _draw(ylabel: str, columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: a thin line a layer in its colour, the chosen one bold."""
    c, count = columns, len(columns["layers"]["layer"])
    hover = HoverTool(tooltips=[("layer", "@layer"), ("score", "@score{0.00}")], point_policy="follow_mouse")
    score = hv.Dimension("score", label=ylabel)
    return hv.Overlay([
        *trained_elements(c, "score", theme),
        hv.Segments(c["lines"], [POSITION, score, "end", "top"], "layer").opts(
            line_width=1.5, tools=[hover], hooks=[_by_layer(count, theme)], backend="bokeh"),
        hv.Curve(c["ghost"], POSITION, score, label="ghost").opts(
            color=theme.ghost, line_width=2, line_dash="dashed", backend="bokeh"),
        hv.Curve(c["chosen"], POSITION, score).opts(color=theme.attention, line_width=3, backend="bokeh"),
        hv.Labels(c["names"], [POSITION, score], "name").opts(**look.text(theme, text_color=theme.text), backend="bokeh"),
    ]).opts(**look.frame(theme, xlabel="position (characters)", ylabel=ylabel, xticks=4), backend="bokeh")


def _by_layer(count: int, theme: Theme):
    """Colour lines by their column "layer" in the browser: HoloViews would make it a column that nobody refreshes."""
    mapper = LinearColorMapper(palette=layer_colours(count, theme), low=-0.5, high=count - 0.5)

    def hook(plot, element):
        plot.handles["glyph"].line_color = transform("layer", mapper)

    return hook


def _limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes, with room at the right for the layers' names."""
    left, right = reach(columns, "chosen", "ghost")
    lines = columns["lines"]
    return (left, 1.18 * right), limits_of(lines["score"], lines["top"])


def _pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap chooses the layer whose line is nearest above or below."""
    lines = columns["lines"]
    under = (lines["position"] <= x) & (x <= lines["end"])
    if not under.any():
        return None
    share = (x - lines["position"][under]) / (lines["end"] - lines["position"])[under]
    height = lines["score"][under] + share * (lines["top"] - lines["score"])[under]
    if not np.isfinite(height).any():
        return None
    return {"layer": int(lines["layer"][under][np.nanargmin(np.abs(height - y))])}


def _segments(found, variable: str) -> Table:
    if found is None:
        return empty("position", "score", "end", "top") | {"layer": np.empty(0, int)}
    position, scores = found["position"].values.astype(float), found[variable].values.astype(float)
    layers, count = scores.shape
    return {
        "position": np.tile(position[:-1], layers), "score": scores[:, :-1].ravel(),
        "end": np.tile(position[1:], layers), "top": scores[:, 1:].ravel(),
        "layer": np.repeat(np.arange(layers), count - 1),
    }


def _curve(found, variable: str, layer: int) -> Table:
    if found is None or layer >= found.sizes["layer"]:
        return empty("position", "score")
    return {"position": found["position"].values.astype(float), "score": found[variable].values[layer].astype(float)}


def _names(found, variable: str, layer: int, axis: Range) -> Table:
    """Return the layers' names at the ends of their lines: the chosen one's, and of the others those that have room."""
    if found is None:
        return empty("position", "score") | {"name": np.empty(0, object)}
    ends = found[variable].values[:, -1].astype(float)
    kept: list[int] = []
    for i in (layer, *np.argsort(-ends, kind="stable")):
        if np.isfinite(ends[i]) and all(abs(ends[i] - ends[j]) >= APART * (axis[1] - axis[0]) for j in kept):
            kept.append(int(i))
    words = [f" layer {i}" if i == layer else f" {i}" for i in kept]
    last = float(found["position"].values[-1])
    return {"position": np.full(len(kept), last), "score": ends[kept], "name": np.array(words, dtype=object)}


def _change(found, variable: str, layer: int) -> dict:
    """Return the chosen layer's value in the last block of the trained positions and in the last of all."""
    if found is None:
        return {"before": None, "after": None, "last": None}
    inside = np.flatnonzero(found["last"].values < found.attrs["trained_length"])[-1]
    scores = found[variable].values[layer]
    return {"before": float(scores[inside]), "after": float(scores[-1]), "last": int(found["last"].values[-1]) + 1}


def _note(ratio: bool, columns: Columns) -> str:
    """Return the chosen layer's value at the end of the text and at the end of the trained positions."""
    known = {name: column[0] for name, column in columns["told"].items()}

    def say():
        before, after = known["before"], known["after"]
        if not np.isfinite([before, after]).all():
            return f"Layer {known['layer']}'s scores are no longer finite."
        close = ratio and min(before, after) > 0 and max(before, after) < CLOSE * min(before, after)
        end = ": too close to call" if close else ""
        return f"Layer {known['layer']}: {number(after)} at the end, {number(before)} before{end}."

    return noted(columns["told"], say)


def _view(variable: str, title: str, ylabel: str, caption: str, ratio: bool = False) -> View:
    return View(
        name=f"long_{variable}",
        title=title,
        caption=caption,
        columns=lambda run, selection, ghost=None: _columns(variable, run, selection, ghost),
        draw=lambda columns, theme: _draw(ylabel, columns, theme),
        limits=_limits,
        ghosts={"ghost": {"y": "score"}},
        fixed=("layers",),
        told=("told",),
        pick=_pick,
        note=lambda columns: _note(ratio, columns),
        needs=long_needs,
    )


long_qk_mean = _view(
    "qk_mean", "Match scores: mean", "mean score", "How well a position's characters match on average, a line a layer.")
long_qk_std = _view(
    "qk_std", "Match scores: spread", "standard deviation",
    "How far apart scores lie. A bend at the dots is a drift.", ratio=True)
long_qk_max = _view(
    "qk_max", "Match scores: largest", "largest score",
    "The best match that a position found before it, a line a layer.", ratio=True)
