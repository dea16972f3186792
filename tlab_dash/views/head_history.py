"""How the chosen head became what it is: its scores from the first step to the newest."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look, steps
from tlab_dash.views.names import apart
from tlab_dash.views.roles import SAYS, even_entropy
from tlab_dash.views.series import shown, step_range, thinned
from tlab_dash.views.view import Columns, Range, Table, View, empty, row

BOTTOM, TOP = -0.03, 1.04  # of the axis
ROOM = 1.34  # of the axis of steps, for names at the right
GAP = 0.08  # of the axis, between two names
# part: words, colour, style
LINES = {
    "entropy": ("even reading", "muted", {"line_dash": "dotted"}),
    "induction": ("after the same", "norm", {}),
    "first_token": ("first", "feed_forward", {}),
    "previous_token": ("previous", "attention", {}),
}
MOVED = 0.05  # a share that has changed by less has not moved


def columns(run, selection, ghost=None) -> Columns:
    """Return four shares of the chosen head at each look inside, and the one that is chosen as measure of the ghost's head.

    "entropy" is the entropy as a share of that of a head which reads everything alike.
    """
    layer, head, _ = selection.resolve(run)
    lines = {name: _line(run, name, layer, head) for name in LINES}
    measure = selection.head_measure_of(run)
    then = _line(ghost, measure, layer, head) if measure in LINES else empty("step", "share")
    record = row(run, "heads", selection.step)
    return {
        "ghost": then,
        **lines,
        "names": _names(lines, then),
        "shown": shown(selection, "share", BOTTOM),
        "told": {
            "name": np.array(list(SAYS), dtype=object),
            "start": np.array([_first(lines[name]) for name in SAYS]),
            "now": np.array([float(record[name][layer, head]) for name in SAYS]),
        },
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: four lines with their names, the ghost's dashed."""
    c = columns
    return hv.Overlay([
        steps.ghost(c["ghost"], "share", theme),
        *(steps.curve(c[part], "share", "", getattr(theme, ink), **style) for part, (_, ink, style) in LINES.items()),
        hv.Labels(c["names"], [steps.STEP, hv.Dimension("share")], "name").opts(
            **look.text(theme, text_color=theme.text), backend="bokeh"),
        steps.upright(c["shown"], "share", theme),
    ]).opts(**look.frame(theme, xlabel="step", ylabel="share of attention"), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all steps with room for names at the right; from nothing to all."""
    left, right = step_range(columns["ghost"], *(columns[part] for part in LINES))
    return (left, ROOM * right), (BOTTOM, TOP)


def note(columns: Columns) -> str:
    """Say which share has changed most since the first step."""
    told = columns["told"]
    change = np.abs(told["now"] - told["start"])
    if not np.isfinite(change).any():
        return ""
    most = int(np.nanargmax(change))
    if change[most] < MOVED:
        return f"None of its three shares has moved by {MOVED} since step 0{_evenness(columns['entropy']['share'])}."
    return f"Moved most: {SAYS[told['name'][most]]}, {told['start'][most]:.2f} at step 0, now {told['now'][most]:.2f}."


def _evenness(share: np.ndarray) -> str:
    if len(share) < 2 or abs(share[-1] - share[0]) < MOVED:
        return ""
    return f", but it reads {'more' if share[-1] > share[0] else 'less'} evenly: {share[0]:.2f} then, {share[-1]:.2f} now"


def _whole(run, name: str) -> float:
    return max(even_entropy(len(run.recorder.coordinates["query"])), 1e-6) if name == "entropy" else 1.0


def head_history_of(run, measure: str, layer: int, head: int, name: str) -> Table:
    """Return what is finite of one measure of one head over steps, as columns "step" and `name`; of a run that has no such
    head, or where there is no run (None), nothing."""
    if run is None or layer >= len(run.recorder.coordinates["layer"]) or head >= len(run.recorder.coordinates["head"]):
        return empty("step", name)
    found = run.recorder.group("heads").variables
    sizes = found[measure][:, layer, head].values.astype(float)
    there = np.isfinite(sizes)
    return thinned(found["step"].values[there], sizes[there], name)


def _line(run, measure: str, layer: int, head: int) -> Table:
    table = head_history_of(run, measure, layer, head, "share")
    return table | {"share": table["share"] / _whole(run, measure)} if len(table["step"]) else table


def _first(table: Table) -> float:
    return float(table["share"][0]) if len(table["share"]) else np.nan


def _names(lines: Columns, ghost: Table) -> Table:
    ends = {words: lines[part] for part, (words, _, _) in LINES.items()} | {"ghost": ghost}
    ends = {words: table for words, table in ends.items() if len(table["step"])}
    last = max((float(table["step"][-1]) for table in ends.values()), default=0.0)
    heights = np.array([table["share"][-1] for table in ends.values()], dtype=float)
    return {
        "step": np.full(len(ends), last), "share": apart(heights, GAP, TOP - GAP / 2),
        "name": np.array([f"  {words}" for words in ends], dtype=object),
    }


head_history = View(
    name="head_history",
    title="One head through time",
    heading="Layer {layer}, head {head} through time",
    caption="How much the chosen head reads each place. A line that jumps up is a head finding its job.",
    columns=columns,
    draw=draw,
    limits=limits,
    told=("told",),
    note=note,
)
