"""All heads of all layers as small attention maps: a row a layer, a column a head."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from tlab_dash.theme import Theme, attention_palette
from tlab_dash.views import look
from tlab_dash.views.heads import ACROSS, DOWN, WEIGHT, mosaic, tile_name
from tlab_dash.views.roles import broken_words, count_words, kind, role_words, scores_by_head
from tlab_dash.views.view import Columns, Range, View, row

MOST_PIXELS = 400  # a side of the mosaic
MOST_NAMED = 4  # heads side by side; in more there is no room for words
EDGES = ["left", "bottom", "right", "top"]


def columns(run, selection, ghost=None) -> Columns:
    """Return all maps as one mosaic with a tile a unit, each one's frame with its role in words, and the chosen one's."""
    layer, head, _ = selection.resolve(run)
    maps = row(run, "attention", selection.step)["weight"]
    layers, heads, positions = maps.shape[:3]
    picture, side = mosaic(maps.reshape(layers * heads, *maps.shape[2:]), heads, MOST_PIXELS)
    scores = [of_head for of_layer in scores_by_head(run, selection.step) for of_head in of_layer]
    top, left = np.divmod(np.arange(layers * heads), heads)
    frames = {"left": left + 0.0, "bottom": top + 0.0, "right": left + side, "top": top + side}
    chosen = layer * heads + head
    named = range(layers * heads) if heads <= MOST_NAMED else range(0)
    return {
        "tiles": {"layers": np.array([layers]), "heads": np.array([heads]), "side": np.array([side])},
        "map": picture,
        "frames": frames | {
            "layer": top, "head": left,
            "role": np.array([role_words(of_head, positions) for of_head in scores], dtype=object),
        },
        "chosen": {edge: places[chosen : chosen + 1] for edge, places in frames.items()},
        "names": {
            "across": (left + side - 0.02)[: len(named)], "down": (top + 0.03)[: len(named)],
            "name": np.array([tile_name(scores[i], positions, i % heads, MOST_NAMED) for i in named], dtype=object),
        },
        "told": {
            "kind": np.array([kind(of_head, positions) for of_head in scores], dtype=object),
            "broken": np.array([broken_words(run, selection.step)], dtype=object),
        },
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the mosaic; a head's role stands in its tile where there is room, and under the pointer."""
    c = columns
    layers, heads, side = (c["tiles"][name][0] for name in ("layers", "heads", "side"))
    hover = HoverTool(
        tooltips=[("layer", "@layer"), ("head", "@head"), ("it", "@role")], point_policy="follow_mouse")
    return hv.Overlay([
        hv.Image((c["map"]["across"], c["map"]["down"], c["map"]["weight"]), [ACROSS, DOWN], WEIGHT).opts(
            cmap=attention_palette(theme), clim=(0, 255), backend="bokeh"),
        hv.Rectangles(c["frames"], EDGES, ["layer", "head", "role"]).opts(
            fill_alpha=0, line_color=theme.line, line_width=1, tools=[hover], backend="bokeh"),
        hv.Rectangles(c["chosen"], EDGES).opts(fill_alpha=0, line_color=theme.accent, line_width=2.5, backend="bokeh"),
        hv.Labels(c["names"], ["across", "down"], "name").opts(
            **look.text(theme, text_align="right", text_baseline="top", text_color=theme.text), backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel="head", ylabel="layer", invert_yaxis=True, show_grid=False, show_legend=False,
        xticks=[(i + side / 2, str(i)) for i in range(heads)], yticks=[(i + side / 2, str(i)) for i in range(layers)],
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes in tiles; layer 0 at the top."""
    layers, heads, side = (float(columns["tiles"][name][0]) for name in ("layers", "heads", "side"))
    return (-0.02, heads - 1 + side + 0.02), (layers - 1 + side + 0.02, -0.02)


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap on a tile chooses its layer and head."""
    layer, head = int(np.floor(y)), int(np.floor(x))
    within = 0 <= layer < columns["tiles"]["layers"][0] and 0 <= head < columns["tiles"]["heads"][0]
    return {"layer": layer, "head": head} if within else None


def note(columns: Columns) -> str:
    """Say how many heads have which role."""
    return count_words(list(columns["told"]["kind"]))


all_heads = View(
    name="all_heads",
    title="All heads",
    caption="A row a layer, a column a head. Look for stripes: they read a fixed place. Pick one.",
    columns=columns,
    draw=draw,
    limits=limits,
    warning=lambda columns: str(columns["told"]["broken"][0]),
    fixed=("tiles",),
    told=("told",),
    pick=pick,
    size=(440, 420),
    note=note,
)
