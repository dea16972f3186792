"""How strongly every place is told to change: the gradient's size on the stream and behind each part."""

from __future__ import annotations

import holoviews as hv

from tlab_dash.theme import Theme
from tlab_dash.views import by_place
from tlab_dash.views.view import Columns, View


def columns(run, selection, ghost=None) -> Columns:
    """Return the RMS of the loss's gradient at each place; see `by_place`."""
    return by_place.by_place(run, selection, ghost, "rms", "gradient_")


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay; see `by_place`."""
    return by_place.draw(columns, theme, "gradient, nats per unit")


gradient_places = View(
    name="gradient_places",
    title="Gradient at every place",
    caption="How strongly each place is told to change. The gradient travels from the last layer to the first.",
    columns=columns,
    draw=draw,
    limits=by_place.limits,
    ghosts=by_place.GHOSTS,
    log=by_place.log,
    fixed=("layers", "measure"),
    pick=by_place.pick,
)
