"""Where the page looks: the breadcrumb "Layer 2 › Head 3 › “e”", and the probe text shaded by what that head reads."""

from __future__ import annotations

import param

from tlab_dash import views
from tlab_dash.component import STATIC, Component
from tlab_dash.selection import sizes
from tlab_dash.session import Session
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views.tokens import visible

FOLLOWING = "Following the liveliest head"


class Breadcrumb(Component):
    """Layer, head and character as three selects that share the session's selection."""

    trail = param.Dict(default={}, doc="The options of each select, where each stands, whether it is pinned, a note.")

    _esm = STATIC / "breadcrumb.js"

    def __init__(self, session: Session, **params):
        super().__init__(trail=trail(session), sizing_mode="stretch_width", **params)
        self._session = session

    def refresh(self) -> None:
        """Show what is selected now."""
        self.trail = trail(self._session)

    def on_layer(self, layer: int) -> None:
        """Pin a layer."""
        self._choose(layer=layer)

    def on_head(self, head: int) -> None:
        """Pin a head."""
        self._choose(head=head)

    def on_position(self, position: int) -> None:
        """Pin a character of the probe text."""
        self._choose(position=position)

    def on_release(self, _) -> None:
        """Follow the liveliest head again."""
        self._session.selection.release()

    def _choose(self, **chosen: int) -> None:
        if self._session.run is not None:
            self._session.selection.choose(self._session.run, **{part: int(value) for part, value in chosen.items()})


class Probe(Component):
    """The probe text of the session's run; a click on a character chooses it."""

    markup = param.String(default="", doc="The text as escaped HTML.")

    _esm = STATIC / "probe.js"

    def __init__(self, session: Session, theme: Theme = LIGHT, **params):
        super().__init__(sizing_mode="stretch_width", **params)
        self._session = session
        self.theme = theme
        self.refresh()

    def refresh(self) -> None:
        """Show the shading as it is now."""
        run = self._session.run
        self.markup = "" if run is None else views.probe_text(run, self._session.selection, self.theme)

    def on_position(self, position: int) -> None:
        """Pin a character."""
        if self._session.run is not None:
            self._session.selection.choose(self._session.run, position=int(position))


def trail(session: Session) -> dict:
    """Return what the breadcrumb shows; options are empty until there is a run."""
    run, selection = session.run, session.selection
    if run is None:
        return {"options": {"layer": [], "head": [], "position": []}, "at": {}, "pinned": False, "note": ""}
    layers, heads, positions = sizes(run)
    layer, head, position = selection.resolve(run)
    return {
        "options": {
            "layer": [str(i) for i in range(layers)],
            "head": [str(i) for i in range(heads)],
            "position": [f"“{visible(token)}” at {i}" for i, token in enumerate(run.probe_tokens[:positions])],
        },
        "at": {"layer": layer, "head": head, "position": position},
        "pinned": selection.pinned,
        "note": "" if selection.pinned else FOLLOWING,
    }
