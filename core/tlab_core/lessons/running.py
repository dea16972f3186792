"""Taking a lesson: train its runs, read its numbers, hear the verdict."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tlab_core.lessons.base import SEEDS, Lesson, Verdict
from tlab_core.run import LiveRun

SLICE = 0.25  # seconds of training between two calls of `progress`

Progress = Callable[[int, str, LiveRun], None]  # (seed, the run's key, the run)


@dataclass(frozen=True)
class Outcome:
    """What came of a lesson: for each seed its numbers and its seconds, and what they say together."""

    lesson: str
    seeds: tuple[int, ...]
    measured: tuple[dict[str, float], ...]
    seconds: tuple[float, ...]
    verdict: Verdict


def run_lesson(lesson: Lesson, seeds: Sequence[int] = SEEDS, progress: Progress | None = None) -> Outcome:
    """Train all runs of a lesson with each seed, one after the other, and return what they say.

    Runs of one seed share their batches, and the dice of every part that they have in common. `progress(seed, key, run)`
    is called now and then while a run trains, and at its end. Raises ValueError for no seeds and for one given twice.
    """
    seeds = tuple(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds = {list(seeds)} is not allowed: give at least one, each once, such as {list(SEEDS)}.")
    measured, seconds = [], []
    for seed in seeds:
        began = time.monotonic()
        measured.append(run_seed(lesson, seed, progress))
        seconds.append(time.monotonic() - began)
    return Outcome(lesson.name, seeds, tuple(measured), tuple(seconds), lesson.verdict(measured))


def run_seed(lesson: Lesson, seed: int, progress: Progress | None = None) -> dict[str, float]:
    """Train all runs of a lesson with one seed and return the numbers that the lesson reads from them.

    A run that breaks stays as it is when it broke: the lesson reads that, too.
    """
    runs: dict[str, LiveRun] = {}
    try:
        for key in lesson.runs:
            runs[key] = run = LiveRun(lesson.experiment(key, seed))
            while run.step < lesson.steps and run.divergence is None:
                run.advance(seconds=SLICE, until=lesson.steps)
                if progress is not None:
                    progress(seed, key, run)
        return lesson.measure(runs)
    finally:
        for run in runs.values():
            run.trainer.close()
