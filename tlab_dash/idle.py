"""How long it is since anyone did something on a page, and what becomes of its run when nobody does."""

from __future__ import annotations

import time
from collections.abc import Callable


class Idle:
    """Says once, after `minutes` without a touch, that it is time to rest; 0 minutes is never."""

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic):
        self.minutes = minutes
        self._clock = clock
        self._touched = clock()
        self.resting = False

    def touch(self) -> None:
        """Note that somebody is there."""
        self._touched = self._clock()
        self.resting = False

    def falls_asleep(self) -> bool:
        """Return True the first time it is asked after nobody was there for long enough."""
        if self.resting or not self.minutes or self._clock() - self._touched < 60 * self.minutes:
            return False
        self.resting = True
        return True

    @property
    def words(self) -> str:
        """Return what the page says of a run that was paused for it."""
        one = self.minutes == 1
        return f"Paused after {self.minutes:g} minute{'' if one else 's'} without a click. Press Train to go on."
