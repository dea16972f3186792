"""The units of one feed-forward layer: which of them vary, or which are active at one character."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from tlab_dash.surprise import named
from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.measured import noted, number, told
from tlab_dash.views.view import Columns, Range, Table, View, analysis, empty

RANK = hv.Dimension("rank", label="unit, sorted")
SIZE = hv.Dimension("size", label="activation")
WORDS = {"spread": "how much it varies (std)", "character": "activation at the character"}


def neuron_needs(run, selection) -> dict[str, dict]:
    """Return the analysis of the chosen layer, unit and character, with each within what `run` has."""
    layer, _, position = selection.resolve(run)
    return {"neuron": {"layer": layer, "unit": selection.unit_of(run), "position": position}}


def neuron_of(run, selection):
    """Return what was measured of the chosen unit, None until it is."""
    return analysis(run, "neuron", neuron_needs(run, selection)["neuron"])


def columns(run, selection, ghost=None) -> Columns:
    """Return a stem a unit, the largest first, by the chosen order; the chosen unit; the ghost's units in its own order."""
    found = neuron_of(run, selection)
    stems = _sorted(found, selection.order)
    then = _sorted(neuron_of(ghost, selection), selection.order) if ghost else _sorted(None, selection.order)
    at = np.flatnonzero(stems["unit"] == found.attrs["unit"]) if found is not None else np.array([], int)
    chosen = {name: stems[name][at] for name in ("rank", "size")}
    character = named(run.probe_tokens[found.attrs["position"]]) if found is not None else ""
    return {
        "order": {"order": np.array([selection.order], dtype=object)},
        "stems": stems,
        "ghost": {name: then[name] for name in ("rank", "size")},
        "chosen": chosen,
        "name": chosen | {"name": np.array([f"   unit {unit}" for unit in stems["unit"][at]], dtype=object)},
        "told": told(run, selection, found, character=character),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: stems, the ghost's dashed outline, a dot with its number at the chosen unit."""
    c = columns
    hover = HoverTool(tooltips=[("unit", "@unit"), ("size", "@size{0.000}")], point_policy="follow_mouse")
    return hv.Overlay([
        hv.Segments(c["stems"], [RANK, SIZE, "end", "foot"], "unit").opts(
            color=theme.feed_forward, alpha=0.6, line_width=2, tools=[hover], backend="bokeh"),
        hv.Curve(c["ghost"], RANK, SIZE, label="ghost").opts(
            color=theme.ghost, line_width=2, line_dash="dashed", backend="bokeh"),
        hv.Points(c["chosen"], [RANK, SIZE]).opts(color=theme.accent, size=9, backend="bokeh"),
        hv.Labels(c["name"], [RANK, SIZE], "name").opts(
            **look.text(theme, text_color=theme.text, text_baseline="bottom"), backend="bokeh"),
    ]).opts(**look.frame(theme, xlabel="units, sorted", ylabel=WORDS[c["order"]["order"][0]], xticks=5), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all units, and from the run's smallest size (0 where none is below) to the largest."""
    sizes = columns["stems"]["size"]
    sizes = sizes[np.isfinite(sizes)]
    low, high = float(sizes.min(initial=0.0)), float(sizes.max(initial=0.0))
    if low == high:
        high = low + 1.0
    room = 0.1 * (high - low)
    count = max(len(columns["stems"]["size"]), len(columns["ghost"]["size"]), 1)
    return (-0.02 * count - 0.5, 1.02 * count - 0.5), (low - room if low < 0 else 0.0, high + room)


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap chooses the unit whose stem is nearest."""
    units = columns["stems"]["unit"]
    rank = round(x)
    return {"unit": int(units[rank])} if 0 <= rank < len(units) else None


def note(columns: Columns) -> str:
    """Return which unit is first, and where the chosen one stands."""
    stems, character = columns["stems"], columns["told"]["character"][0]

    def say():
        sizes, count = stems["size"], len(stems["unit"])
        if not np.isfinite(sizes[0]):
            return "The units' numbers are no longer finite."
        first = f"Unit {stems['unit'][0]}"
        if columns["order"]["order"][0] == "spread":
            said = f"{first} of {count:,} varies most ({number(sizes[0])})"
        else:
            said = f"{first} of {count:,} is the most active at {character} ({number(sizes[0])})"
        rank = int(columns["chosen"]["rank"][0])
        return f"{said}; the chosen one is number {rank + 1:,} ({number(sizes[rank])})." if rank else f"{said}."

    return noted(columns["told"], say)


def _sorted(found, order: str) -> Table:
    """Return the units with the largest first, those that are not finite last, each as a line up from zero."""
    if found is None:
        return empty("rank", "size", "end", "foot") | {"unit": np.empty(0, int)}
    sizes = found["unit_std" if order == "spread" else "unit_at_position"].values.astype(float)
    units = np.argsort(-np.where(np.isfinite(sizes), sizes, -np.inf), kind="stable")
    rank = np.arange(len(units), dtype=float)
    return {"rank": rank, "size": sizes[units], "end": rank, "foot": np.zeros(len(units)), "unit": units}


units = View(
    name="units",
    title="Units of the layer",
    heading="Units of layer {layer}",
    caption="Each line is one feed-forward unit. Choose one to see what excites it.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "size"}},
    fixed=("order",),
    told=("told",),
    pick=pick,
    note=note,
    needs=neuron_needs,
)
