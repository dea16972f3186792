"""What a tab keeps: its run in a folder of its own, and the runs out of folders that it goes on with."""

from __future__ import annotations

from tlab_core.absent import in_a_row
from tlab_core.experiment import Experiment
from tlab_core.runs import RunError, RunStore
from tlab_core.settings import Missing


class KeepingRuns:
    """The part of a Session that saves its run, and begins and resumes others."""

    def save(self, name: str, store: RunStore) -> None:
        """Keep the run in a folder from now on, while it trains too; `kept` tells how it went."""
        if self.run is not None:
            self._seat.save(name, store)

    def forget_refusal(self) -> None:
        """Say no more of a name that the run could not be saved under."""
        self._seat.save_error = ""

    def start(self, experiment: Experiment) -> None:
        """Begin a run of other settings altogether, such as those of a saved run.

        Where a component that they name is not here, the knobs show them, and why; the run stays.
        """
        if found := [problem for problem in experiment.problems() if isinstance(problem, Missing)]:
            self.draft, self.problems = experiment, found
        elif not self._is_beyond(experiment):
            self._open(experiment.replace())

    def resume(self, store: RunStore, name: str) -> None:
        """Train a run out of a folder on from where it was saved. Raises RunError when it can't be read."""
        saved = store.open(name)
        if saved.missing:
            raise RunError(f"The run can't go on: {in_a_row(saved.missing)} Until then it can be looked at.")
        experiment = saved.experiment
        if self._is_beyond(experiment):
            return
        self._set(experiment)
        self._seat.resume(store, name, experiment)

    @property
    def kept(self) -> dict:
        """Return the name the run is kept under (empty: it isn't), at which step it was saved, whether it is being saved
        now, and what went wrong."""
        keeper = self._seat.keeper
        return {
            "name": keeper.name(self.run), "step": keeper.step(self.run), "busy": self._seat.saving,
            "problem": self._seat.save_error or keeper.problem(self.run),
        }
