"""Where things stand on the map, in its own pixels: the road goes down the left, boxes stand on side roads at its right."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tlab_dash.architecture_map.wiring import ON_ROAD, Wiring

MARGIN = 8
ROAD_X = 92  # left of it: the layer's number and the stream's values
BOX_LEFT = 150  # between: the side road with its beads

HEADER = 76  # embedding and position
FOOTER = 74  # final norm and head
LEGEND = 48
STEP = 60  # beside the legend's scale: of which step the colours are

FULL_UP_TO = 6  # layers; beyond, those not selected shrink to rows
FULL_LEAST, FULL_MOST = 94, 196
ROW_LEAST, ROW_USUAL, ROW_MOST = 17, 32, 48
PHONE_ROW = 44
GAP_MOST = 60  # what the road stretches by between layers when there is room


@dataclass(frozen=True)
class Branch:
    """One side road: it leaves at `fork`, passes the box and rejoins at `join`; `on_road` is the place of a norm there."""

    box: tuple[float, float, float, float]  # x, y, width, height
    fork: float
    join: float
    on_road: float


@dataclass(frozen=True)
class Row:
    """One layer's band. A full one has two branches; a compact one has a single side road with two small boxes on it."""

    layer: int
    top: float
    height: float
    full: bool

    @property
    def bottom(self) -> float:
        return self.top + self.height


@dataclass(frozen=True)
class Layout:
    """All places of one drawing."""

    wiring: Wiring
    width: float
    height: float
    rows: tuple[Row, ...]
    gap: float

    @property
    def road(self) -> float:
        """The road's thickness: 4 px more for each doubling of the width, 12 at 128."""
        return min(24.0, max(6.0, 12 + 4 * math.log2(self.wiring.width / 128)))

    @property
    def right(self) -> float:
        return self.width - MARGIN - 2

    @property
    def road_end(self) -> float:
        """Where the road reaches the head box."""
        return self.rows[-1].bottom + self.gap + (34 if self.wiring.has_final_norm else 22)

    def branches(self, row: Row) -> tuple[Branch, Branch]:
        """The two side roads of a full row, attention first."""
        half = (row.height - 8) / 2
        return self._branch(row.top + 3, half), self._branch(row.top + 3 + half, half)

    def _branch(self, top: float, height: float) -> Branch:
        box = (BOX_LEFT, top + 4, self.right - BOX_LEFT, height - 8)
        on_road = ON_ROAD in self.wiring.norms
        fork = box[1] + 0.24 * box[3]
        join = box[1] + (0.6 if on_road else 0.76) * box[3]
        return Branch(box, fork, join, on_road=max(join + 18, box[1] + 0.9 * box[3]))

    def cells(self, row: Row) -> tuple[Branch, Branch]:
        """The two small boxes of a compact row; both lie on one side road."""
        height = min(26.0, row.height - 5)
        y = row.top + (row.height - height) / 2
        width = (self.right - BOX_LEFT - 8) / 2
        on_road = ON_ROAD in self.wiring.norms
        fork = row.top + row.height * (0.24 if on_road else 0.3)
        join = row.top + row.height * (0.5 if on_road else 0.7)
        lefts = (BOX_LEFT, BOX_LEFT + width + 8)
        return tuple(Branch((x, y, width, height), fork, join, row.top + row.height * 0.8) for x in lefts)


def layout(
    wiring: Wiring, width: float, height: float | None, selected: int | None = None, compact: bool = False
) -> Layout:
    """Share out the height: up to 6 layers are drawn in full; beyond, and in a `compact` map, only the selected one.

    Rows shrink to 32 px and, if that is not enough, as far as 17. With more layers than that, or with no height given,
    the drawing takes what it needs, and the page scales it.
    """
    n = wiring.layers
    fixed = HEADER + FOOTER + LEGEND
    all_full = n <= FULL_UP_TO and not compact and (height is None or height - fixed >= n * FULL_LEAST)
    full = [all_full or layer == selected for layer in range(n)]
    fulls, smalls = sum(full), n - sum(full)
    if height is None:
        row_height, full_height = PHONE_ROW, 120
        height = fixed + fulls * full_height + smalls * row_height
    else:
        room = height - fixed
        full_height = min(FULL_MOST, max(FULL_LEAST, (room - ROW_USUAL * smalls) / max(1, fulls)))
        row_height = min(ROW_MOST, max(ROW_LEAST, (room - fulls * full_height) / smalls)) if smalls else 0
        height = max(height, fixed + fulls * full_height + smalls * row_height)
    spare = height - fixed - fulls * full_height - smalls * row_height
    gap = min(GAP_MOST, spare / (n + 1))
    rows, top = [], HEADER + gap
    for layer in range(n):
        rows.append(Row(layer, top, full_height if full[layer] else row_height, full[layer]))
        top = rows[-1].bottom + gap
    return Layout(wiring, width, height, tuple(rows), gap)
