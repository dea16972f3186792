"""A picture that someone has defined: those that no page shows, one at a time."""

from __future__ import annotations

import panel as pn

from tlab_core.extensions import origin
from tlab_dash.live import LivePlot
from tlab_dash.session import Session
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views.guarded import ViewError
from tlab_dash.views.view import VIEWS, View

SAID = "pre { color: var(--tlab-muted); font: inherit; margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }"
NOTHING = "There is no picture of your own yet: a View of yours is shown here."


def own_views() -> dict[str, View]:
    """Return the views that are not the lab's own, by name."""
    return {name: view for name, view in VIEWS.items() if origin(view) is not None}


def chosen_view(selection) -> View | None:
    """Return the view that is chosen, or the first; None where there is none."""
    known = own_views()
    return known.get(selection.own_view) or next(iter(known.values()), None)


def needs(run, selection) -> dict[str, dict]:
    """Return the analyses that the chosen view has to be taken."""
    view = chosen_view(selection)
    return view.needs(run, selection) if view is not None and view.needs is not None else {}


class OwnPicture(pn.viewable.Viewer):
    """The chosen view of one's own, of a session's run."""

    title = "A picture of your own"
    caption = "A View that you, or a package, have defined. The select above has them all."
    needs = staticmethod(needs)

    def __init__(self, session: Session, theme: Theme = LIGHT):
        super().__init__()
        self._session, self._theme = session, theme
        self._box = pn.Column(sizing_mode="stretch_both", margin=0)
        self._plot: LivePlot | None = None
        self.refresh()

    def __panel__(self):
        return self._box

    def refresh(self) -> None:
        """Show the chosen view and the run's present state; an error of a view stands in its place."""
        view = chosen_view(self._session.selection)
        try:
            if view is None:
                self._say(NOTHING)
            elif self._plot is None or self._plot.view is not view:
                self._plot = LivePlot(view, self._session, self._theme)
                self._box.objects = [self._plot.pane]
            else:
                self._plot.refresh()
        except ViewError as error:
            self._say(f"{str(error)[:1].upper()}{str(error)[1:]}")
        except Exception as error:  # whatever someone's view does: the page goes on
            self._say(f"The view {view.name!r} could not be drawn: {type(error).__name__}: {error}")

    def dress(self, theme: Theme) -> None:
        """Draw it in the colours of a theme."""
        self._theme = theme
        if self._plot is not None:
            self._plot.dress(theme)

    def _say(self, words: str) -> None:
        self._plot = None
        self._box.objects = [pn.pane.Str(words, stylesheets=[SAID], sizing_mode="stretch_width", margin=10)]
