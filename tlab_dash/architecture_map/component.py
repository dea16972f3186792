"""The architecture map as a part of a page: it can be pressed, and it stays still while its numbers change."""

from __future__ import annotations

import param

from tlab_dash.architecture_map.colouring import paint
from tlab_dash.architecture_map.drawing import drawing
from tlab_dash.architecture_map.values import GRADIENT, RATIO, SIGNAL, STATISTICS, MapValues, Scale, widen
from tlab_dash.architecture_map.wiring import Wiring, changed_parts
from tlab_dash.component import STATIC, Component
from tlab_dash.theme import DARK, LIGHT


class ArchitectureMap(Component):
    """Shows an architecture; feed it with `update`, watch `pressed` to hear of a press on a layer.

    >>> from tlab_core import Architecture
    >>> shown = ArchitectureMap(statistic="signal")
    >>> shown.update(Architecture(num_layers=2))
    >>> shown.svg.count("data-layer=")
    2
    """

    statistic = param.Selector(default=GRADIENT, objects=list(STATISTICS), doc="What the colours and numbers say.")
    selected = param.Integer(default=None, allow_None=True, doc="The layer that is marked and never shrinks.")
    compact = param.Boolean(default=False, doc="Draw all layers but the selected one as rows, in a natural height.")
    dark = param.Boolean(default=False, doc="Which theme the computed colours are for.")
    drawing_height = param.Number(default=820, bounds=(300, None), doc="Pixels that the drawing is laid out for.")
    drawing_width = param.Number(default=344, bounds=(320, None), doc="Pixels that the drawing is laid out for.")

    pressed = param.Dict(default={}, doc="The newest press: its `layer`, and the `count` of presses so far.")
    svg = param.String(default="", doc="The drawing as it stood when its structure last changed.")
    paint = param.Dict(default={}, doc="Today's colours and numbers on that drawing.")
    swept = param.Dict(default={}, doc="The newest sweep: colours and numbers `down` and `up` again, the `count` so far.")

    _esm = STATIC / "architecture_map.js"
    _stylesheets = (
        ":host { display: block; } .tlab-map-holder { width: 100%; height: 100%; }"
        " .tlab-map-holder > svg { width: 100%; height: 100%; } .tlab-map-holder.natural > svg { height: auto; }",
    )

    def __init__(self, **params):
        self._architecture = None
        self._values: MapValues | None = None
        self._ghost: MapValues | None = None
        self._broken: str | None = None
        self._scales: dict[str, Scale | None] = {}
        self._structure: tuple | None = None
        super().__init__(**params)
        looks = ["statistic", "selected", "compact", "dark", "drawing_height", "drawing_width"]
        self.param.watch(lambda _: self._redraw(), looks)

    def on_press(self, layer: int) -> None:
        """Note a press on a layer, if there is such a one."""
        if self._architecture is not None and layer in range(self._architecture.num_layers):
            self.pressed = {"layer": int(layer), "count": self.pressed.get("count", 0) + 1}

    def update(
        self,
        architecture,
        values: MapValues | None = None,
        ghost_values: MapValues | None = None,
        broken: str | None = None,
        new_run: bool = False,
    ) -> None:
        """Show an architecture and its newest numbers. A new run (or another architecture) begins its own scale.

        `ghost_values` are the earlier run's at the same step; `broken` names the part with the first bad number.
        """
        changed: set[str] = set()
        rewired = self._architecture is None or Wiring.of(architecture) != Wiring.of(self._architecture)
        if rewired and self._architecture is not None:
            changed = changed_parts(self._architecture, architecture)
        if rewired or new_run:
            self._scales = {}
        self._architecture, self._values, self._ghost, self._broken = architecture, values, ghost_values, broken
        self._redraw(changed)

    def sweep(self) -> None:
        """Let the newest signal run down the drawing, and then the gradient up again, as in the step that gave them."""
        if self._values is None:
            return
        layers, theme = Wiring.of(self._architecture).layers, DARK if self.dark else LIGHT
        way = {}
        for name, statistic in (("down", SIGNAL), ("up", GRADIENT)):
            scale = self._scales[statistic] = widen(self._scales.get(statistic), self._values, statistic)
            way[name] = paint(layers, self._values, statistic, scale, theme=theme).to_dict()["parts"]
        self.swept = {"count": self.swept.get("count", 0) + 1, **way}

    def _redraw(self, changed: set[str] = frozenset()) -> None:
        if self._architecture is None:
            return
        wiring, theme = Wiring.of(self._architecture), DARK if self.dark else LIGHT
        selected = min(self.selected, wiring.layers - 1) if self.selected is not None else None
        scale = self._scales[self.statistic] = widen(self._scales.get(self.statistic), self._values, self.statistic)
        colours = paint(wiring.layers, self._values, self.statistic, scale, self._ghost, theme).to_dict()
        size = (self.drawing_height, self.drawing_width, self.compact)
        structure = (wiring, self.statistic, selected, self.dark, self._broken, size)
        if structure == self._structure:
            self.paint = colours
            return
        self._structure = structure
        svg = drawing(
            self._architecture,
            self._values,
            self.statistic,
            selected=selected,
            scale=scale,
            changed=changed,
            ghost_values=self._ghost,
            theme=theme,
            height=None if self.compact else self.drawing_height,
            width=self.drawing_width,
            compact=self.compact,
            broken=self._broken,
        )
        self.param.update(svg=svg, paint=colours)


def unavailable(statistic: str, values: MapValues | None, ghost_values: MapValues | None) -> str:
    """Why a statistic can't be shown now, in words for the person who would like to; empty when it can."""
    if values is None:
        return "Nothing has been measured yet."
    if statistic == RATIO and ghost_values is None:
        return "No ghost to compare with yet: train 50 steps, then turn a wiring knob."
    return ""
