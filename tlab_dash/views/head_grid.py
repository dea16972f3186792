"""One number a head, of all heads of all layers: a picture with a row a layer and a column a head, which two views draw."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_core.schema import GROUPS
from tlab_dash.theme import Theme, diverging, ink, sequential
from tlab_dash.views import heat, look
from tlab_dash.views.roles import even_entropy
from tlab_dash.views.view import Columns, Range, Table, row, values

MOST_WRITTEN = 64  # cells; in more there is no room for numbers
SHARES = ("previous_token", "first_token", "induction", "largest_weight")
SIGNED = ("qk_mean",)
STRONG = 0.8  # of the way to the end of a diverging scale: from here on a number is written in white
HEAD, LAYER = hv.Dimension("head", label="head"), hv.Dimension("layer", label="layer")


def grid(run, selection, measure: str, words: str) -> Columns:
    """Return a measure of "heads" as colours (layer, head), its numbers as words, and the chosen head's cell.

    A share is coloured from 0 to 1, entropy from 0 to that of reading everything alike, a signed measure evenly to both
    sides of 0, and what else is a size by its ratio.
    """
    layer, head, _ = selection.resolve(run)
    sizes = row(run, "heads", selection.step)[measure].astype(float)
    layers, heads = sizes.shape
    share, signed = _kind(run, measure)
    log = not (share or signed or measure == "entropy")
    scale = _scale(run, measure)
    return {
        "measure": {
            "words": np.array([words], dtype=object), "log": np.array([log]), "signed": np.array([signed]),
            "layers": np.array([layers]), "heads": np.array([heads]),
        },
        "scale": scale,
        "map": {
            "head": np.arange(heads, dtype=float), "layer": np.arange(layers, dtype=float),
            heat.LEVEL: heat.logs(sizes) if log else np.where(np.isfinite(sizes), sizes, np.nan).astype(np.float32),
        },
        **_written(sizes, scale, log, signed),
        "chosen": {
            "left": np.array([head - 0.5]), "bottom": np.array([layer - 0.5]),
            "right": np.array([head + 0.5]), "top": np.array([layer + 0.5]),
        },
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the picture, with numbers in it where there is room."""
    c, measure = columns, columns["measure"]
    layers, heads = ([str(i) for i in range(measure[name][0])] for name in ("layers", "heads"))

    def labels(part: str, colour: str) -> hv.Labels:
        return hv.Labels(c[part], [HEAD, LAYER], "words").opts(
            **look.text(theme, text_align="center", text_color=colour), backend="bokeh")

    return hv.Overlay([
        heat.image(
            c["map"], c["scale"], theme, {"layer": ("$y", layers), "head": ("$x", heads)}, measure["words"][0],
            log=bool(measure["log"][0]), colours=diverging(theme) if measure["signed"][0] else None,
        ),
        labels("on_dark", "white"), labels("on_bright", "black"), labels("on_card", theme.text),
        hv.Rectangles(c["chosen"], ["left", "bottom", "right", "top"]).opts(
            fill_alpha=0, line_color=theme.accent, line_width=2.5, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel="head", ylabel="layer", invert_yaxis=True, show_grid=False,
        xticks=[(i, name) for i, name in enumerate(heads)], yticks=[(i, name) for i, name in enumerate(layers)],
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every head; a row a layer, the first at the top."""
    layers, heads = (float(columns["measure"][name][0]) for name in ("layers", "heads"))
    return (-0.5, heads - 0.5), (layers - 0.5, -0.5)


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap on a cell chooses its layer and head."""
    layer, head = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    within = 0 <= layer < columns["measure"]["layers"][0] and 0 <= head < columns["measure"]["heads"][0]
    return {"layer": layer, "head": head} if within else None


def _kind(run, measure: str) -> tuple[bool, bool]:
    """Whether a measure is a share of something, and whether it has a sign; of one's own what was recorded tells."""
    if measure in GROUPS["heads"].variables:
        return measure in SHARES, measure in SIGNED
    recorded = values(run, "heads", measure)
    recorded = recorded[np.isfinite(recorded)]
    signed = bool((recorded < 0).any())
    return not signed and recorded.max(initial=0.0) <= 1, signed


def _scale(run, measure: str) -> Table:
    """The ends of the colours. Where they come from what was recorded, it is all of it, so that they keep their meaning."""
    share, signed = _kind(run, measure)
    if share:
        return {"low": np.array([0.0]), "high": np.array([1.0])}
    if measure == "entropy":
        return {"low": np.array([0.0]), "high": np.array([max(even_entropy(len(run.recorder.coordinates["query"])), 0.1)])}
    recorded = values(run, "heads", measure)
    if not signed:
        return heat.ends(recorded)
    largest = np.abs(recorded[np.isfinite(recorded)]).max(initial=0.0)
    reach = 2.0 ** np.ceil(np.log2(max(largest, 2.0**-3)))  # a power of two, so that it seldom changes
    return {"low": np.array([-reach]), "high": np.array([reach])}


def _written(sizes: np.ndarray, scale: Table, log: bool, signed: bool) -> Columns:
    """The numbers as three parts, by what they stand on: dark colours, bright ones, or about the card's own."""
    low, high = float(scale["low"][0]), float(scale["high"][0])
    levels = heat.logs(sizes) if log else sizes
    palette = sequential()
    cells = {part: [] for part in ("on_dark", "on_bright", "on_card")}
    for (layer, head), size in np.ndenumerate(sizes if sizes.size <= MOST_WRITTEN else np.empty((0, 0))):
        level = levels[layer, head]
        if not np.isfinite(level):
            part = "on_card"
        elif signed:
            part = "on_dark" if abs(level) >= STRONG * high else "on_card"
        else:
            shade = palette[round(255 * float(np.clip((level - low) / (high - low), 0, 1)))]
            part = "on_dark" if ink(shade) == "#FFFFFF" else "on_bright"
        cells[part].append((head, layer, short(size)))
    return {
        part: {
            "head": np.array([cell[0] for cell in found], dtype=float),
            "layer": np.array([cell[1] for cell in found], dtype=float),
            "words": np.array([cell[2] for cell in found], dtype=object),
        }
        for part, found in cells.items()
    }


def short(number: float) -> str:
    """Return a number for readers in about three digits, with a real minus.

    >>> short(0.394), short(-12.34), short(3825.0), short(float("nan"))
    ('0.39', '−12.3', '3,825', 'none')
    """
    if not np.isfinite(number):
        return "none"
    size = abs(number)
    if size >= 1e6:
        said = f"{size:.1e}"
    else:
        said = f"{size:.2f}" if size < 10 else f"{size:.1f}" if size < 100 else f"{size:,.0f}"
    return f"−{said}" if number < 0 and said.strip("0.") else said
