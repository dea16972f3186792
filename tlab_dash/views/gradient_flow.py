"""How strongly each depth of the stream is told to change, from the first step to the newest."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import step_map
from tlab_dash.views.view import Columns, View


def columns(run, selection, ghost=None) -> Columns:
    """Return the RMS of the gradient at each depth of the residual stream and each step; see `step_map`."""
    layer, _, _ = selection.resolve(run)
    return step_map.step_map(run, selection, "residual", (), (2 * layer + 0.5, 2 * layer + 2.5))


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the picture with each layer named beside its two depths."""
    layers = range((int(columns["rows"]["count"][0]) - 1) // 2)
    parts = ("attention", "feed-forward")
    names = ["into layer 0", *(f"after layer {layer}'s {part}" for layer in layers for part in parts)]
    ticks = [(0, "in"), *((2 * layer + 1.5, str(layer)) for layer in layers)]
    return step_map.draw(columns, theme, names, ticks, "layer")


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap on a layer's two rows chooses the layer."""
    layer = int(np.floor((y - 0.5) / 2))
    return {"layer": layer} if 0 <= layer < (int(columns["rows"]["count"][0]) - 1) // 2 else None


gradient_flow = View(
    name="gradient_flow",
    title="Gradient on the stream",
    caption="A row a depth, a column a step; bright where the gradient is large. It travels upwards here.",
    columns=columns,
    draw=draw,
    limits=step_map.limits,
    fixed=("scale", "rows"),
    pick=pick,
)
