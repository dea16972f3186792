"""A race of two runs to one step: who trains next, and how far, so that both are always seen at nearly equal steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

NEAREST, FARTHEST = 300, 1000  # steps that a race goes to at least, and at most
LEG = 25  # steps that one run makes before the other catches up


@dataclass(frozen=True)
class Race:
    """A race that is on: the step at which both runs are to arrive, and what is called, on a worker, when they have."""

    target: int
    then: Callable[[], None] | None = None


class Turn(NamedTuple):
    """Which of the runs trains next, by its place, and until which step."""

    runner: int
    until: int


def target(ghost_step: int, end: int | None = None) -> int:
    """Return the step that a run races to against a ghost which came to `ghost_step`: that one, held to 300 to 1,000.

    end: the last step of the run's schedule, which a race does not go past

    >>> target(120), target(640), target(5000), target(640, end=200)
    (300, 640, 1000, 200)
    """
    held = min(max(ghost_step, NEAREST), FARTHEST)
    return held if end is None else min(held, end)


def turn(steps: Sequence[int], target: int, out: Sequence[bool] | None = None) -> Turn | None:
    """Return whose turn it is, of runs that stand at `steps`; None when all have arrived at `target` or are out.

    The run that is furthest behind trains, and they change over every 25 steps: a leg that was begun is finished first, and
    the first of the runs begins. out: which runs broke, and go no further.

    >>> turn((0, 0), 300), turn((10, 0), 300), turn((25, 0), 300), turn((25, 25), 300)
    (Turn(runner=0, until=25), Turn(runner=0, until=25), Turn(runner=1, until=25), Turn(runner=0, until=50))
    >>> turn((40, 640), 640), turn((300, 299), 300, out=(False, True))
    (Turn(runner=0, until=50), None)
    """
    out = out or [False] * len(steps)
    running = [runner for runner, step in enumerate(steps) if step < target and not out[runner]]
    if not running:
        return None
    runner = min(running, key=lambda runner: (steps[runner] // LEG, runner))
    return Turn(runner, min(target, (steps[runner] // LEG + 1) * LEG))
