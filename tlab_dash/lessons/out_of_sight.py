"""Training a lesson's runs while the bench shows others: a little at a time, as `Seat.aside` asks for it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from tlab_core.lessons import Lesson

Work = Generator[None, float, None]  # is sent the seconds that it may train for


def train(lesson: Lesson, seed: int, keys: Iterable[str], build: Callable, runs: dict, note: Callable) -> Work:
    """Build and train runs of one seed to the lesson's step, or until they break, and put each into `runs` by its key.

    build(experiment) -> run; note(seed, key, step) is called before each bit of training.
    """
    for key in keys:
        run = build(lesson.experiment(key, seed))
        try:
            while run.step < lesson.steps and run.divergence is None:
                note(seed, key, run.step)
                seconds = yield
                run.advance(seconds=seconds, until=lesson.steps)
        finally:
            run.trainer.close()
        runs[key] = run


def step_by_step(work: Work) -> Callable[[float], bool]:
    """Return `work` as a function of the seconds that it may take now; it returns whether there is more to do."""
    begun = False

    def go_on(seconds: float) -> bool:
        nonlocal begun
        try:
            if not begun:
                begun = True
                next(work)
            else:
                work.send(seconds)
        except StopIteration:
            return False
        return True

    return go_on
