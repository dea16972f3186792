"""Views that follow a run: `views.live(run, "loss")` in a cell, in a layout of Panel's, or on a page that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlab_dash.live_views import LiveViews


def live(run: Any, *shown: Any, ghost: Any = None, selection: Any = None, theme: Any = "light",
         selects: tuple[str, ...] | None = None, **chosen: Any) -> LiveViews:
    """Show views of a run side by side, live while it trains, with one selection: pick a head in one, the others follow.

    run        a LiveRun, a saved run, or a Trainer
    shown      names of views, such as "loss", "heads", "attention", or the views themselves; none is "loss"
    ghost      another run or Trainer to compare with
    selection  a Selection, which several rows may share; or in keywords what to begin with: `layer=1, head=3`
    theme      "light" or "dark", or a Theme
    selects    what can be chosen in labelled selects above the pictures: of "layer", "head", "position", "site", "matrix",
               "unit", the measures, "scale" and "order"; None chooses by what is shown

    >>> from tlab_core import LiveRun, default_experiment
    >>> row = live(LiveRun(default_experiment()), "heads", "attention", layer=1)
    >>> [view.title for view in row.views]
    ['Heads', 'Attention']
    """
    from tlab_dash.live_views import LiveViews  # which needs the views

    return LiveViews(run, *shown, ghost=ghost, selection=selection, theme=theme, selects=selects, **chosen)
