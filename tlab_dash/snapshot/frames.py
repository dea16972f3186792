"""What a run shows at one recorded step: the columns of every picture, for every layer and head it can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tlab_dash import views
from tlab_dash.architecture_map import Scale, map_values, paint
from tlab_dash.architecture_map.values import GRADIENT
from tlab_dash.selection import Selection, sizes
from tlab_dash.snapshot.quantise import quantised
from tlab_dash.snapshot.remarks import of_map, remark
from tlab_dash.views.view import Columns, Table, View, row


@dataclass(frozen=True)
class Shown:
    """A view in a snapshot.

    varies    what its columns change with, beside the step
    picks     what a click or an arrow key chooses there
    together  whether runs that stand side by side share their axes
    far       along which axis, 0 across or 1 up, a run may lie so far off that it gets axes of its own, and from how many
              times the length of the others' (on a logarithmic axis: their powers of ten) on
    """

    view: View
    varies: tuple[str, ...] = ()
    picks: str = ""
    together: bool = True
    far: tuple[int, float] | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """What a run must have for there to be a picture; where a layer is picked, all layers are on it."""
        if self.picks == "layer":
            return ()
        return ("layer", "head") if self.picks == "position" else self.varies


# In the order of looking closer: the run, a layer, its heads, one of them.
SHOWN = (
    Shown(views.loss),
    Shown(views.signal, ("layer",), "layer", far=(1, 10)),
    Shown(views.heads, ("layer",), "head", together=False),
    Shown(views.attention, (), "position", together=False),
    Shown(views.layer_statistics, ("layer",), together=False),
    Shown(views.qk, ("layer", "head"), far=(0, 50)),
)
# What the page works out by itself, from the weights and from what is chosen.
WORKED_OUT = {"heads": ("chosen",), "attention": ("row",)}


@dataclass
class Frame:
    """One run at one step.

    tables   by view, then by "layer,head" as far as the view changes with them: limits, note and the parts' columns
    weights  attention as bytes (layer · head, pairs)
    paint    the map's colours and numbers, and a note
    """

    step: int
    weights: np.ndarray
    paint: dict[str, Any]
    tables: dict[str, dict[str, Picture]] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """One view at one step, for one layer and head."""

    limits: tuple
    note: str
    parts: Columns


def frame(run, step: int, scale: Scale | None) -> Frame:
    """Read what `run` had recorded at `step`; `scale` is that of the map's colours."""
    layers, _, _ = sizes(run)
    values = map_values(run, step)
    painted = paint(layers, values, GRADIENT, scale).to_dict() | {"note": of_map(values.gradient)}
    read = Frame(step, quantised(row(run, "attention", step)["weight"]), painted)
    for shown in SHOWN:
        read.tables[shown.view.name] = {key: _picture(shown.view, run, selection)
                                        for key, selection in _selections(run, shown, step)}  # fmt: skip
    return read


def steps_of(run) -> np.ndarray:
    """Return the steps at which the run's attention is on record, from 0 on."""
    return run.recorder.group("attention").variables["step"].values


def _selections(run, shown: Shown, step: int) -> Iterator[tuple[str, Selection]]:
    layers, heads, _ = sizes(run)
    for layer in range(layers if "layer" in shown.varies else 1):
        for head in range(heads if "head" in shown.varies else 1):
            key = ",".join(str({"layer": layer, "head": head}[name]) for name in shown.varies)
            yield key, Selection(layer=layer, head=head, step=step, pinned=True)


def _picture(view: View, run, selection: Selection) -> Picture:
    columns = view.columns(run, selection)
    parts = {part: columns[part] for part in view.drawn(columns)
             if part not in WORKED_OUT.get(view.name, ()) and not _is_image(columns[part])}  # fmt: skip
    limits = view.limits(columns)
    notes = (view.note(columns) if view.note else "", remark(view.name, columns, limits))
    return Picture(limits, " ".join(filter(None, notes)), parts)


def _is_image(table: Table) -> bool:
    return any(column.ndim == 2 for column in table.values())
