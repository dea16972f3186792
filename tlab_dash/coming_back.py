"""A tab that loads its page once more finds its runs again: the server still has them, and knows the tab by a name.

The page before is let go of only seconds after its tab has left it. Until then the page that comes in its place takes over
what it had.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable

from tlab_dash.session import Session

PATIENCE = 5.0  # seconds in which a server that is busy hears that the tab has left the page before
LONGEST_NAME = 64


class BrowserTabs:
    """The sessions of a server by the names of the tabs that show them, and of each whether a browser still does.

    A name is drawn by the tab itself. A tab that was made as a copy of another has the same; it takes nothing from the page
    that the other one still shows.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._shown: dict[str, tuple[weakref.ref[Session], Callable[[], bool]]] = {}

    def show(self, name: str, session: Session, is_there: Callable[[], bool]) -> Return | None:
        """Note that a tab shows a session; return what it showed before, if that may come back, else None.

        is_there()  tells whether a browser shows the session's page
        """
        self._shown = {other: shown for other, shown in self._shown.items() if shown[0]() is not None}
        before = self._shown.get(name)
        self._shown[name] = weakref.ref(session), is_there
        if before is None or (old := before[0]()) is None or old is session:
            return None
        return Return(old, session, before[1], self._clock, self._clock() + PATIENCE)


class Return:
    """The session that a tab showed before, on its way into the one that it shows now."""

    def __init__(self, old: Session, new: Session, is_there: Callable[[], bool], clock: Callable[[], float], until: float):
        self._old, self._new, self._is_there = old, new, is_there
        self._clock, self._until = clock, until

    def is_over(self) -> bool:
        """Have the new session take over the old one as soon as its page is left; return whether there is no more to do."""
        new = self._new
        begun = new.lesson is not None or (new.run is not None and new.run.step > 0)
        if self._old.closed or begun or self._clock() > self._until:
            return True
        if self._is_there():
            return False
        new.take_over(self._old)
        return True


BROWSER_TABS = BrowserTabs()
