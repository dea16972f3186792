"""What a snapshot is asked of, a run, several or a lab, as runs by name."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tlab_core.experiment import Experiment
from tlab_core.run import Run
from tlab_core.runs.files import shortened
from tlab_core.trainer import Trainer
from tlab_core.trainer_run import TrainerRun
from tlab_dash.session import Session
from tlab_dash.snapshot.scene import SnapshotError

FIRST_MODEL = 60  # seconds that a lab may take to build its first model
LOOK = 0.02  # seconds between two looks whether it is there


def runs_of(run_or_lab: Any) -> dict[str, Run]:
    """Return what a snapshot is to show, by name: a run, runs in a list or a dict, or a lab's run and its ghost.

    A run that is twice in a list is there once. A lab that was never shown builds its first model now. Raises SnapshotError
    for what is no run, for two runs of one name, and for a lab that was closed or has no model.
    """
    if isinstance(run_or_lab, Mapping):
        for name, run in run_or_lab.items():
            if not isinstance(name, str):
                raise SnapshotError(f"a run is named {name!r}: its name must be a text, which stands above it.")
            _check_run(run)
        return dict(run_or_lab)
    if session := getattr(run_or_lab, "session", None):
        _wait_for_model(session)
        return {name: run for name, run in (("now", session.run), ("ghost", session.ghost)) if run is not None}
    runs = listed(run_or_lab)
    named: dict[str, Run] = {}
    for place, run in enumerate(runs, 1):
        _check_run(run)
        if any(_same(run, other) for other in named.values()):
            continue
        name = getattr(run, "name", None) or ("the run" if len(runs) == 1 else f"run {place}")
        if name in named:
            raise SnapshotError(f"two runs have the name {name!r}: give each a name of its own, as a dict of runs.")
        named[name] = run
    return named


def listed(run_or_runs: Any) -> list[Any]:
    """Return a list or tuple as a list, and anything else as the only one in a list."""
    many = isinstance(run_or_runs, Sequence) and not isinstance(run_or_runs, str)
    return list(run_or_runs) if many else [run_or_runs]


def _same(one: Run, other: Run) -> bool:
    """Whether it is one run: the same object, or opened twice from one folder."""
    folder = getattr(one, "folder", None)
    return one is other or (folder is not None and folder == getattr(other, "folder", None))


def _wait_for_model(session: Session) -> None:
    """Bring home the lab's first model, which its workers build; whoever shows a lab does that, a script doesn't."""
    until = time.monotonic() + FIRST_MODEL
    while session.run is None:
        if session.closed:
            raise SnapshotError("this lab was closed: take the snapshot before.")
        session.poll()
        if session.message or session.problems:
            why = session.message or session.problems[0].message
            raise SnapshotError(f"this lab has no model: {why}")
        if session.run is None and time.monotonic() > until:
            raise SnapshotError(f"this lab has not built its first model in {FIRST_MODEL} seconds: ask again later, or "
                                "begin one with smaller settings.")
        time.sleep(LOOK)


def _check_run(run: Any) -> None:
    if isinstance(run, Run) and isinstance(run.experiment, Experiment):
        return
    what, hint = f"this {type(run).__name__}", ""
    if run is None or isinstance(run, str):
        what, hint = shortened(run), " Open it first: RunStore(folder).open(name)." if run else ""
    elif isinstance(run, Trainer | TrainerRun):
        hint = " It knows nothing of its text, nor how to make the run again: train a LiveRun."
    raise SnapshotError(f"{what} is no run: a snapshot shows a LiveRun or a saved run, several in a list or a dict, or a "
                        f"Lab.{hint}")
