"""How many feed-forward units are switched off in each layer, for good or for the moment."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import NumeralTickFormatter

from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.view import Columns, Range, Table, View, empty, ghost_step, row

LAYER = hv.Dimension("layer", label="layer")
SHARE = hv.Dimension("share", label="share of units")
KINDS = {"saturated": "saturated_share", "dead": "dead_share"}


def columns(run, selection, ghost=None) -> Columns:
    """Return the share of dead and of saturated units by layer, of the run and of the ghost at the same step."""
    now = {part: _shares(run, selection.step, part) for part in KINDS}
    then = {part: _shares(ghost, ghost_step(run, selection), part) if ghost else empty("layer", "share") for part in KINDS}
    layer = float(selection.resolve(run)[0])
    return {
        "layers": {"layer": run.recorder.coordinates["layer"]},
        "chosen": {
            "left": np.array([layer - 0.5]), "bottom": np.array([-0.1]),
            "right": np.array([layer + 0.5]), "top": np.array([1.2]),
        },
        **{f"ghost_{part}": table for part, table in then.items()},
        **{f"{part}_line": table for part, table in now.items()},
        **now,
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: squares for what is off at the moment, dots for what is off everywhere, grey for the ghost."""
    c = columns
    looks = {"saturated": ("off on average", theme.norm, "square", "dotted"),
             "dead": ("dead", theme.feed_forward, "circle", "solid")}
    return hv.Overlay([
        hv.Rectangles(c["chosen"], ["left", "bottom", "right", "top"]).opts(
            color=theme.accent, fill_alpha=0.12, line_alpha=0, backend="bokeh"),
        *(hv.Points(c[f"ghost_{part}"], [LAYER, SHARE], label="ghost").opts(
            fill_alpha=0, line_color=theme.ghost, line_width=1.5, size=12, marker=marker, backend="bokeh")
          for part, (_, _, marker, _) in looks.items()),
        *(hv.Curve(c[f"{part}_line"], LAYER, SHARE).opts(color=ink, line_width=1.5, line_dash=dash, backend="bokeh")
          for part, (_, ink, _, dash) in looks.items()),
        *(hv.Points(c[part], [LAYER, SHARE], label=words).opts(color=ink, marker=marker, size=8, backend="bokeh")
          for part, (words, ink, marker, _) in looks.items()),
    ]).opts(**look.frame(
        theme, xlabel="layer", ylabel="share of units", yformatter=NumeralTickFormatter(format="0.[0]%"),
        xticks=[(int(layer), str(layer)) for layer in c["layers"]["layer"]],
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every layer; from 0 to a little above the largest share, at least a twentieth."""
    shares = np.concatenate([columns[part]["share"] for kind in KINDS for part in (kind, f"ghost_{kind}")])
    top = max(0.05, 1.15 * float(shares[np.isfinite(shares)].max(initial=0.0)))
    return (-0.5, len(columns["layers"]["layer"]) - 0.5), (-top / 20, top)


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap chooses the layer."""
    layer = int(np.floor(x + 0.5))
    return {"layer": layer} if 0 <= layer < len(columns["layers"]["layer"]) else None


def note(columns: Columns) -> str:
    """Name the layer with most dead units."""
    dead = columns["dead"]
    measured = np.flatnonzero(np.isfinite(dead["share"]))
    if not len(measured):
        return ""
    worst = measured[np.argmax(dead["share"][measured])]
    if dead["share"][worst] == 0:
        return "No unit is dead."
    return f"Layer {dead['layer'][worst]:.0f} has most dead units: {dead['share'][worst]:.1%}."


def _shares(run, step: int | None, part: str) -> Table:
    share = row(run, "layers", step)[KINDS[part]].astype(float)
    return {"layer": np.arange(len(share), dtype=float), "share": share}


unit_shares = View(
    name="unit_shares",
    title="Units switched off",
    caption="A dead unit passes no gradient at any character, so it can't learn. Look for layers with many.",
    columns=columns,
    draw=draw,
    limits=limits,
    fixed=("layers",),
    pick=pick,
    note=note,
)
