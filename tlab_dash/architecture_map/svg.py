"""Writing SVG: an element is a piece of markup, and whatever is not markup is escaped."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr


class Markup(str):
    """A string that is SVG already; any other string is text and gets escaped where it is put in."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: object) -> Markup:
    """One SVG element. Attributes that are None are left out; `class_` is `class`, other underscores are hyphens.

    >>> element("text", "a < b", class_="label", data_key=None, x=1.0, stroke_width=2.25)
    '<text class="label" x="1" stroke-width="2.25">a &lt; b</text>'
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(_written(value))}"
        for key, value in attributes.items()
        if value is not None
    )
    inside = join(*children)
    return Markup(f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>")


def join(*children: str) -> Markup:
    """Markup after markup; plain strings are escaped."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def group(*children: str, **attributes: object) -> Markup:
    """A `<g>`."""
    return element("g", *children, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> Markup:
    """A straight line."""
    return path(f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}", **attributes)


def path(d: str, **attributes: object) -> Markup:
    """A path."""
    return element("path", d=d, **attributes)


def rectangle(x: float, y: float, width: float, height: float, rx: float = 0, **attributes: object) -> Markup:
    """A rectangle, with rounded corners where `rx` is given."""
    return element("rect", x=x, y=y, width=width, height=height, rx=rx or None, **attributes)


def circle(x: float, y: float, radius: float, **attributes: object) -> Markup:
    """A circle about (x, y)."""
    return element("circle", cx=x, cy=y, r=radius, **attributes)


def text(content: str, x: float, y: float, **attributes: object) -> Markup:
    """Text whose baseline starts at (x, y)."""
    return element("text", content, x=x, y=y, **attributes)


def number(value: float) -> str:
    """At most two decimals: a hundredth of a pixel is not seen.

    >>> number(3.14159), number(2.0), number(-0.001)
    ('3.14', '2', '0')
    """
    rounded = round(float(value), 2) + 0.0  # + 0.0 makes a plain zero of a negative one
    return f"{rounded:.2f}".rstrip("0").rstrip(".")


def _written(value: object) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
