"""How much one matrix stretches what it is given, direction by direction."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look, matrix, measured
from tlab_dash.views.series import BEYOND, range_from_zero
from tlab_dash.views.view import Columns, Range, Table, View, empty
from tlab_dash.views.wording import whole_words

DIRECTION = hv.Dimension("direction", label="direction")
STRETCH = hv.Dimension("stretch", label="stretch")


def columns(run, selection, ghost=None) -> Columns:
    """Return the singular values of the chosen matrix, falling, now, at the start and of the ghost; where the effective
    rank lies among them."""
    parameter = selection.parameter(run)
    found, then = matrix.taken(run, parameter), matrix.taken(ghost, parameter) if ghost else None
    ranks = {} if found is None else {
        "now": float(found["effective_rank"]), "start": float(found["start_effective_rank"]),
        "of": found.sizes["component"],
    }
    marked = np.array([ranks["now"]] if np.isfinite(ranks.get("now", np.nan)) else [])
    return {
        "rank": {"direction": marked, "stretch": np.zeros(len(marked)), "end": marked, "top": np.full(len(marked), BEYOND)},
        "ghost": _values(then, "singular_value"),
        "start": _values(found, "start_singular_value"),
        "now": _values(found, "singular_value"),
        "facts": measured.told(run, selection, found, name=whole_words(parameter), **ranks),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: a strong line now, a thin one for the start, a dashed one for the ghost, the rank dotted."""
    c = columns

    def line(part: str, words: str, ink: str, width: float, **style) -> hv.Curve:
        return hv.Curve(c[part], DIRECTION, STRETCH, label=words).opts(
            color=ink, line_width=width, **style, backend="bokeh")

    return hv.Overlay([
        hv.Segments(c["rank"], [DIRECTION, STRETCH, "end", "top"], label="effective rank").opts(
            color=theme.muted, line_width=1.5, line_dash="dotted", backend="bokeh"),
        line("ghost", "ghost", theme.ghost, 2, line_dash="dashed"),
        line("start", "at the start", theme.residual, 1.5),
        line("now", "now", theme.attention, 2.5),
    ]).opts(**look.frame(
        theme, xlabel="direction, the most stretched first", ylabel="stretch (singular value)",
        yformatter=look.short_numbers(),
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every direction; from 0 to a little above the run's largest value."""
    parts = [columns[part] for part in ("now", "start", "ghost")]
    right = max((float(table["direction"][-1]) for table in parts if len(table["direction"])), default=1.0)
    return (0.0, max(right, 2.0)), range_from_zero(*(columns[part]["stretch"] for part in ("now", "start")))


def note(columns: Columns) -> str:
    """Say in how many directions the matrix works."""
    facts = columns["facts"]

    def say() -> str:
        name, now, start, of = (facts[part][0] for part in ("name", "now", "start", "of"))
        if of == 0:
            return f"{name} is one row of numbers, which has no directions."
        if not np.isfinite(now):
            return f"{name} has numbers that are not finite, or nothing but zeros."
        return f"{name}: effective rank {now:.0f} of {of}, {start:.0f} at the start."

    return measured.noted(facts, say)


def _values(found, variable: str) -> Table:
    if found is None:
        return empty("direction", "stretch")
    return {"direction": found["component"].values.astype(float), "stretch": found[variable].values.astype(float)}


singular_values = View(
    name="singular_values",
    title="In how many directions it works",
    caption="How much the matrix stretches each direction. A steep line means that few directions do the work.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "stretch"}},
    told=("facts",),
    note=note,
    needs=matrix.needs,
)
