"""What this server lets its pages ask for (see `tlab_core.limits`), and how many pages it has open."""

from __future__ import annotations

import functools
import html
import secrets
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import panel as pn

from tlab_core.experiment import Experiment, default_experiment
from tlab_core.limits import Limits

KEPT_SECONDS = 20  # that a free place is kept for who was called to it
TOKEN = "place"  # what the address calls the token of a place that is kept
SENDS = 3  # pages that one token brings: a browser may have to load its page once more
MORE_SENT = 10  # pages that may be on their way to a browser, more than there are places; each builds a model


@functools.cache
def server_limits() -> Limits:
    """Return the limits that the environment sets, read once. Raises LimitError for a value that can't be used."""
    limits = Limits.from_environment()
    limits.check_room_for(default_experiment())
    return limits


@dataclass
class _Kept:
    """A place that is kept until then; `sends` is how many pages its token may still bring."""

    until: float
    sends: int = SENDS


class Places:
    """Which pages are open, of as many as a server has places for, and who waits for one.

    A page has a place from when its browser has come until that leaves. What was only sent has none: it may have been for
    somebody who asked whether the server answers, and no browser ever comes. A place that is free belongs to who has waited
    longest; it is kept for them for a while, under a token that they bring along.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._taken = weakref.WeakKeyDictionary()  # page -> whether its browser is there, to be asked
        self._sent = weakref.WeakSet()  # pages whose browser has not come yet
        self._line: list[weakref.ref] = []  # who waits, who has waited longest first
        self._called: dict[str, _Kept] = {}  # places that are kept, by token

    def __len__(self) -> int:
        return sum(is_there() for is_there in self._taken.values())

    def send(self, page: object, places: int | None, token: str = "") -> bool:
        """Note that `page` is sent to a browser, unless all of the `places` (None: there is no end of them) are taken."""
        kept = self._kept().get(token)
        is_called = kept is not None and kept.sends > 0
        if places is not None and not is_called and (self._free(places) <= len(self._waiting()) or
                                                      len(self._sent) >= places + MORE_SENT):
            return False
        if is_called:
            kept.sends -= 1
        self._sent.add(page)
        return True

    def take(self, page: object, places: int | None, token: str = "", is_there: Callable[[], bool] = lambda: True) -> bool:
        """Give `page`, whose browser has come, one of the places; False when all were taken meanwhile.

        is_there()  tells whether the browser still shows the page. A server lets go of one that nobody sees only after half
                    a minute, in which who has loaded it once more would find no place
        """
        self._sent.discard(page)
        kept = token in self._kept()
        if places is not None and not kept and self._free(places) < 1:
            return False
        self._called.pop(token, None)
        self._taken[page] = is_there
        return True

    def leave(self, page: object) -> None:
        """Give back the place that a page has, or in the line, if it has one."""
        self._taken.pop(page, None)
        self._sent.discard(page)
        self._line = [other for other in self._waiting() if other() is not page]

    def wait(self, page: object) -> None:
        """Put `page` at the end of the line."""
        self.leave(page)
        self._line.append(weakref.ref(page))

    def before(self, page: object) -> int:
        """Return how many are in the line before `page`."""
        return next((i for i, other in enumerate(self._waiting()) if other() is page), 0)

    def call(self, page: object, places: int) -> str:
        """Return a token for the place that is now kept for `page`, which leaves the line; "" while it is not its turn."""
        if all(other() is not page for other in self._waiting()) or self.before(page) >= self._free(places):
            return ""
        self.leave(page)
        token = secrets.token_urlsafe(12)
        self._called[token] = _Kept(self._clock() + KEPT_SECONDS)
        return token

    def _free(self, places: int) -> int:
        return places - len(self) - len(self._kept())

    def _kept(self) -> dict[str, _Kept]:
        self._called = {token: kept for token, kept in self._called.items() if kept.until > self._clock()}
        return self._called

    def _waiting(self) -> list[weakref.ref]:
        self._line = [other for other in self._line if other() is not None]
        return self._line


PLACES = Places()


def within(limits: Limits, open_run: Callable) -> Callable:
    """Return `open_run`, but for experiments that break the limits once the text has decided the vocabulary's size.

    It raises SettingsError for those before anything is built.
    """

    def build(experiment: Experiment):
        if limits.parameters is not None or limits.memory is not None:
            limits.check(experiment.resolved())
        return open_run(experiment)

    return build


def plain_page(words: str) -> pn.pane.HTML:
    """Return a page that says nothing but these words."""
    look = "font: 16px/1.5 system-ui, sans-serif; max-width: 34em; margin: 20vh auto; padding: 0 16px"
    return pn.pane.HTML(f'<p role="alert" style="{look}">{html.escape(words)}</p>', sizing_mode="stretch_width")
