"""What this server lets its pages ask for (see `tlab_core.limits`), and how many pages it has open."""

from __future__ import annotations

import functools
import html
import weakref
from collections.abc import Callable

import panel as pn

from tlab_core.experiment import Experiment, default_experiment
from tlab_core.limits import Limits

FULL = "This lab is full: {count} pages are open, and more would only slow each other down. Close one, or come back later."


@functools.cache
def server_limits() -> Limits:
    """Return the limits that the environment sets, read once. Raises LimitError for a value that can't be used."""
    limits = Limits.from_environment()
    limits.check_room_for(default_experiment())
    return limits


class Places:
    """Which pages are open, of as many as a server has places for."""

    def __init__(self):
        self._taken = weakref.WeakSet()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, page: object, places: int | None) -> bool:
        """Give `page` one of the `places` (None: there is no end of them); False when all are taken."""
        if places is not None and len(self) >= places:
            return False
        self._taken.add(page)
        return True

    def leave(self, page: object) -> None:
        """Give back the place that a page has, if it has one."""
        self._taken.discard(page)


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


def full_page() -> pn.pane.HTML:
    """Return the page for whom there is no place."""
    return plain_page(FULL.format(count=len(PLACES)))


def plain_page(words: str) -> pn.pane.HTML:
    """Return a page that says nothing but these words."""
    look = "font: 16px/1.5 system-ui, sans-serif; max-width: 34em; margin: 20vh auto; padding: 0 16px"
    return pn.pane.HTML(f'<p role="alert" style="{look}">{html.escape(words)}</p>', sizing_mode="stretch_width")
