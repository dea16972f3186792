"""How strongly one place is told to change in each layer, from the first step to the newest."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_core.schema import SITES
from tlab_dash.theme import Theme
from tlab_dash.views import step_map
from tlab_dash.views.spread import WORDS
from tlab_dash.views.view import Columns, View


def columns(run, selection, ghost=None) -> Columns:
    """Return the RMS of the gradient at the chosen place of each layer and each step; see `step_map`."""
    layer, _, _ = selection.resolve(run)
    site = SITES.index(selection.site)
    shown = step_map.step_map(run, selection, "layers", (slice(None), site), (layer - 0.5, layer + 0.5))
    return {"site": {"words": np.array([WORDS[selection.site]], dtype=object)}, **shown}


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the picture with a row a layer."""
    words = columns["site"]["words"][0]
    layers = range(int(columns["rows"]["count"][0]))
    names = [f"“{words}” in layer {layer}" for layer in layers]
    return step_map.draw(columns, theme, names, [(layer, str(layer)) for layer in layers], f"“{words}” in layer")


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap on a row chooses its layer."""
    layer = int(np.floor(y + 0.5))
    return {"layer": layer} if 0 <= layer < int(columns["rows"]["count"][0]) else None


gradient_sites = View(
    name="gradient_sites",
    title="Gradient at one place",
    caption="The same for the chosen place inside each layer.",
    columns=columns,
    draw=draw,
    limits=step_map.limits,
    fixed=("scale", "rows", "site"),
    pick=pick,
)
