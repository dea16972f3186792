"""What a view's figure looks like, as plain values that the snapshot's own small script draws from.

The figure is the lab's: HoloViews and Bokeh make it, and what it says of glyphs, axes and legend is read off, in both
themes. So a snapshot needs no megabyte of plotting library, and looks like the lab.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.core.property.vectorization import Field, Value
from bokeh.models import Axis, FixedTicker, Glyph, LogScale, Plot

from tlab_core.registry import did_you_mean
from tlab_dash.live import drawn, source_columns
from tlab_dash.recolouring import recolour
from tlab_dash.theme import DARK, LIGHT
from tlab_dash.views.view import Columns, View

LINE = ("line_color", "line_alpha", "line_width", "line_dash")
FILL = ("fill_color", "fill_alpha")
# The glyphs that static/snapshot_plot.js draws: the places that each takes from columns, and what else it needs to know.
GLYPHS = {
    "Line": (("x", "y"), LINE),
    "Scatter": (("x", "y"), (*LINE, *FILL, "size", "marker")),
    "Quad": (("left", "bottom", "right", "top"), (*LINE, *FILL)),
    "Segment": (("x0", "y0", "x1", "y1"), LINE),
    "Text": (("x", "y", "text"), ("text_color", "text_font_size", "text_align", "text_baseline")),
}
MARKERS = ("circle", "triangle")
GRID = ("grid across x", "grid across y")
DASHES = {"solid": [], "dashed": [6], "dotted": [2, 4]}


class SnapshotError(ValueError):
    """A snapshot that can't be made; the message says why and what to do."""


class Palette:
    """The colours in use, each a light one and a dark one under a name, so that a style sheet can switch them all."""

    def __init__(self):
        self._names: dict[tuple[str, str], str] = {}

    def name(self, light: str | None, dark: str | None) -> str | None:
        """Return the custom property of a pair, `--c3`; None for no colour at all."""
        return None if light is None or dark is None else self._names.setdefault((light, dark), f"--c{len(self._names)}")

    def declarations(self, theme: str) -> str:
        """Return the custom properties for "light" or "dark" as css."""
        side = ("light", "dark").index(theme)
        return " ".join(f"{name}: {pair[side]};" for pair, name in self._names.items())


def scene(view: View, columns: Columns, palette: Palette) -> dict[str, Any]:
    """Return the marks, axes, grid and legend of a view of `columns`, ready for JSON.

    A mark says which `columns` its places come from; their values are stored elsewhere, a table a step. Raises
    SnapshotError for a view that draws something a snapshot can't.
    """
    figure, handles = drawn(view, columns, LIGHT)
    # Text without letters is only a ground for other labels.
    seen = {part: handle for part, handle in handles.items() if getattr(handle["glyph"], "text_alpha", 1)}
    light = _worn(figure, seen)
    recolour(figure, LIGHT, DARK)  # to draw it a second time would take many times as long
    worn = {place: _look(place[1], light[place], dark, palette) for place, dark in _worn(figure, seen).items()}
    return {
        "marks": [_mark(view, part, columns, handle["glyph"], worn) for part, handle in seen.items()],
        "x": _axis(figure, "x"),
        "y": _axis(figure, "y"),
        "grid": {"xy"[grid.dimension]: worn[GRID[grid.dimension], "line_color"] for grid in figure.grid},
        "legend": _legend(figure, handles),
    }


def _worn(figure: Plot, handles: dict[str, dict]) -> dict[tuple[str, str], Any]:
    """Return what glyphs and grid wear at present, by (part, property): a value, or an array with one for every row."""
    worn: dict[tuple[str, str], Any] = {(GRID[grid.dimension], "line_color"): grid.grid_line_color for grid in figure.grid}
    for part, handle in handles.items():
        for name in GLYPHS.get(type(handle["glyph"]).__name__, ((), ()))[1]:
            value = getattr(handle["glyph"], name)
            value = value.value if isinstance(value, Value) else value
            worn[part, name] = np.asarray(handle["source"].data[value.field]) if isinstance(value, Field) else value
    return worn


def _mark(view: View, part: str, columns: Columns, glyph: Glyph, worn: dict[tuple[str, str], Any]) -> dict[str, Any]:
    kind = type(glyph).__name__
    if kind == "Image":
        # Its pixels are attention weights, which are stored by themselves; here is where they lie.
        frame = source_columns(columns[part])
        return {"part": part, "glyph": kind, "shape": list(frame["image"][0].shape),
                "frame": [float(frame[name][0]) for name in ("x", "y", "dw", "dh")], **_tiles(columns, part)}  # fmt: skip
    if kind not in GLYPHS:
        raise SnapshotError(f"the view {view.name!r} draws {kind} ({part}), which a snapshot can't hold; it can hold "
                            f"{', '.join(GLYPHS)} and Image.{did_you_mean(kind, GLYPHS)}")
    places, looks = GLYPHS[kind]
    style = {name: worn[part, name] for name in looks}
    if style.get("marker", "circle") not in MARKERS:
        raise SnapshotError(f"the view {view.name!r} draws {style['marker']!r} markers ({part}), which a snapshot can't "
                            f"hold; it can hold {', '.join(MARKERS)}.")
    return {"part": part, "glyph": kind, "places": {name: _column(getattr(glyph, name)) for name in places}, **style}


def _tiles(columns: Columns, part: str) -> dict[str, Any]:
    """How a mosaic's tiles lie, in its own pixels: how many stand across, from one to the next, without the gap."""
    if "frames" not in columns:
        return {}
    across, picture, frames = int(columns["tiles"]["per_row"][0]), columns[part]["weight"], columns["frames"]
    pitch = picture.shape[1] // across
    return {"across": across, "pitch": pitch, "side": round(float(frames["right"][0] - frames["left"][0]) * pitch)}


def _column(place: Field | str) -> str:
    return place.field if isinstance(place, Field) else place


def _look(name: str, light: Any, dark: Any, palette: Palette) -> Any:
    """One property of a glyph: a value, or {"each": [...]} where every row has its own."""
    if name == "line_dash":
        return DASHES[light] if isinstance(light, str) else list(light)
    if isinstance(light, np.ndarray):
        return {"each": [palette.name(str(one), str(other)) for one, other in zip(light, dark, strict=True)]}
    return palette.name(light, dark) if name.endswith("_color") else light


def _axis(figure: Plot, which: str) -> dict[str, Any]:
    """An axis: `ticks` are [place, name] where the view names them, on either side, else the script finds round numbers."""
    axes: list[Axis] = list(figure.xaxis if which == "x" else figure.yaxis)
    axis, ticks = axes[0], None
    if isinstance(axis.ticker, FixedTicker):
        names = {float(place): name for side in axes for place, name in side.major_label_overrides.items()}
        places = sorted(float(place) for side in axes for place in side.ticker.ticks)
        ticks = [[place, str(names.get(place, f"{place:g}"))] for place in places]
    return {
        "visible": bool(axis.visible),
        "label": axis.axis_label or "",
        "log": isinstance(figure.x_scale if which == "x" else figure.y_scale, LogScale),
        "ticks": ticks,
        "upright": bool(axis.major_label_orientation != "horizontal"),
    }


def _legend(figure: Plot, handles: dict[str, dict]) -> list[list[str]]:
    """[part, label] in the order of the lab's legend."""
    parts = {handle["glyph_renderer"].id: part for part, handle in handles.items()}
    return [[parts[item.renderers[0].id], item.label.value if isinstance(item.label, Value) else str(item.label)]
            for legend in figure.legend for item in legend.items]  # fmt: skip
