"""Try 3 seeds: the run's settings and the ghost's twice more with other dice, out of sight, and what they say together."""

from __future__ import annotations

import weakref
from types import SimpleNamespace

import numpy as np

from tlab_core.compare import SEEDS, Comparison, compare_groups, setting_of
from tlab_core.experiment import Experiment
from tlab_dash.lessons.out_of_sight import Work, step_by_step

COUNT = 3  # seeds of each setting, that of the run on show among them


class SeedTrial:
    """Further seeds of two runs, trained one after the other to a step at which both have a validation loss.

    Of each run only this loss is kept. The work waits while a run on show trains.

    names       what people call the settings of the run and of the ghost
    step        the step that all are compared at
    at          (seed, side, step) of what is being trained, the seed counted from 1; None when all is done
    comparison  what the losses say, the ghost's group first; None before they are all there, or where a run broke
    broken      how many seeds of each side broke
    trouble     why it ended early, for the user to read
    """

    def __init__(self, seat, run, ghost, names: tuple[str, str]):
        self._seat = seat
        self._pair = weakref.ref(run), weakref.ref(ghost)
        self._settings = run.experiment, ghost.experiment
        self.names, self.step = names, self.step_for(run, ghost)
        self._losses = [{"seed 1": only_loss(one, self.step)} for one in (run, ghost)]
        self.at: tuple[int, int, int] | None = (2, 0, 0)
        self.comparison: Comparison | None = None
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

    def means(self) -> list[tuple[str, float, float]]:
        """Return (name, mean, spread between seeds) of the losses of the run's settings and of the ghost's."""
        found = zip(reversed(self.comparison.names), reversed(self.comparison.losses), strict=True)
        return [(name, float(np.mean(values)), float(np.std(values, ddof=1)))
                for name, values in ((name, list(losses.values())) for name, losses in found)]

    # On a worker -----------------------------------------------------------------------------------------------------

    def _some(self, seconds: float) -> bool:
        try:
            return self._go_on(seconds)
        except Exception as error:
            self.trouble, self.at = str(error) or type(error).__name__, None
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
                        self._losses[side][f"seed {seed}"] = only_loss(run, self.step)
                    else:
                        self.broken[side] += 1
                finally:
                    run.trainer.close()
                del run  # before the next is built: there is never more than one
        if not any(self.broken):
            self.comparison = compare_groups(self._losses[1], self._losses[0], names=(self.names[1], self.names[0]))
        self.at = None


def reseeded(experiment: Experiment, by: int) -> Experiment:
    """Return the same settings with other dice, for the weights and for the batches."""
    values = experiment.to_dict()
    for seed in SEEDS:
        part, name = seed.split(".")
        values[part][name] += by
    return type(experiment).from_dict(values)


def only_loss(run, step: int) -> SimpleNamespace:
    """Return what `compare_groups` reads of a run, with the validation loss at one step and nothing else measured."""
    validation = run.recorder.group("validation")
    at = np.flatnonzero(validation["step"].values == step)
    kept = {"validation": validation[["loss"]].isel(step=at).copy(deep=True)}
    recorder = SimpleNamespace(group=kept.__getitem__, attributes=dict(run.recorder.attributes))
    return SimpleNamespace(experiment=run.experiment, marks=[], recorder=recorder)
