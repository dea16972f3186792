"""Try 3 seeds: the run's settings and the ghost's twice more with other dice, out of sight, and their losses."""

from __future__ import annotations

import weakref

import numpy as np

from tlab_core.blame import in_words
from tlab_core.compare import SEEDS, setting_of
from tlab_core.experiment import Experiment
from tlab_dash.lessons.out_of_sight import Work, step_by_step

COUNT = 3  # seeds of each setting, that of the run on show among them


class SeedTrial:
    """Further seeds of two runs, trained one after the other to a step at which both have a validation loss.

    Of each run only this loss is kept. The work waits while a run on show trains.

    names    what people call the settings of the run and of the ghost
    step     the step that all are compared at
    at       (seed, side, step) of what is being trained, the seed counted from 1; None when all is done
    losses   the validation losses of each side's seeds, in nats
    broken   how many seeds of each side broke, and so have no loss
    trouble  why it ended early, for the user to read
    """

    def __init__(self, seat, run, ghost, names: tuple[str, str]):
        self._seat = seat
        self._pair = weakref.ref(run), weakref.ref(ghost)
        self._settings = run.experiment, ghost.experiment
        self.names, self.step = names, self.step_for(run, ghost)
        self.losses = [[loss_at(one, self.step)] for one in (run, ghost)]
        self.at: tuple[int, int, int] | None = (2, 0, 0)
        self.broken = [0, 0]
        self.trouble = ""
        self._go_on = step_by_step(self._train())
        seat.aside(self._some)

    @staticmethod
    def step_for(run, ghost) -> int | None:
        """Return the last step at which both have a validation loss; None where seeds of them would tell nothing.

        That is so where a run broke or was changed on the way, where they read different texts, and where they differ in
        nothing but their dice.
        """
        if run is None or ghost is None or any(one.divergence is not None or one.marks for one in (run, ghost)):
            return None
        if run.experiment.corpus != ghost.experiment.corpus or setting_of(run) == setting_of(ghost):
            return None
        steps = (one.recorder.group("validation")["step"].values for one in (run, ghost))
        common = np.intersect1d(*steps)
        return int(common[-1]) if len(common) and common[-1] > 0 else None

    def is_of(self, run, ghost) -> bool:
        """Return whether these two are the runs it is about, in whichever place."""
        mine = {id(ref()) for ref in self._pair}
        return None not in (run, ghost) and mine == {id(run), id(ghost)}

    def stop(self) -> None:
        """Train no more."""
        seat, mine = self._seat, self._some

        def let_go() -> None:
            if seat.work == mine:
                seat.work = None

        seat.do(let_go)

    # On a worker -----------------------------------------------------------------------------------------------------

    def _some(self, seconds: float) -> bool:
        try:
            return self._go_on(seconds)
        except Exception as error:
            self.trouble, self.at = in_words(error), None
            return False

    def _train(self) -> Work:
        for seed in range(2, COUNT + 1):
            for side, settings in enumerate(self._settings):
                self.at = seed, side, 0
                run = self._seat.build(reseeded(settings, seed - 1))
                try:
                    while run.step < self.step and run.divergence is None:
                        seconds = yield
                        run.advance(seconds=seconds, until=self.step)
                        self.at = seed, side, run.step
                    if run.divergence is None:
                        run.trainer.validate()
                        self.losses[side].append(loss_at(run, self.step))
                    else:
                        self.broken[side] += 1
                finally:
                    run.trainer.close()
                del run  # before the next is built: there is never more than one
        self.at = None


def reseeded(experiment: Experiment, by: int) -> Experiment:
    """Return the same settings with other dice, for the weights and for the batches."""
    values = experiment.to_dict()
    for seed in SEEDS:
        part, name = seed.split(".")
        values[part][name] += by
    return type(experiment).from_dict(values)


def loss_at(run, step: int) -> float:
    """Return the validation loss that was measured at a step."""
    validation = run.recorder.group("validation").variables
    return float(validation["loss"].values[validation["step"].values == step][0])
