"""When a seat takes what an open page wants to know beside the history, so that training hardly notices."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

MEASURING_SHARE = 0.05  # of the time, at most, while training


class Measuring:
    """Takes the analyses that are wanted of the run and the ghost, anew as they learn.

    tell()         is called when one was taken
    called_away()  says, after each, whether something else goes first; what is missing is then taken later
    """

    def __init__(self, tell: Callable[[], None], called_away: Callable[[], bool]):
        self._tell, self._called_away = tell, called_away
        self._measured = None  # (run, ghost, their steps, what was wanted) of the newest analyses
        self._next = 0.0
        self.wanted = ()  # (run, name of an analysis, its options) of each that the page shows

    def forget(self) -> None:
        """Let go of the runs."""
        self.wanted, self._measured = (), None

    def keep_up(self, run, ghost, training: bool, runs: int = 1) -> None:
        """Take what is wanted when a model or the wish is new: at once when asked or standing still, else now and then.

        runs: how many have something to do; the share is of the time that this one gets
        """
        wanted = (run, ghost, run.step, ghost.step if ghost is not None else 0, self.wanted)  # a ghost moves, in a race
        if not self.wanted or wanted == self._measured:
            return
        asked = self._measured is None or self._measured[-1] != self.wanted
        if training and not asked and time.monotonic() < self._next:
            return
        began = time.monotonic()
        self._measured = wanted
        for one, name, options in self.wanted:
            if one in (run, ghost) and not is_taken(one, name, options):
                one.analyse(name, **options)
                self._tell()
            if self._called_away():
                self._measured = None
                return
        self._next = time.monotonic() + (time.monotonic() - began) * (runs / MEASURING_SHARE - 1)


def is_taken(run, name: str, options: dict) -> bool:
    """Return whether a run's newest analysis of that name is of the model as it is now, with these options."""
    found = run.analyses.get(name)
    return found is not None and found.attrs["step"] == run.step and json.loads(found.attrs["options"]) == options
