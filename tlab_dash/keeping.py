"""Which of a tab's runs are kept in folders. The others live in memory alone, so that turning knobs leaves no litter."""

from __future__ import annotations

from contextlib import suppress

from tlab_core.run import LiveRun
from tlab_core.runs import RunError, RunStore, RunWriter


class Keeper:
    """The writers of one tab's runs. What writes is called by one thread at a time, while no step is being made."""

    def __init__(self):
        # Replaced and never changed, since the page reads them from another thread.
        self._writers: dict[LiveRun, RunWriter] = {}
        self._steps: dict[LiveRun, int] = {}  # where each run stood when it was last written from here

    def __len__(self) -> int:
        return len(self._writers)

    def name(self, run: LiveRun | None) -> str:
        """Return the name that a run is kept under; empty when it is not."""
        writer = self._writers.get(run)
        return writer.name if writer is not None else ""

    def step(self, run: LiveRun | None) -> int:
        """Return the step at which a kept run was last saved by hand or paused; the writer goes on by itself between."""
        return self._steps.get(run, 0)

    def problem(self, run: LiveRun | None) -> str:
        """Return why the newest of a kept run could not be written; empty when all is well."""
        writer = self._writers.get(run)
        return str(writer.problem) if writer is not None and writer.problem is not None else ""

    def keep(self, run: LiveRun, name: str, store: RunStore) -> None:
        """Write a run into a folder of its own, and go on writing while it trains; under another name, move it there.

        Raises RunError when the name can't be had or the folder not be written; the run itself is as it was.
        """
        writer = self._writers.get(run)
        if writer is None:
            self.adopt(run, store.create(run, name))
            return
        if name != writer.name:
            store.take(writer, name)
        writer.commit()
        self._steps = {**self._steps, run: run.step}

    def adopt(self, run: LiveRun, writer: RunWriter) -> None:
        """Take over a run that is being written already."""
        self._steps = {**self._steps, run: run.step}
        self._writers = {**self._writers, run: writer}

    def catch_up(self, run: LiveRun | None) -> None:
        """Write what a kept run has done since the last time; `problem` says so when that does not work."""
        if run in self._writers and run.step != self._steps[run]:
            with suppress(RunError):
                self._writers[run].commit()
            self._steps = {**self._steps, run: run.step}

    def let_go(self, *still: LiveRun | None) -> None:
        """Finish the folders of all runs but these. Raises RunError, afterwards, for what could not be written."""
        failed = None
        for run, writer in self._writers.items():
            if run not in still:
                try:
                    writer.close()
                except RunError as error:
                    writer.close(save=False)
                    failed = error
        self._writers = {run: writer for run, writer in self._writers.items() if run in still}
        self._steps = {run: step for run, step in self._steps.items() if run in still}
        if failed is not None:
            raise failed
