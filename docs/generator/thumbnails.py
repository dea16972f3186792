"""A figure in small, as SVG: what its glyphs draw, without axes and words. It needs no browser."""

import base64
import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from bokeh.core.property.vectorization import Field, Value
from bokeh.models import LinearColorMapper, LogScale, Plot
from PIL import Image, ImageColor

WIDTH, HEIGHT = 240, 150
Place = Callable[[Any], np.ndarray]


class UndrawnError(ValueError):
    """A figure has a kind of glyph that nobody draws in small yet; the message names it."""


def svg(figure: Plot) -> str:
    """Return a figure as an SVG element. Raises UndrawnError for a glyph that is not in DRAWN and not in WORDS."""
    x = _scale(figure.x_range, figure.x_scale, 0, WIDTH)
    y = _scale(figure.y_range, figure.y_scale, HEIGHT, 0)
    marks = []
    for renderer in figure.renderers:
        kind = type(renderer.glyph).__name__
        if kind in WORDS or not renderer.visible:
            continue
        if kind not in DRAWN:
            raise UndrawnError(f"{kind} is not drawn in small: add it to DRAWN in {__name__}.")
        marks += DRAWN[kind](_Glyph(renderer.glyph, renderer.data_source.data), x, y)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{"".join(marks)}</svg>'


class _Glyph:
    """A glyph's properties, one value a mark."""

    def __init__(self, glyph: Any, data: dict[str, Any]):
        self.glyph, self.data = glyph, data

    def one(self, name: str) -> Any:
        """Return a property that is the same for all marks."""
        found = getattr(self.glyph, name)
        return found.value if isinstance(found, Value) else found

    def each(self, name: str) -> list[Any]:
        """Return a property's value for each mark; of a column of numbers that stand for colours, the colours."""
        found = getattr(self.glyph, name)
        field = found.field if isinstance(found, Field) else found
        if not isinstance(field, str) or field not in self.data:
            return [self.one(name)] * max(map(len, self.data.values()), default=0)
        column = self.data[field]
        if isinstance(found, Field) and isinstance(found.transform, LinearColorMapper):
            return _colours(found.transform, np.asarray(column, dtype=float))
        return list(column)

    def places(self, name: str, scale: Place) -> list[float]:
        """Return where marks lie on the picture; one that has no number is NaN."""
        return [round(float(place), 1) for place in scale(np.asarray(self.each(name), dtype=float))]


def _scale(ends: Any, kind: Any, low: float, high: float) -> Place:
    turned = np.log10 if isinstance(kind, LogScale) else np.asarray
    start, end = turned(ends.start), turned(ends.end)

    def place(values: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            return low + (turned(np.asarray(values, dtype=float)) - start) / (end - start) * (high - low)

    return place


def _colours(mapper: LinearColorMapper, values: np.ndarray) -> list[str]:
    low, high = (mapper.low, mapper.high) if mapper.low is not None else (np.nanmin(values), np.nanmax(values))
    with np.errstate(all="ignore"):
        at = (values - low) / ((high - low) or 1) * len(mapper.palette)
    return [mapper.palette[int(np.clip(one, 0, len(mapper.palette) - 1))] if np.isfinite(one) else mapper.nan_color
            for one in at]  # fmt: skip


def _paint(line: str | None, width: float, fill: str | None = None, alpha: float = 1, fill_alpha: float = 1) -> str:
    return (f'fill="{fill or "none"}" fill-opacity="{fill_alpha:g}" stroke="{line or "none"}" stroke-width="{width:g}" '
            f'stroke-opacity="{alpha:g}"')  # fmt: skip


def _line(glyph: _Glyph, x: Place, y: Place) -> Iterator[str]:
    points = list(zip(glyph.places("x", x), glyph.places("y", y), strict=True))
    paint = _paint(glyph.one("line_color"), glyph.one("line_width"), alpha=glyph.one("line_alpha"))
    road = "".join(f"{'L' if at and np.isfinite(points[at - 1]).all() else 'M'}{px:g} {py:g}"
                   for at, (px, py) in enumerate(points) if np.isfinite([px, py]).all())  # fmt: skip
    if road:
        yield f'<path d="{road}" {paint}/>'


def _segment(glyph: _Glyph, x: Place, y: Place) -> Iterator[str]:
    ends = (glyph.places("x0", x), glyph.places("y0", y), glyph.places("x1", x), glyph.places("y1", y))
    for x0, y0, x1, y1, colour in zip(*ends, glyph.each("line_color"), strict=True):
        if np.isfinite([x0, y0, x1, y1]).all():
            yield f'<path d="M{x0:g} {y0:g}L{x1:g} {y1:g}" {_paint(colour, glyph.one("line_width"))}/>'


def _quad(glyph: _Glyph, x: Place, y: Place) -> Iterator[str]:
    ends = (glyph.places("left", x), glyph.places("right", x), glyph.places("top", y), glyph.places("bottom", y))
    for left, right, top, bottom, line, fill in zip(*ends, glyph.each("line_color"), glyph.each("fill_color"), strict=True):
        if np.isfinite([left, right, top, bottom]).all():
            paint = _paint(line, glyph.one("line_width"), fill, glyph.one("line_alpha"), glyph.one("fill_alpha"))
            yield (f'<rect x="{min(left, right):g}" y="{min(top, bottom):g}" width="{abs(right - left):g}" '
                   f'height="{abs(bottom - top):g}" {paint}/>')  # fmt: skip


def _scatter(glyph: _Glyph, x: Place, y: Place) -> Iterator[str]:
    each = (glyph.places("x", x), glyph.places("y", y), glyph.each("line_color"), glyph.each("fill_color"))
    for px, py, line, fill in zip(*each, strict=True):
        if np.isfinite([px, py]).all():
            paint = _paint(line, glyph.one("line_width"), fill, fill_alpha=glyph.one("fill_alpha"))
            yield f'<circle cx="{px:g}" cy="{py:g}" r="{0.35 * glyph.one("size"):g}" {paint}/>'


def _image(glyph: _Glyph, x: Place, y: Place) -> Iterator[str]:
    """Each image as PNG: its first row lies at y, its first column at x, whichever way the axes run."""
    for image, left, low, wide, high in zip(*(glyph.each(name) for name in ("image", "x", "y", "dw", "dh")), strict=True):
        values = np.asarray(image, dtype=float)
        colours = [ImageColor.getcolor(str(one), "RGBA") if one != "transparent" else (0, 0, 0, 0)
                   for one in _colours(glyph.glyph.color_mapper, values.ravel())]  # fmt: skip
        pixels = np.array(colours, dtype=np.uint8).reshape(*values.shape, 4)
        (x0, x1), (y0, y1) = x([left, left + wide]), y([low, low + high])
        pixels = pixels[:: 1 if y0 < y1 else -1, :: 1 if x0 < x1 else -1]
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        yield (f'<image x="{min(x0, x1):.1f}" y="{min(y0, y1):.1f}" width="{abs(x1 - x0):.1f}" height="{abs(y1 - y0):.1f}" '
               f'preserveAspectRatio="none" style="image-rendering: pixelated" href="data:image/png;base64,{data}"/>')


DRAWN = {"Line": _line, "Segment": _segment, "Quad": _quad, "Scatter": _scatter, "Image": _image}
WORDS = ("Text",)
