"""One small pool of worker threads for all the tabs of a server: each run trains in fair slices, none in the event loop.

A seat (`seat.py`) is what takes slices here: anything with `slice(seconds) -> float | None` and `fail(error)`. The fleet
knows nothing of runs, models or pages, and holds on to a seat only while that seat has something to do.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
import weakref
from typing import NamedTuple

# A run alone is no faster with a second worker. With two or four tabs it fills the gaps that one run leaves on the cores
# while Python, not NumPy, is busy: 15 to 45 % more steps a second in all on 2 cores.
WORKERS = 2
SLICE_SECONDS = 0.1


class Fleet:
    """Worker threads that hand out slices of time, in turn, to whichever seats have something to do.

    `wake(seat)` asks for a slice. When the slice returns a time (as of `clock`), the seat gets its next slice
    then; None sends it to sleep until it is woken again. A seat is never in two slices at once, so what it does needs no
    locks of its own.

    Of the seats that are due, the one goes first that has had the least time so far, so that all get the same time
    whatever one of their steps costs: start-time fair queuing (Goyal, Vin & Cheng 1996). A seat that comes, or comes back,
    begins at the clock: where the seat stands that was served last. It has to catch up on nobody, and nobody on it.
    """

    def __init__(self, workers: int = WORKERS, slice_seconds: float = SLICE_SECONDS, clock=time.monotonic):
        """Make a fleet; its threads start with the first seat. `clock()` is the time in seconds."""
        self.workers = workers
        self.slice_seconds = slice_seconds
        self._now = clock
        self._waiting: dict[object, _Turn] = {}
        self._active = set()
        self._woken = set()  # seats that were woken while in a slice
        self._had = weakref.WeakKeyDictionary()  # seat -> the time it has had, on the clock
        self._clock = 0.0
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._threads = []
        self._closed = False

    def wake(self, seat) -> None:
        """Give `seat` a slice as soon as its turn comes, even if it was to sleep longer."""
        with self._changed:
            if self._closed:
                raise RuntimeError("this fleet is closed; make a new one")
            if not self._threads:
                self._start()
            if seat in self._active:
                self._woken.add(seat)
            else:
                self._enqueue(seat, self._now())

    def waiting(self, seat) -> tuple[int, int]:
        """Return how many seats go before `seat` gets its next slice, and how many have something to do, it among them.

        The place is 0 for a seat that is in a slice, is next, or has nothing to do.
        """
        with self._changed:
            mine = self._waiting.get(seat)
            ahead = 0 if mine is None else sum(turn.had < mine.had or (turn.had == mine.had and turn.order < mine.order)
                                               for turn in self._waiting.values() if turn.due <= mine.due)
            return ahead, len(self._waiting) + len(self._active)

    def close(self) -> None:
        """Stop the workers after the slices they are in."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        for i in range(self.workers):
            thread = threading.Thread(target=self._work, name=f"fleet-{i}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _enqueue(self, seat, due: float) -> None:
        had = self._had[seat] = max(self._clock, self._had.get(seat, 0.0))
        before = self._waiting.get(seat)
        self._waiting[seat] = _Turn(due, had, before.order if before is not None else next(self._order))
        self._changed.notify()

    def _next(self):
        """Wait for the seat whose turn it is; None when the fleet is closed."""
        with self._changed:
            while not self._closed:
                now = self._now()
                due = [seat for seat, turn in self._waiting.items() if turn.due <= now]
                if due:
                    seat = min(due, key=lambda seat: (self._waiting[seat].had, self._waiting[seat].order))
                    self._clock = max(self._clock, self._waiting.pop(seat).had)
                    self._active.add(seat)
                    return seat
                first = min((turn.due for turn in self._waiting.values()), default=None)
                self._changed.wait(None if first is None else first - now)
        return None

    def _work(self) -> None:
        while (seat := self._next()) is not None:
            began = self._now()
            try:
                due = seat.slice(self.slice_seconds)
            except BaseException as error:  # shown on that seat's page; the others must not notice, whatever it is
                seat.fail(error)
                due = None
            with self._changed:
                self._had[seat] += self._now() - began
                self._active.discard(seat)
                if seat in self._woken:
                    self._woken.discard(seat)
                    due = self._now()
                if due is not None and not self._closed:
                    self._enqueue(seat, due)
            del seat  # or the wait for the next one would keep a closed tab's run alive


class _Turn(NamedTuple):
    due: float
    had: float
    order: int


@functools.cache
def shared_fleet() -> Fleet:
    """Return the one fleet that all tabs of this server share."""
    return Fleet()
