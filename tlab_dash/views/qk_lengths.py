"""How long the query and key vectors of each head are: long ones make large match scores."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.head_grid import short
from tlab_dash.views.series import range_from_zero
from tlab_dash.views.view import Columns, Range, Table, View, empty, ghost_step, row

WIDTH = 0.8  # of a layer's stretch, that its heads share
MANY = 48  # heads in all: the marks of more are small
NARROWEST = 0.12  # of a layer's stretch: the chosen head's strip
PLACE, LENGTH = hv.Dimension("place"), hv.Dimension("length")


def columns(run, selection, ghost=None) -> Columns:
    """Return the mean length of queries and keys of each head, head beside head in its layer's stretch; the ghost's."""
    layer, head, _ = selection.resolve(run)
    layers, heads = (len(run.recorder.coordinates[name]) for name in ("layer", "head"))
    place = float(_places(layers, heads)[layer, head])
    half = max(WIDTH / heads, NARROWEST) / 2
    parts = {name: _lengths(run, selection.step, name, layers, heads) for name in ("query_norm", "key_norm")}
    ghosts = [_lengths(ghost, ghost_step(run, selection), name, layers, heads) if ghost else {} for name in parts]
    return {
        "size": {"layers": np.array([layers]), "heads": np.array([heads])},
        "chosen": {
            "left": np.array([place - half]), "bottom": np.array([0.0]),
            "right": np.array([place + half]), "top": np.array([4 * _up(parts)[1]]),
        },
        "ghost_queries": _marks(ghosts[0]),
        "ghost_keys": _marks(ghosts[1]),
        "keys": parts["key_norm"],
        "queries": parts["query_norm"],
        "told": {"layer": np.array([layer]), "head": np.array([head]), **{
            name: np.array([float(row(run, "heads", selection.step)[name][layer, head])]) for name in parts}},
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: filled dots for queries, triangles for keys, grey ones for the ghost's."""
    c = columns
    hover = HoverTool(
        tooltips=[("layer", "@layer"), ("head", "@head"), ("length", "@length{0.00}")], point_policy="follow_mouse")

    def points(part: str, label: str, **style) -> hv.Points:
        more = [name for name in c[part] if name not in ("place", "length")]
        return hv.Points(c[part], [PLACE, LENGTH], more, label=label).opts(**style, backend="bokeh")

    small = 0.5 if c["size"]["layers"][0] * c["size"]["heads"][0] > MANY else 1.0
    hollow = {"fill_alpha": 0, "line_color": theme.ghost, "line_width": 1.5}
    return hv.Overlay([
        hv.Rectangles(c["chosen"], ["left", "bottom", "right", "top"]).opts(
            color=theme.accent, fill_alpha=0.14, line_alpha=0, backend="bokeh"),
        points("ghost_queries", "ghost", size=10 * small, **hollow),
        points("ghost_keys", "", marker="triangle", size=10 * small, **hollow),
        points("keys", "keys", marker="triangle", size=8 * small, color=theme.feed_forward, tools=[hover]),
        points("queries", "queries", size=7 * small, color=theme.attention, tools=[hover]),
    ]).opts(**look.frame(
        theme, xlabel="layer (a place a head)", ylabel="length, mean over characters",
        xticks=[(i, str(i)) for i in range(int(c["size"]["layers"][0]))], yformatter=look.short_numbers(),
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every layer; from 0 to the run's longest vector."""
    up = _up({part: columns[part] for part in ("queries", "keys")})
    return (-0.5, float(columns["size"]["layers"][0]) - 0.5), up


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap chooses the head whose place is nearest."""
    layers, heads = (int(columns["size"][name][0]) for name in ("layers", "heads"))
    layer = int(np.floor(x + 0.5))
    if not 0 <= layer < layers:
        return None
    head = int(np.floor((x - layer + WIDTH / 2) * heads / WIDTH))
    return {"layer": layer, "head": min(max(head, 0), heads - 1)}


def note(columns: Columns) -> str:
    """Say how long the chosen head's queries and keys are."""
    told = {name: column[0] for name, column in columns["told"].items()}
    lengths = [told["query_norm"], told["key_norm"]]
    if not np.isfinite(lengths).all():
        return ""
    queries, keys = (short(length) for length in lengths)
    return f"Layer {told['layer']}, head {told['head']}: queries are {queries} long, keys {keys}."


def _up(parts: dict[str, Table]) -> Range:
    return range_from_zero(*(table["length"] for table in parts.values()))


def _places(layers: int, heads: int) -> np.ndarray:
    return np.arange(layers)[:, None] + WIDTH * ((np.arange(heads) + 0.5) / heads - 0.5)


def _lengths(run, step: int | None, name: str, layers: int, heads: int) -> Table:
    """What is finite of the first `heads` heads of the first `layers` layers, each at its place."""
    sizes = row(run, "heads", step)[name].astype(float)[:layers, :heads]
    layer, head = np.nonzero(np.isfinite(sizes))
    return {"place": _places(layers, heads)[layer, head], "length": sizes[layer, head], "layer": layer, "head": head}


def _marks(table: Table) -> Table:
    """The ghost's marks have no names."""
    return {name: table[name] for name in ("place", "length")} if table else empty("place", "length")


qk_lengths = View(
    name="qk_lengths",
    title="Query and key vectors",
    caption="Dots: how long a head's queries are. Triangles: its keys. Long vectors make large match scores.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost_queries": {"y": "length"}, "ghost_keys": {"y": "length"}},
    fixed=("size",),
    told=("told",),
    pick=pick,
    note=note,
)
