"""How long training still takes until it stops by itself: at the end of a race, of the schedule, or of what is allowed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable

WATCHED = 12.0  # seconds: the pace is that of so long, as in fewer the time left would jump with every look inside
ENOUGH = 2.0  # seconds to watch before anything is said


class TimeLeft:
    """Watches how the steps that are left become fewer; clock() gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()  # when, and how many steps were left
        self._goal = None

    def of(self, left: int | None, goal: Hashable = None) -> float | None:
        """Note how many steps are left now (None: it stands still, or has no end), and return how many seconds they take.

        None while that is not known. The steps to another `goal` are watched anew.
        """
        now = self._clock()
        if left is None or goal != self._goal or (self._seen and left > self._seen[-1][1]):
            self._seen.clear()
        self._goal = goal
        if left is None:
            return None
        if not self._seen or left < self._seen[-1][1]:
            self._seen.append((now, left))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WATCHED:
            self._seen.popleft()
        began, most = self._seen[0]
        return left * (now - began) / (most - left) if most > left and now - began >= ENOUGH else None


def steps_left(session) -> int | None:
    """Return how many steps a session's runs make until they stop by themselves; None when they don't, or stand still."""
    run, race = session.run, session.race
    if run is None or session.state != "training":
        return None
    if race is not None:
        racers = [one for one in (run, session.ghost) if one is not None and one.divergence is None]
        return sum(max(0, race.target - one.step) for one in racers)
    ends = [end for end in (run.experiment.training.steps, session.limits.steps) if end is not None and end > run.step]
    return min(ends) - run.step if ends else None


def goal(session) -> Hashable:
    """Return what the steps that are left lead to: the fewer of them a new goal has is no pace."""
    race = session.race
    racers = () if race is None else tuple(id(one) for one in (session.run, session.ghost)
                                           if one is not None and one.divergence is None)
    return id(session.run), race and race.target, racers


def words(seconds: float | None) -> str:
    """Return how long that is, as a clock shows it; empty where it is not known, or next to nothing.

    >>> words(41.6), words(3725), words(200_000), words(None)
    ('0:42', '1:02:05', 'over a day', '')
    """
    if seconds is None or seconds < 0.5:
        return ""
    if seconds > 24 * 3600:
        return "over a day"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
