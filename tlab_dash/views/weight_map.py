"""All parameters at a glance: a row a kind, a column a layer, coloured by one measure."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme, ink, sequential
from tlab_dash.views import heat, look
from tlab_dash.views.view import Columns, Range, View, row, values
from tlab_dash.views.wording import WEIGHT_MEASURE_WORDS, parameter_words, within_layer

MOST_WRITTEN = 100  # cells; in more there is no room for numbers
LAYER, KIND = hv.Dimension("layer", label="layer"), hv.Dimension("kind")


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen measure as log10, (kind, layer), the numbers as words, and the chosen parameter's cell.

    A parameter that belongs to no layer has a row to itself.
    """
    measure = selection.weight_measure
    recorded = row(run, "parameters", selection.step)[measure].astype(float)
    at = dict(zip(run.recorder.coordinates["parameter"], recorded, strict=True))
    layers = len(run.recorder.coordinates["layer"])
    kinds = list(dict.fromkeys(within_layer(name) for name in at))
    whole = np.array([kind in at for kind in kinds])
    sizes = np.array([
        [at.get(kind if alone else f"blocks.{layer}.{kind}", np.nan) for layer in range(layers)]
        for kind, alone in zip(kinds, whole, strict=True)
    ])
    scale = heat.ends(values(run, "parameters", measure))
    chosen = selection.parameter(run)
    kind, layer = kinds.index(within_layer(chosen)), selection.resolve(run)[0]
    left, right = (-0.5, layers - 0.5) if whole[kind] else (layer - 0.5, layer + 0.5)
    return {
        "kinds": {"name": np.array(kinds, dtype=object), "whole": whole},
        "measure": {"words": np.array([WEIGHT_MEASURE_WORDS[measure]], dtype=object), "layers": np.array([layers])},
        "scale": scale,
        "map": {
            "layer": np.arange(layers, dtype=float), "kind": np.arange(len(kinds), dtype=float),
            heat.LEVEL: heat.logs(sizes),
        },
        **_words(sizes, whole, scale),
        "chosen": {
            "left": np.array([left]), "bottom": np.array([kind - 0.5]),
            "right": np.array([right]), "top": np.array([kind + 0.5]),
        },
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the picture, with numbers in it where there is room."""
    c = columns
    names = [parameter_words(kind) for kind in c["kinds"]["name"]]
    layers = range(int(c["measure"]["layers"][0]))

    def labels(part: str, colour: str) -> hv.Labels:
        return hv.Labels(c[part], [LAYER, KIND], "words").opts(
            **look.text(theme, text_align="center", text_color=colour), backend="bokeh")

    return hv.Overlay([
        heat.image(c["map"], c["scale"], theme, {
            "weights": ("$y", names), "layer": ("$x", [str(layer) for layer in layers])}, what=c["measure"]["words"][0]),
        labels("on_dark", "white"), labels("on_bright", "black"), labels("on_card", theme.muted),
        hv.Rectangles(c["chosen"], ["left", "bottom", "right", "top"]).opts(
            fill_alpha=0, line_color=theme.accent, line_width=2.5, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel=f"layer; colour: {c['measure']['words'][0]}", ylabel="", invert_yaxis=True, show_grid=False,
        xticks=[(layer, str(layer)) for layer in layers], yticks=list(enumerate(names)),
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every layer; a row a kind, the first at the top."""
    return (-0.5, float(columns["measure"]["layers"][0]) - 0.5), (len(columns["kinds"]["name"]) - 0.5, -0.5)


def pick(columns: Columns, x: float, y: float) -> dict[str, int | str] | None:
    """A tap on a cell chooses its parameter, and the layer where it has one."""
    kind, layer = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
    kinds = columns["kinds"]
    if not (0 <= kind < len(kinds["name"]) and 0 <= layer < columns["measure"]["layers"][0]):
        return None
    chosen = {"matrix": str(kinds["name"][kind])}
    return chosen if kinds["whole"][kind] else chosen | {"layer": layer}


def _words(sizes: np.ndarray, whole: np.ndarray, scale: heat.Table) -> Columns:
    """The numbers as three parts, by what they stand on: dark colours, bright ones, or none; a lone one in the middle."""
    low, high = scale["low"][0], scale["high"][0]
    palette = sequential()
    cells = {part: [] for part in ("on_dark", "on_bright", "on_card")}
    for kind, of_layers in enumerate(sizes if sizes.size <= MOST_WRITTEN else []):
        places = [(sizes.shape[1] - 1) / 2] if whole[kind] else range(sizes.shape[1])
        for layer, size in zip(places, of_layers, strict=False):
            if not (np.isfinite(size) and size > 0):
                cells["on_card"].append((layer, kind, "0" if size == 0 else "none"))
                continue
            shade = np.clip((np.log10(size) - low) / (high - low), 0, 1)
            dark = ink(palette[round(255 * float(shade))]) == "#FFFFFF"
            cells["on_dark" if dark else "on_bright"].append((layer, kind, f"{size:.2g}"))
    return {
        part: {
            "layer": np.array([cell[0] for cell in found], dtype=float),
            "kind": np.array([cell[1] for cell in found], dtype=float),
            "words": np.array([cell[2] for cell in found], dtype=object),
        }
        for part, found in cells.items()
    }


weight_map = View(
    name="weight_map",
    title="All weights",
    caption="A row a kind of weights, a column a layer; bright is large. Pick one to look into it.",
    columns=columns,
    draw=draw,
    limits=limits,
    fixed=("kinds", "measure", "scale"),
    pick=pick,
)
