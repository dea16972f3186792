"""The map's signs: what stands for a norm, a sum, a position encoding, the heads, an activation.

All take the colour of their surroundings (`currentColor`) unless they belong to one kind of part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tlab_core.activations import ACTIVATIONS
from tlab_dash.architecture_map import svg
from tlab_dash.architecture_map.svg import Markup
from tlab_dash.architecture_map.wiring import TICKS


def plus(x: float, y: float, radius: float) -> Markup:
    """⊕: what comes from the side is added."""
    arm = radius * 0.52
    return svg.join(
        svg.circle(x, y, radius, class_="disc shape"),
        svg.path(f"M{svg.number(x - arm)} {svg.number(y)}h{svg.number(2 * arm)}"
                 f"M{svg.number(x)} {svg.number(y - arm)}v{svg.number(2 * arm)}", class_="sign"),
    )


def bead(x: float, y: float, norm: str, half_height: float, half_width: float | None = None) -> Markup:
    """A norm: a tick for each thing it does to the signal. One that is not known by name shows its initial letter."""
    half_width = half_width or half_height
    shape = svg.rectangle(x - half_width, y - half_height, 2 * half_width, 2 * half_height, rx=half_height,
                          class_="norm shape")
    ticks = TICKS.get(norm)
    if ticks is None:
        size = 1.45 * half_height
        return svg.join(shape, svg.text(norm[:1].upper(), x, y + 0.36 * size, class_="initial", font_size=size))
    arm = 0.52 * half_height
    spread = 2.1 if len(ticks) > 1 else 0
    marks = "".join(f"M{svg.number(x + dx)} {svg.number(y - arm)}v{svg.number(2 * arm)}"
                    for dx in ((-spread, spread) if spread else (0,)))
    return svg.join(shape, svg.path(marks, class_="tick"))


def chevron(x: float, y: float, size: float, direction: str) -> Markup:
    """An arrow head about (x, y) that points "up", "down", "left" or "right"."""
    a, b = size, 0.55 * size
    points = {
        "down": ((-a, -b), (0, b), (a, -b)),
        "up": ((-a, b), (0, -b), (a, b)),
        "right": ((-b, -a), (b, 0), (-b, a)),
        "left": ((b, -a), (-b, 0), (b, a)),
    }[direction]
    return svg.path(polyline([(x + dx, y + dy) for dx, dy in points]), class_="arrow")


def tiles(x: float, y: float, width: float, height: float, count: int) -> Markup:
    """One small square a head, in the arrangement that makes them largest, centred in the given space."""
    gap = 2.5
    ragged = 0.7  # rows of equal length are worth tiles that are this much smaller
    best = (0.0, 0.0, -1, count)
    for rows in range(1, min(count, 8) + 1):
        columns = math.ceil(count / rows)
        if math.ceil(count / columns) < rows:
            continue  # the last row would be empty
        size = min((width - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows, 15)
        best = max(best, (size if count % columns == 0 else ragged * size, size, -rows, columns))
    _, size, minus_rows, columns = best
    size, rows = max(size, 1.5), -minus_rows
    left = x + (width - columns * size - gap * (columns - 1)) / 2
    top = y + (height - rows * size - gap * (rows - 1)) / 2
    return svg.join(*(
        svg.rectangle(left + (i % columns) * (size + gap), top + (i // columns) * (size + gap), size, size,
                      rx=min(2.5, size / 4), class_="tile")
        for i in range(count)
    ))


def dial(x: float, y: float, radius: float) -> Markup:
    """RoPE: the position turns a hand."""
    hand = (x + 0.78 * radius * math.cos(-0.9), y + 0.78 * radius * math.sin(-0.9))
    faint = (x + 0.78 * radius, y)
    arc = 0.62 * radius
    start, end = (x + arc, y), (x + arc * math.cos(-0.9), y + arc * math.sin(-0.9))
    return svg.join(
        svg.circle(x, y, radius, class_="thin"),
        svg.path(polyline([(x, y), faint]), class_="faint"),
        svg.path(f"M{_point(start)}A{svg.number(arc)} {svg.number(arc)} 0 0 0 {_point(end)}", class_="faint"),
        svg.path(polyline([(x, y), hand]), class_="stroke"),
    )


def ramp(x: float, y: float, radius: float) -> Markup:
    """ALiBi: the further back, the larger the handicap."""
    left, right, top, bottom = x - radius, x + radius, y - 0.75 * radius, y + 0.75 * radius
    return svg.join(
        svg.path(polyline([(left, bottom), (right, top), (right, bottom)]) + "Z", class_="wedge"),
        svg.path(polyline([(left, bottom), (right, top)]), class_="stroke"),
    )


def initial(name: str, x: float, y: float, radius: float) -> Markup:
    """Something that has no sign of its own yet: its initial letter in a circle."""
    return svg.join(svg.circle(x, y, radius, class_="thin"),
                    svg.text(name[:1].upper(), x, y + 4, class_="middle letter"))


def wave(x: float, y: float, width: float, height: float) -> Markup:
    """Sinusoidal: two waves of different length."""
    t = np.linspace(0, 1, 41)
    slow, fast = np.sin(2 * np.pi * t), np.sin(6 * np.pi * t)
    return svg.join(*(
        svg.path(polyline(zip(x + width * t, y + height * (0.5 - 0.5 * curve), strict=True)), class_=kind)
        for curve, kind in ((fast, "faint"), (slow, "stroke"))
    ))


def table(x: float, y: float, width: float, height: float) -> Markup:
    """Learned: a table with a row for each position."""
    rows, columns = 3, 5
    inner = "".join(f"M{svg.number(x)} {svg.number(y + height * i / rows)}h{svg.number(width)}" for i in range(1, rows))
    inner += "".join(
        f"M{svg.number(x + width * i / columns)} {svg.number(y)}v{svg.number(height)}" for i in range(1, columns))
    return svg.join(
        svg.rectangle(x, y, width, height / rows, class_="wedge"),
        svg.path(inner, class_="faint"),
        svg.rectangle(x, y, width, height, rx=2, class_="thin"),
    )


def activation(x: float, y: float, width: float, height: float, name: str) -> Markup:
    """The activation's own curve, as training computes it. Gated: one pipe is bent, one is straight, and they multiply."""
    kind = ACTIVATIONS.look(name)
    if not hasattr(kind, "curve"):  # one that is not here any more: what is known of it is its name
        return initial(name, x + width / 2, y + height / 2, min(width, height) / 2)
    if not kind.gated:
        side = min(width, 1.5 * height)
        return _curve(x + (width - side) / 2, y, side, height, kind.curve)
    inset, cross = 9, 6.5
    plot_height = 0.62 * height
    pipe, straight = y + plot_height / 2, y + height - max(2.5, 0.1 * height)
    times = x + width - cross - 8
    plot_width = times - cross - 5 - (x + inset)
    middle = (pipe + straight) / 2
    corner = 4
    fork = (f"M{svg.number(x)} {svg.number(middle)}h4M{svg.number(x + 4)} {svg.number(middle)}"
            f"V{svg.number(pipe)}h{svg.number(inset - 4)}M{svg.number(x + 4)} {svg.number(middle)}"
            f"V{svg.number(straight - corner)}q0 {corner} {corner} {corner}H{svg.number(times - corner)}"
            f"q{corner} 0 {corner} {-corner}V{svg.number(pipe + cross)}"
            f"M{svg.number(x + inset + plot_width)} {svg.number(pipe)}H{svg.number(times - cross)}"
            f"M{svg.number(times + cross)} {svg.number(pipe)}H{svg.number(x + width)}")
    arm = 0.42 * cross
    return svg.join(
        svg.path(fork, class_="pipe"),
        _curve(x + inset, y, plot_width, plot_height, kind.curve),
        svg.circle(times, pipe, cross, class_="thin"),
        svg.path(f"M{svg.number(times - arm)} {svg.number(pipe - arm)}l{svg.number(2 * arm)} {svg.number(2 * arm)}"
                 f"M{svg.number(times + arm)} {svg.number(pipe - arm)}l{svg.number(-2 * arm)} {svg.number(2 * arm)}",
                 class_="stroke"),
    )


def _curve(x: float, y: float, width: float, height: float, curve: Callable) -> Markup:
    """A curve over -3..3 in a small frame with its axes; both axes have the same unit if the frame's shape allows."""
    inputs = np.linspace(-3, 3, 49)
    outputs = np.asarray(curve(inputs), float)
    low, high = min(-0.6, float(outputs.min())), max(2.4, float(outputs.max()))
    inset = 2.5
    xs = x + inset + (width - 2 * inset) * (inputs + 3) / 6
    ys = y + height - inset - (height - 2 * inset) * (outputs - low) / (high - low)
    zero = y + height - inset - (height - 2 * inset) * (0 - low) / (high - low)
    axes = (f"M{svg.number(x + 1)} {svg.number(zero)}h{svg.number(width - 2)}"
            f"M{svg.number(x + width / 2)} {svg.number(y + 1)}v{svg.number(height - 2)}")
    return svg.join(
        svg.rectangle(x, y, width, height, rx=3, class_="frame"),
        svg.path(axes, class_="axis"),
        svg.path(polyline(zip(xs, ys, strict=True)), class_="stroke"),
    )


def polyline(points: Sequence | zip) -> str:
    """Path data through the points."""
    return "M" + "L".join(_point(point) for point in points)


def _point(point: tuple[float, float]) -> str:
    return f"{svg.number(point[0])} {svg.number(point[1])}"
