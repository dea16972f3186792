"""The page for whom the lab has no place: where one stands in the line, until the lab opens by itself."""

from __future__ import annotations

import panel as pn
import param

from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.limits import PLACES, TOKEN
from tlab_dash.theme import css_variables

LOOK_MS = 1000
WAITING_STYLE = (STATIC / "waiting.css").read_text(encoding="utf-8")


class WaitingRoom(Component):
    """The page of somebody who waits for one of the `places`."""

    line = param.Dict(default={}, doc="What is said: full, before, and hint; see `words`.")
    token = param.String(default=TOKEN, constant=True, doc="The name under which the address brings a token along.")
    colours = param.String(default=css_variables(), doc="The theme's custom properties as css.")

    _esm = STATIC / "waiting.js"
    _stylesheets = [STYLE, WAITING_STYLE]

    def __init__(self, places: int, **params):
        super().__init__(line=words(len(PLACES), 0), sizing_mode="stretch_width", **params)
        self._places = places
        self._token = ""

    def servable(self, *args, **keywords):
        """Serve this as the page of the session; its place in the line is from when its browser has come."""
        pn.state.onload(self._come)
        pn.state.on_session_destroyed(lambda context: PLACES.leave(self))
        return super().servable(*args, **keywords)

    def _come(self) -> None:
        PLACES.wait(self)
        self.refresh()
        pn.state.curdoc.add_periodic_callback(self.refresh, LOOK_MS)

    def refresh(self) -> None:
        """Say how many are before this one, or that it is its turn, which makes the page open the lab."""
        if self._token:
            return
        self._token = PLACES.call(self, self._places)
        if self._token:
            self._send_msg({"come": self._token})
        else:
            self.tell(line=words(len(PLACES), PLACES.before(self)))


def words(taken: int, before: int) -> dict[str, str]:
    """Return what the page says.

    >>> words(30, 0)["before"], words(30, 1)["before"], words(30, 4)["before"]
    ('You are next.', '1 person is before you.', '4 people are before you.')
    """
    pages = f"{taken} page{'s are' if taken != 1 else ' is'} open"
    people = "1 person is" if before == 1 else f"{before} people are"
    return {
        "full": f"{pages}, as many as this lab has room for: more would only slow each other down.",
        "before": f"{people} before you." if before else "You are next.",
        "hint": "Leave this page open. It turns into the lab by itself as soon as somebody closes theirs.",
    }
