"""How large the signal is at every place that it passes: on the stream, behind each norm, attention and feed-forward."""

from __future__ import annotations

import holoviews as hv

from tlab_dash.theme import Theme
from tlab_dash.views import by_place
from tlab_dash.views.view import Columns, View


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen measure of the signal at each place; see `by_place`."""
    return by_place.by_place(run, selection, ghost, selection.measure)


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay; see `by_place`."""
    return by_place.draw(columns, theme, "signal")


signal_places = View(
    name="signal_places",
    title="Signal at every place",
    caption="Circles: the stream. Other marks: what norm, attention and feed-forward put out.",
    columns=columns,
    draw=draw,
    limits=by_place.limits,
    ghosts=by_place.GHOSTS,
    log=by_place.log,
    fixed=("layers", "measure"),
    pick=by_place.pick,
)
