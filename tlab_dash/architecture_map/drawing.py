"""The architecture map: one SVG, made here as a string, that serves the dashboard, notebooks and snapshots alike."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from tlab_core.activations import ACTIVATIONS
from tlab_dash.architecture_map import glyphs, svg
from tlab_dash.architecture_map.colouring import Paint, check_statistic, paint
from tlab_dash.architecture_map.geometry import BOX_LEFT, LEGEND, MARGIN, ROAD_X, STEP, Branch, Layout, Row, layout
from tlab_dash.architecture_map.style import style
from tlab_dash.architecture_map.svg import Markup
from tlab_dash.architecture_map.values import EXPLANATIONS, GRADIENT, RATIO, STATISTICS, MapValues, Scale
from tlab_dash.architecture_map.wiring import AFTER, ATTENTION, BEFORE, BRANCHES, FEED_FORWARD, ON_ROAD, Wiring
from tlab_dash.theme import LIGHT, Theme, diverging, sequential

NAMES = {ATTENTION: "attention", FEED_FORWARD: "feed-forward"}
CLASSES = {ATTENTION: "attention", FEED_FORWARD: "feed-forward"}


def drawing(
    architecture,
    values: MapValues | None = None,
    statistic: str = GRADIENT,
    selected: int | None = None,
    scale: Scale | None = None,
    changed: Collection[str] = (),
    ghost_values: MapValues | None = None,
    theme: Theme = LIGHT,
    height: float | None = 820,
    width: float = 344,
    compact: bool = False,
    broken: str | None = None,
) -> str:
    """Draw an architecture as it is wired, each part coloured by a statistic, as a complete `<svg>`.

    `statistic` is "gradient", "signal" or "ratio" (gradient now ÷ in the ghost); `scale` the range so far, which `values`
    only widen; `changed` the parts to outline for two seconds and `broken` the one where the first bad number appeared,
    by name. `height` None takes what the layers need, as on a phone. Raises ValueError for an unknown statistic.
    """
    check_statistic(statistic)
    wiring = Wiring.of(architecture)
    colours = paint(wiring.layers, values, statistic, scale, ghost_values, theme)
    places = layout(wiring, width, height, selected, compact)
    return _Pen(places, colours, statistic, selected, frozenset(changed), broken, theme).whole()


@dataclass(frozen=True)
class _Pen:
    """Draws the parts of one map, each a group named `data-key`, at absolute places (so that they can slide)."""

    places: Layout
    paint: Paint
    statistic: str
    selected: int | None
    changed: frozenset[str]
    broken: str | None
    theme: Theme

    @property
    def wiring(self) -> Wiring:
        return self.places.wiring

    def whole(self) -> str:
        places = self.places
        return svg.element(
            "svg",
            svg.element("style", Markup(style(self.theme))),
            *(self.layer(row) for row in places.rows),
            self.embedding(),
            self.head(),
            self.legend(),
            xmlns="http://www.w3.org/2000/svg",
            class_="tlab-map",
            viewBox=f"0 0 {svg.number(places.width)} {svg.number(places.height)}",
            width=places.width,
            height=places.height,
            role="group",
            aria_label=self.summary(),
        )

    def summary(self) -> str:
        """The wiring in a sentence, for those who don't see it."""
        w = self.wiring
        return (f"Architecture map: {w.layers} layers of {w.heads} heads, width {w.width}, {w.layout}, norm {w.norm}, "
                f"{w.activation}, position {w.position}")

    # Parts ---------------------------------------------------------------------------------------------------------

    def part(self, key: str, *children: str, class_: str = "", fill_of: str | None = None, **attributes) -> Markup:
        """A named group; with `fill_of`, its `.fill`, ink and `.number` belong to the statistics."""
        classes = ["part", class_, "changed" if key in self.changed else "", "broken" if key == self.broken else ""]
        ink = f"color:{self.paint.parts[fill_of][1]}" if fill_of else None
        return svg.group(*children, class_=" ".join(filter(None, classes)), data_key=key, style=ink, **attributes)

    def fill(self, key: str) -> str:
        return f"fill:{self.paint.parts[key][0]}"

    def number(self, key: str, x: float, y: float, **attributes) -> Markup:
        return svg.text(self.paint.parts[key][2], x, y, class_=attributes.pop("class_", "number"), **attributes)

    def road(self, depth: int, top: float, bottom: float) -> Markup:
        """A stretch of the residual stream, with the value of the stream there written beside it."""
        key, w = f"residual.{depth}", self.places.road
        edge = 1.5
        inner = w - 2 * edge
        direction = "down" if self.statistic == "signal" else "up"
        room = bottom - top
        arrow = glyphs.chevron(ROAD_X, top + room * 0.36, min(4.0, inner * 0.3), direction) if room > 24 else ""
        label_y = self.value_y(top, bottom)
        return self.part(
            key,
            svg.rectangle(ROAD_X - w / 2, top, w, room, class_="residual shape"),
            svg.rectangle(ROAD_X - inner / 2, top - 0.5, inner, room + 1, class_="fill", style=self.fill(key)),
            arrow,
            self.number(key, ROAD_X - w / 2 - 6, label_y, class_="number beside") if room > 11 else "",
            fill_of=key,
        )

    def value_y(self, top: float, bottom: float = math.inf) -> float:
        """The baseline of the value beside a stretch of road: near its top, but never across the edge of a band."""
        y = min(top + 13, (top + bottom) / 2 + 3.5)
        for edge in (edge for row in self.places.rows if row.full for edge in (row.top, row.bottom)):
            if y - 11 < edge < y + 4:
                y = edge + 13
        return y

    def bead(self, key: str, x: float, y: float, half_height: float, half_width: float | None = None) -> Markup:
        return self.part(key, svg.element("title", f"{self.wiring.norm}: {key}"),
                         glyphs.bead(x, y, self.wiring.norm, half_height, half_width))

    def layer(self, row: Row) -> Markup:
        """One layer: a button that holds its parts."""
        i, chosen = row.layer, row.layer == self.selected
        band = svg.rectangle(2, row.top, self.places.width - 4, row.height, rx=8, class_="band")
        name = f"layer {i}" if row.full else str(i)
        # Under the value of the stream that comes in, which with a norm on the road stands within this band.
        label_y = max(row.top + 17, self.value_y(self.road_top(i)) + 15) if row.full else row.top + row.height / 2 + 4
        return svg.group(
            svg.group(band, svg.text(name, 10, label_y, class_="name"), data_key=f"layer.{i}"),
            *(self.full(row) if row.full else self.compact(row)),
            class_="layer selected" if chosen else "layer",
            data_layer=i,
            role="button",
            tabindex=0,
            aria_pressed="true" if chosen else "false",
            aria_label=self.paint.labels[i],
        )

    def road_top(self, layer: int) -> float:
        """Where the stretch that leads into a layer begins: under the last sum, or the norm on the road after it."""
        if layer == 0:
            return 52.0 + 9 if self.wiring.position_joins_stream else 34.0
        above = self.places.rows[layer - 1]
        last = self.places.branches(above)[1] if above.full else self.places.cells(above)[1]
        return self.after(last, above.full)

    def after(self, branch: Branch, full: bool) -> float:
        """Where the road goes on after a branch has rejoined it."""
        if ON_ROAD in self.wiring.norms:
            return branch.on_road + (6 if full else 4) + 1.5
        return branch.join + self.radius(full)

    def radius(self, full: bool) -> float:
        """Of a ⊕: it covers the road."""
        return max(8.0, self.places.road / 2 + 1) if full else 6.0

    def full(self, row: Row) -> list[Markup]:
        """Both branches, each on a side road of its own."""
        drawn, top = [], self.road_top(row.layer)
        for number, (name, branch) in enumerate(zip(BRANCHES, self.places.branches(row), strict=True)):
            depth = 2 * row.layer + number
            key = self.wiring.branch(row.layer, name)
            drawn += [
                self.side_road(row.layer, name, branch),
                self.road(depth, top, branch.join - self.radius(True)),
                *self.join(row.layer, name, branch, True),
                self.part(key, *self.box(key, name, branch), class_=CLASSES[name], fill_of=key),
            ]
            top = self.after(branch, True)
        return drawn

    def compact(self, row: Row) -> list[Markup]:
        """Both branches as small boxes on one side road: a layer told in a line."""
        i = row.layer
        cells = self.places.cells(row)
        left, right = cells
        size = min(5.5, row.height * 0.16)
        beads = self.wiring.norm_keys(i, ATTENTION)
        middle = left.box[1] + left.box[3] / 2
        parts = [
            self.part(f"side.{i}", svg.path(self.detour(left, 9), class_="wire"),
                      svg.path(f"M{svg.number(left.box[0] + left.box[2])} {svg.number(middle)}"
                               f"H{svg.number(right.box[0])}", class_="wire"), class_="attention"),
            self.road(2 * i, self.road_top(i), left.join - min(6.0, row.height * 0.19)),
        ]
        if ON_ROAD in beads:
            parts += self.stub(left.join, left.on_road)
        parts.append(self.part(f"sum.{i}", glyphs.plus(ROAD_X, left.join, min(6.0, row.height * 0.19)), class_="sum"))
        parts += self.beads(beads, left, size)
        for name, cell in zip(BRANCHES, cells, strict=True):
            key = self.wiring.branch(i, name)
            parts.append(self.part(key, *self.cell(key, name, cell), class_=CLASSES[name], fill_of=key))
        return parts

    def side_road(self, layer: int, name: str, branch: Branch) -> Markup:
        """The road to a box and back, with an arrow on each way."""
        signal = self.statistic == "signal"
        x = BOX_LEFT - 11
        return self.part(
            f"side.{layer}.{name}",
            svg.path(self.detour(branch, 12), class_="wire"),
            glyphs.chevron(x, branch.fork, 3.6, "right" if signal else "left"),
            glyphs.chevron(x, branch.join, 3.6, "left" if signal else "right"),
            class_=CLASSES[name],
        )

    def detour(self, branch: Branch, bend: float) -> str:
        """Off the road like a slip road, into the box at `fork`, out of it at `join` and straight back to the sum."""
        n = svg.number
        return (f"M{n(ROAD_X)} {n(branch.fork - bend)}C{n(ROAD_X)} {n(branch.fork - 0.2 * bend)} "
                f"{n(ROAD_X + 8)} {n(branch.fork)} {n(ROAD_X + 20)} {n(branch.fork)}H{n(BOX_LEFT)}"
                f"M{n(BOX_LEFT)} {n(branch.join)}H{n(ROAD_X)}")

    def join(self, layer: int, name: str, branch: Branch, full: bool) -> list[Markup]:
        """The sum where a branch rejoins the road, and the branch's beads."""
        beads = self.wiring.norm_keys(layer, name)
        parts = self.stub(branch.join, branch.on_road) if ON_ROAD in beads else []
        parts.append(self.part(f"sum.{layer}.{name}", glyphs.plus(ROAD_X, branch.join, self.radius(full)), class_="sum"))
        return parts + self.beads(beads, branch, 7.0)

    def stub(self, top: float, bottom: float) -> list[Markup]:
        """The few pixels of road between a sum and the norm that interrupts it."""
        w = self.places.road
        return [svg.rectangle(ROAD_X - w / 2, top, w, bottom - top, class_="residual")]

    def beads(self, keys: dict[str, str], branch: Branch, size: float) -> list[Markup]:
        x = (ROAD_X + BOX_LEFT) / 2 + 2
        at = {BEFORE: (x, branch.fork), AFTER: (x, branch.join)}
        parts = [self.bead(key, *at[place], size) for place, key in keys.items() if place in at]
        if ON_ROAD in keys:
            parts.append(self.bead(keys[ON_ROAD], ROAD_X, branch.on_road, 0.86 * size, self.places.road / 2 + 6))
        return parts

    # Boxes ---------------------------------------------------------------------------------------------------------

    def box(self, key: str, name: str, branch: Branch) -> list[Markup]:
        """A branch: its name and value at the left, what it is made of at the right."""
        x, y, width, height = branch.box
        w = self.wiring
        tall = height >= 52
        lines = 44 if tall else 29  # px that the text takes
        base = y + (height - lines) / 2 + 11
        if name == ATTENTION:
            heads = "1 head" if w.heads == 1 else f"{w.heads} heads"
            detail = f"{heads} × {svg.number(w.width / w.heads)}"
            title = f"Attention: {heads}, {svg.number(w.width / w.heads)} numbers each"
            title += f", {w.position}" if w.position_in_attention else ""
            title += ", queries and keys normed" if w.qk_norm else ""
            picture = self.attention_picture(x, y, width, height)
        else:
            detail = w.activation
            title = f"Feed-forward: {w.width} → {w.ff_width} → {w.width}, {w.activation}"
            side = min(height - 10, 52)
            picture = glyphs.activation(x + width - 86, y + (height - side) / 2, 80, side, w.activation)
        return [
            svg.element("title", title),
            svg.rectangle(x, y, width, height, rx=7, class_="fill shape", style=self.fill(key)),
            svg.text(NAMES[name], x + 10, base, class_="title"),
            self.number(key, x + 10, base + 17, class_="number value"),
            svg.text(detail, x + 10, base + 32, class_="detail") if tall else "",
            picture,
        ]

    def attention_picture(self, x: float, y: float, width: float, height: float) -> Markup:
        """The heads as tiles; what enters in every attention box (a position encoding, QK-norm) at their right."""
        w = self.wiring
        right = x + width - 8
        signs = []
        middle = y + height / 2
        if w.position_in_attention:
            at = (right - 10, middle - (7 if w.qk_norm else 0), 8 if w.qk_norm else 9.5)
            sign = {"RoPE": glyphs.dial, "ALiBi": glyphs.ramp}.get(w.position)
            signs.append(sign(*at) if sign else glyphs.initial(w.position, *at))
        if w.qk_norm:
            shift = 10 if w.position_in_attention else 0
            signs.append(svg.group(glyphs.bead(right - 10, middle + shift, "RMSNorm", 4.5, 7), class_="on-box"))
        # The tiles keep their place whether or not something stands beside them, so that only what changed moves.
        return svg.join(glyphs.tiles(right - 78, y + 6, 51, height - 12, w.heads), *signs)

    def cell(self, key: str, name: str, cell: Branch) -> list[Markup]:
        """A branch in a compact row: a small sign and the value."""
        x, y, width, height = cell.box
        side = min(12.0, height - 6)
        top = y + (height - side) / 2
        if name == ATTENTION:
            sign = glyphs.tiles(x + 6, top, side + 2, side, min(4, self.wiring.heads))
        else:
            sign = self.small_curve(x + 6, top, side)
        return [
            svg.element("title", NAMES[name]),
            svg.rectangle(x, y, width, height, rx=5, class_="fill shape", style=self.fill(key)),
            sign,
            self.number(key, x + width - 8, y + height / 2 + 4, class_="number right"),
        ]

    def small_curve(self, x: float, top: float, side: float) -> Markup:
        """The activation's curve in a small square."""
        kind = ACTIVATIONS.look(self.wiring.activation)
        if not hasattr(kind, "curve"):
            return glyphs.initial(self.wiring.activation, x + side / 2, top + side / 2, side / 2)
        curve = kind.curve([t / 2 - 3 for t in range(13)])
        return svg.path(glyphs.polyline([(x + (side + 2) * t / 12, top + side - 2 - (side - 3) * float(value) / 3)
                                         for t, value in enumerate(curve)]), class_="stroke")

    # Ends of the road ----------------------------------------------------------------------------------------------

    def embedding(self) -> Markup:
        """Where characters become numbers, and where position joins if it joins here."""
        w = self.wiring
        parts = [
            self.part("embedding",
                      svg.rectangle(ROAD_X - 62, 8, 124, 26, rx=7, class_="end shape"),
                      svg.text("embedding", ROAD_X, 25.5, class_="title middle")),
            svg.text(f"{w.width} numbers a character", BOX_LEFT + 12, 25, class_="note"),
        ]
        if not w.position_in_attention:
            parts.append(self.position(52))
        return svg.join(*parts)

    def position(self, y: float) -> Markup:
        """What is added to the stream above layer 0; without any, an empty socket that nothing is plugged into."""
        w = self.wiring
        x, width, height = BOX_LEFT + 8, 130, 26
        box = {"x": x, "y": y - height / 2, "width": width, "height": height, "rx": 7}
        if not w.position_joins_stream:
            return self.part("position", svg.rectangle(**box, class_="socket shape"),
                             svg.text("no position", x + width / 2, y + 4, class_="note middle"), class_="empty")
        signs = {"Sinusoidal": glyphs.wave, "Learned": glyphs.table}
        sign = signs.get(w.position)
        picture = sign(x + 8, y - 8, 34, 16) if sign else glyphs.initial(w.position, x + 25, y, 8)
        return self.part(
            "position",
            svg.path(f"M{svg.number(x)} {svg.number(y)}H{svg.number(ROAD_X)}", class_="wire"),
            svg.group(glyphs.plus(ROAD_X, y, self.radius(True)), class_="sum"),
            svg.rectangle(**box, class_="end shape"),
            picture,
            svg.text(w.position, x + 50, y + 4, class_="title"),
        )

    def head(self) -> Markup:
        """The last stretch of road, the final norm, and the scores for the next character."""
        w, places = self.wiring, self.places
        top, end = self.road_top(w.layers), places.road_end
        parts = [self.road(2 * w.layers, top, end)]
        if w.has_final_norm:
            parts.append(self.bead("final_norm", ROAD_X, end - 14, 6, places.road / 2 + 6))
        parts += [
            self.part("head",
                      svg.rectangle(ROAD_X - 62, end, 124, 26, rx=7, class_="end shape"),
                      svg.text("next character", ROAD_X, end + 17.5, class_="title middle")),
            svg.text(f"a score for each of {w.vocabulary}", BOX_LEFT + 12, end + 17, class_="note"),
        ]
        if w.tied:
            x = 5
            parts.append(self.part("tie", svg.element("title", "Tied: one table reads characters in and scores them"),
                                   svg.path(f"M{ROAD_X - 62} 21H{x + 6}q-6 0 -6 6V{svg.number(end + 7)}q0 6 6 6"
                                            f"H{ROAD_X - 62}", class_="tie")))
        return svg.join(*parts)

    def legend(self) -> Markup:
        """What the colours mean, with the ends of their scale, and of which step they are."""
        y = self.places.height - LEGEND + 8
        low, high = MARGIN + 58, self.places.width - MARGIN - 58 - STEP
        width = high - low
        palette = diverging(self.theme) if self.statistic == RATIO else sequential(self.theme)
        samples = 48
        step = width / samples
        colours = [palette[k * (len(palette) - 1) // (samples - 1)] for k in range(samples)]
        bar = [svg.rectangle(low + k * step, y + 16, step + 0.4, 9, style=f"fill:{colour}")
               for k, colour in enumerate(colours)]
        return svg.group(
            svg.element("text", svg.element("tspan", STATISTICS[self.statistic], class_="strong"), " ",
                        EXPLANATIONS[self.statistic], x=MARGIN + 2, y=y + 7, class_="note"),
            *bar,
            svg.rectangle(low, y + 16, width, 9, class_="thin line"),
            svg.text(self.paint.low, low - 6, y + 24.5, class_="number end-low", data_end="low"),
            svg.text(self.paint.high, high + 6, y + 24.5, class_="number end-high", data_end="high"),
            svg.text(self.paint.step, self.places.width - MARGIN, y + 24.5, class_="number right", data_end="step"),
            class_="legend",
        )
