"""How long a step takes on this machine beside what was worked out, learned from measured steps, and slowly."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import numpy as np

from tlab_core.cost import estimate
from tlab_core.experiment import Experiment

RECENT = 20  # steps whose median counts as one measurement
HALF_LIFE = 200  # steps after which what was measured before counts half
NEWS = 1.15  # times; an estimate that has changed by less stays as it stands, or its last digit would never rest


class StepTime:
    """What the runs of one page tell of the time of a step.

    Other work comes and goes on a machine, and a step takes twice as long for a second. So a measurement moves what is
    known only a little. What was learned of one run holds for the next, whose steps are in the same proportion to what was
    worked out for them.
    """

    def __init__(self):
        self._ratio: float | None = None  # seconds measured, over seconds worked out
        self._run: Callable = lambda: None  # the run that was looked at last, as long as others hold it
        self._step = 0  # and its step
        self._said: tuple[Experiment | None, float] = (None, 0.0)

    def note(self, run) -> None:
        """Learn from the newest steps of a run, where there are enough of them."""
        again = run is self._run()
        if run is None or (again and run.step == self._step):
            return
        seconds = run.recorder.group("train")["seconds"].values[-RECENT:]
        if len(seconds) < RECENT:
            return
        new = run.step - self._step if again else RECENT
        self._run, self._step = weakref.ref(run), run.step
        ratio = float(np.median(np.diff(seconds))) / estimate(run.experiment).step_seconds
        if not ratio > 0:  # a clock too coarse for so small a step
            return
        share = 1.0 if self._ratio is None else 1 - 0.5 ** (max(0, new) / HALF_LIFE)
        self._ratio = ratio if self._ratio is None else self._ratio * (ratio / self._ratio) ** share

    def known(self, draft: Experiment) -> tuple[Experiment, float] | None:
        """Return what `estimate` takes: `draft` and the seconds of its steps; None before anything was measured.

        The seconds of a draft stay as they were said until there is news.
        """
        if self._ratio is None:
            return None
        seconds = self._ratio * estimate(draft).step_seconds
        before, said = self._said
        if before != draft or max(seconds / said, said / seconds) > NEWS:
            self._said = (draft, seconds)
        return self._said
