"""A statistic of one's own through time: a line a layer, and the chosen layer's or head's on top."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_core.own_statistics import OVER
from tlab_core.schema import GROUPS
from tlab_dash.theme import Theme
from tlab_dash.views import layer_lines
from tlab_dash.views.head_grid import short
from tlab_dash.views.series import BEYOND, shown, thinned
from tlab_dash.views.view import Columns, Range, Table, View, empty, row

NONE = "This run records no statistic of your own: define one with `@statistic`, then begin a new run."


def own_statistics(run) -> dict[str, str]:
    """Return the group of each statistic of one's own that a run records, by name."""
    return {name: group for group in OVER.values() for name in run.recorder.group(group).data_vars
            if name not in GROUPS[group].variables}  # fmt: skip


def words_of(run, name: str) -> str:
    """Return what a run's statistic is called, and its unit."""
    about = run.recorder.group(own_statistics(run)[name]).variables[name].attrs
    return about["long_name"] + (f" ({about['units']})" if about["units"] not in ("", "1") else "")


def chosen_statistic(run, selection) -> str:
    """Return the chosen statistic where the run records it, else the first that it does; empty where there is none."""
    known = own_statistics(run)
    return selection.own_statistic if selection.own_statistic in known else next(iter(known), "")


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen statistic over steps: of each layer (the mean of its heads) as segments, of the chosen layer or
    head, and of the ghost's, as curves."""
    layer, head, _ = selection.resolve(run)
    name = chosen_statistic(run, selection)
    found = {
        "layers": {"layer": run.recorder.coordinates["layer"]},
        "measure": {"words": np.array([words_of(run, name) if name else ""], dtype=object)},
        "lines": empty("step", "size", "end", "top", "layer"), "ghost": empty("step", "size"),
        "chosen": empty("step", "size"), "names": {**empty("step", "size"), "name": np.empty(0, dtype=object)},
        "shown": shown(selection, "size", -BEYOND),
        "told": {"words": np.array([NONE], dtype=object)},
    }
    if not name:
        return found
    group = own_statistics(run)[name]
    by_head = group == "heads"
    step, sizes = layer_lines.sampled(run, group, name)
    with np.errstate(invalid="ignore"):
        by_layer = sizes.mean(axis=2, dtype=float) if by_head else sizes.astype(float)
    chosen = _line(run, group, name, layer, head)
    found |= {"lines": layer_lines.segments(step, by_layer), "chosen": chosen,
              "ghost": _line(ghost, group, name, layer, head)}  # fmt: skip
    bottom, top = _up(found)
    found["names"] = layer_lines.names(step[-1], by_layer[-1], chosen, layer, layer_lines.GAP * (top - bottom), by_head)
    now = np.asarray(row(run, group, selection.step)[name])[(layer, head) if by_head else layer]
    found["told"] = {"words": np.array([_told(run, layer, head if by_head else None, chosen, float(now))], dtype=object)}
    return found


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: a thin line a layer in its colour, the chosen one bold, the ghost's dashed."""
    return layer_lines.draw(columns, theme, "the chosen one", ("it", "@size{0.0000}"))


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all steps with room for names at the right; all sizes of the run."""
    return layer_lines.across(columns), _up(columns)


def _told(run, layer: int, head: int | None, chosen: Table, now: float) -> str:
    """Say what the chosen layer's or head's number was at first and is now, or why there is none."""
    who = f"Layer {layer}" if head is None else f"Layer {layer}, head {head}"
    if not len(chosen["size"]):
        return f"{who}: it could not be worked out for this model. A site that it reads may not be there."
    if not np.isfinite(now):
        return f"{who}: {short(chosen['size'][0])} at step {int(chosen['step'][0]):,}; now it can't be worked out."
    return f"{who}: {short(chosen['size'][0])} at step {int(chosen['step'][0]):,}, now {short(now)}."


def _line(run, group: str, name: str, layer: int, head: int) -> Table:
    """Return what is finite of the statistic of one layer, or head, over steps; nothing where there is no such thing."""
    if run is None or own_statistics(run).get(name) != group:
        return empty("step", "size")
    found = run.recorder.group(group).variables
    place = (layer, head) if group == "heads" else (layer,)
    if any(index >= count for index, count in zip(place, found[name].shape[1:], strict=True)):
        return empty("step", "size")
    sizes = found[name][(slice(None), *place)].values.astype(float)
    there = np.isfinite(sizes)
    return thinned(found["step"].values[there], sizes[there], "size")


def _up(columns: Columns) -> Range:
    lines = columns["lines"]
    sizes = np.concatenate([lines["size"], lines["top"], columns["chosen"]["size"]])
    sizes = sizes[np.isfinite(sizes)]
    low, high = (float(sizes.min()), float(sizes.max())) if len(sizes) else (0.0, 1.0)
    spare = 0.08 * (high - low) or max(0.1 * abs(high), 1e-6)
    return low - spare, high + spare


own_statistic = View(
    name="own_statistic",
    title="A statistic of your own",
    caption="A thin line a layer; for a statistic of heads, their mean. Bold: the chosen layer or head.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "size"}},
    warning=lambda columns: "" if columns["measure"]["words"][0] else "This run records no statistic of your own.",
    fixed=("layers", "measure"),
    told=("told",),
    note=lambda columns: str(columns["told"]["words"][0]),
)
