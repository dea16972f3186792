"""How large match scores are, and the vectors they are made of, in every head."""

from __future__ import annotations

import numpy as np

from tlab_dash.views import head_grid
from tlab_dash.views.head_grid import short
from tlab_dash.views.view import Columns, View, row
from tlab_dash.views.wording import QK_MEASURE_WORDS


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen measure of all heads, see `head_grid`, and where it is largest."""
    measure = selection.qk_measure
    sizes = row(run, "heads", selection.step)[measure].astype(float)
    return head_grid.grid(run, selection, measure, QK_MEASURE_WORDS[measure]) | {
        "told": {"measure": np.array([QK_MEASURE_WORDS[measure]], dtype=object), "size": sizes},
    }


def note(columns: Columns) -> str:
    """Say in which head the measure is largest."""
    told = columns["told"]
    sizes = np.where(np.isfinite(told["size"]), told["size"], -np.inf)
    if not np.isfinite(sizes).any():
        return "The scores are no longer finite."
    layer, head = np.unravel_index(np.argmax(sizes), sizes.shape)
    words = told["measure"][0]
    return f"{words[0].upper()}{words[1:]}: highest in layer {layer}, head {head}, with {short(sizes[layer, head])}."


qk_scores = View(
    name="qk_scores",
    title="Match scores, all heads",
    caption="The chosen measure, a row a layer, a column a head. Look for one far above the rest.",
    columns=columns,
    draw=head_grid.draw,
    limits=head_grid.limits,
    fixed=("measure", "scale"),
    told=("told",),
    pick=head_grid.pick,
    note=note,
)
