"""How the numbers at one place are spread, layer by layer: a heat map of histograms."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import CustomJSHover

from tlab_core.bins import ACTIVATION_BINS, INSIDE, MIDDLE
from tlab_core.schema import SITES
from tlab_dash.theme import Theme
from tlab_dash.views import heat, look
from tlab_dash.views.layer_statistics import PLACES
from tlab_dash.views.reach import cut
from tlab_dash.views.view import Columns, Range, View, empty, ghost_step, row

# Bins are evenly wide in asinh(x): evenly around 0, by ratio far from it. So one bin is one pixel.
NAMED = (-1000, -100, -10, -1, -0.1, 0, 0.1, 1, 10, 100, 1000)
NARROWEST = 6  # bins to either side of 0 that are always shown
SCALE = {"low": np.array([-2.0]), "high": np.array([1.0])}  # from 0.01 % of a layer's numbers in one bin to 10 %
WORDS = {site: words for words, site, _ in PLACES if isinstance(site, str)}

VALUE = hv.Dimension("bin", label="value")
LAYER = hv.Dimension("layer", label="layer")

_RANGE = """
const i = Math.max(0, Math.min(left.length - 1, Math.floor(special_vars.x + middle + 0.5)))
const short = (x) => Number(x.toPrecision(2)).toString()
if (i == 0) return `below ${short(right[0])}`
return i == left.length - 1 ? `above ${short(left[i])}` : `${short(left[i])} to ${short(right[i])}`
"""


def columns(run, selection, ghost=None) -> Columns:
    """Return the share of each layer's numbers in each bin as log10, the chosen layer, and the RMS of run and ghost."""
    layer, _, _ = selection.resolve(run)
    site = SITES.index(selection.site)
    counts = row(run, "histograms", selection.step)["activation"][:, site].astype(float)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    layers = np.arange(len(counts), dtype=float)
    taken = np.flatnonzero(counts.any(axis=0)) - MIDDLE
    reach = max(NARROWEST, *np.abs(taken)) + 1.5 if len(taken) else NARROWEST + 0.5
    return {
        "place": {"words": np.array([WORDS[selection.site]], dtype=object), "layers": layers},
        "reach": {"bins": np.array([reach])},
        "map": {
            "bin": np.arange(counts.shape[1]) - float(MIDDLE), "layer": layers,
            heat.LEVEL: heat.logs(100 * counts / total),
        },
        "chosen": {
            "left": np.array([-reach]), "bottom": np.array([layer - 0.5]),
            "right": np.array([reach]), "top": np.array([layer + 0.5]),
        },
        "ghost": _sizes(ghost, ghost_step(run, selection), site) if ghost else empty("bin", "layer"),
        "rms": _sizes(run, selection.step, site),
        "told": {"ghost": row(ghost, "layers", ghost_step(run, selection))["rms"][:, site] if ghost else np.empty(0)},
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the picture: a row a layer, a column a bin; a ring where the RMS is, dashed grey for the ghost's."""
    c = columns
    layers = c["place"]["layers"]
    bins = CustomJSHover(code=_RANGE, args={
        "left": list(np.nan_to_num(ACTIVATION_BINS.left)), "right": list(np.nan_to_num(ACTIVATION_BINS.right)),
        "middle": MIDDLE,
    })
    ring = {"marker": "circle", "size": 9, "line_width": 2}
    return hv.Overlay([
        heat.image(c["map"], SCALE, theme, {
            "layer": ("$y", [str(int(layer)) for layer in layers]), "value": ("$x", bins)}, what="% of numbers"),
        hv.Rectangles(c["chosen"], ["left", "bottom", "right", "top"]).opts(
            fill_alpha=0, line_color=theme.accent, line_width=2, backend="bokeh"),
        hv.Points(c["ghost"], [VALUE, LAYER], label="ghost's RMS").opts(
            fill_alpha=0, line_color=theme.ghost, **ring, backend="bokeh"),
        hv.Points(c["rms"], [VALUE, LAYER], label="RMS").opts(
            color=theme.surface, line_color=theme.residual, **ring, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel=f"value at “{c['place']['words'][0]}”; colour: % of numbers", ylabel="layer",
        invert_yaxis=True, show_grid=False,
        xticks=[(place(value), f"{value:g}") for value in NAMED], yticks=[(layer, str(int(layer))) for layer in layers],
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every occupied bin, as far to either side of 0; the first layer at the top."""
    reach = float(columns["reach"]["bins"][0])
    return (-reach, reach), (len(columns["place"]["layers"]) - 0.5, -0.5)


def warning(columns: Columns) -> str:
    """Say where the ghost's RMS lies if that is beyond the axis, whose own numbers are those of bins."""
    left, right = (float(value(edge)) for edge in spread.axes(columns)[0])
    return cut((left, right), columns["told"]["ghost"])


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap on a row chooses its layer."""
    layer = int(np.floor(y + 0.5))
    return {"layer": layer} if 0 <= layer < len(columns["place"]["layers"]) else None


def place(value) -> np.ndarray:
    """Return where values lie in bins from the middle one.

    >>> [round(float(place(x)), 1) for x in (0, -1000, 1)]
    [0.0, -49.5, 25.9]
    """
    bins = ACTIVATION_BINS
    return np.arcsinh(np.asarray(value) / bins.scale) / np.arcsinh(bins.limit / bins.scale) * INSIDE / 2


def value(bins) -> np.ndarray:
    """Return the values that lie so many bins from the middle one: `place` the other way round.

    >>> [round(float(value(place(x))), 6) for x in (0, -1000, 1)]
    [0.0, -1000.0, 1.0]
    """
    grid = ACTIVATION_BINS
    return grid.scale * np.sinh(np.asarray(bins) * 2 / INSIDE * np.arcsinh(grid.limit / grid.scale))


def _sizes(run, step: int | None, site: int) -> dict[str, np.ndarray]:
    rms = row(run, "layers", step)["rms"][:, site].astype(float)
    there = np.isfinite(rms)
    return {"bin": place(np.minimum(rms[there], ACTIVATION_BINS.limit)), "layer": np.flatnonzero(there).astype(float)}


spread = View(
    name="spread",
    title="How the numbers are spread",
    caption="A row a layer, bright where many of its numbers lie. Look for layers much wider or narrower.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"x": "bin"}},
    warning=warning,
    fixed=("place",),
    told=("reach", "told"),
    pick=pick,
)
