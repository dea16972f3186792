"""One small pool of worker threads for all the tabs of a server: each run trains in fair slices, none in the event loop.

A seat (`seat.py`) is what takes slices here: anything with `slice(seconds) -> float | None` and `fail(error)`. The fleet
knows nothing of runs, models or pages, and holds on to a seat only while that seat has something to do.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import threading
import time

# A run alone is no faster with a second worker. With two or four tabs it fills the gaps that one run leaves on the cores
# while Python, not NumPy, is busy: 15 to 45 % more steps a second in all on 2 cores.
WORKERS = 2
SLICE_SECONDS = 0.1


class Fleet:
    """Worker threads that hand out slices of time, in turn, to whichever seats have something to do.

    `wake(seat)` asks for a slice. When the slice returns a time (as of `time.monotonic`), the seat gets its next slice
    then, behind the seats that were due before; None sends it to sleep until it is woken again. A seat is never in two
    slices at once, so what it does needs no locks of its own.
    """

    def __init__(self, workers: int = WORKERS, slice_seconds: float = SLICE_SECONDS):
        self.workers = workers
        self.slice_seconds = slice_seconds
        self._due = []  # heap of (time, order, seat); may hold an outdated entry of a seat, see `_next`
        self._turn = {}  # seat -> order of its one valid entry
        self._active = set()
        self._woken = set()  # seats that were woken while in a slice
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
                self._enqueue(seat, time.monotonic())

    def close(self) -> None:
        """Stop the workers after the slices they are in."""
        with self._changed:
            self._closed = True
            self._due.clear()
            self._turn.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        for i in range(self.workers):
            thread = threading.Thread(target=self._work, name=f"fleet-{i}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _enqueue(self, seat, due: float) -> None:
        order = next(self._order)
        self._turn[seat] = order
        heapq.heappush(self._due, (due, order, seat))
        self._changed.notify()

    def _next(self):
        """Wait for the seat whose turn it is; None when the fleet is closed."""
        with self._changed:
            while not self._closed:
                while self._due and self._turn.get(self._due[0][2]) != self._due[0][1]:
                    heapq.heappop(self._due)
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    _, _, seat = heapq.heappop(self._due)
                    del self._turn[seat]
                    self._active.add(seat)
                    return seat
                self._changed.wait(wait)
        return None

    def _work(self) -> None:
        while (seat := self._next()) is not None:
            try:
                due = seat.slice(self.slice_seconds)
            except Exception as error:  # shown on that seat's page; the others must not notice
                seat.fail(error)
                due = None
            with self._changed:
                self._active.discard(seat)
                if seat in self._woken:
                    self._woken.discard(seat)
                    due = time.monotonic()
                if due is not None and not self._closed:
                    self._enqueue(seat, due)
            del seat  # or the wait for the next one would keep a closed tab's run alive


@functools.cache
def shared_fleet() -> Fleet:
    """Return the one fleet that all tabs of this server share."""
    return Fleet()
