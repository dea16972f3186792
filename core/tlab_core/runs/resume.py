"""How a saved run becomes a live one that goes on as if it had never stopped."""

from typing import Any

import numpy as np

from tlab_core.absent import in_a_row
from tlab_core.batches import DataError
from tlab_core.blame import in_words
from tlab_core.experiment import Experiment
from tlab_core.run import LiveRun, Mark
from tlab_core.runs.damage import edited_settings
from tlab_core.runs.files import RunError
from tlab_core.runs.saved import SavedRun, brought_back, experiment_of, statistics_of
from tlab_core.runs.writer import COMMIT, SETTINGS


def going_on(saved: SavedRun) -> tuple[LiveRun, list[Mark]]:
    """Return the live run, and a mark for each knob that was edited in its settings file since it was saved."""
    if saved.remarks:
        raise RunError(f"the run {saved.name!r} can't go on: {' '.join(saved.remarks)}")
    if saved.missing:
        raise RunError(f"the run {saved.name!r} can't go on: {in_a_row(saved.missing)} Until then it can be looked at.")
    folder = saved.folder / saved.commit["checkpoint"]
    experiment, edited = settings_in_force(saved)
    checkpoint = saved.checkpoint()
    if checkpoint.step != saved.step or (saved.recorder.last_step("train") or 0) != saved.step:
        raise RunError(f"{saved.folder} is damaged: its commit is of step {saved.step}, its checkpoint of step "
                       f"{checkpoint.step} and its history of step {saved.recorder.last_step('train') or 0}.")
    try:
        run = LiveRun(experiment, statistics_of(saved.commit, saved.folder / COMMIT))
    except (DataError, ValueError) as error:  # settings that don't go together, a text that can't be had
        raise RunError(f"the run {saved.name!r} can't go on: {in_words(error)}") from error
    try:
        if run.tokenizer != saved.tokenizer:
            raise RunError(f"the run {saved.name!r} can't go on: the text {experiment.corpus!r} has other characters than "
                           "when it was saved. Put the text back as it was.")
        checkpoint.put_into(run.trainer, folder, brought_back(saved.other_code))
        restore_history(saved, run)
    except BaseException:
        run.trainer.close()
        raise
    run.samples, run.marks, run.divergence = saved.samples, saved.marks, saved.divergence
    return run, edited


def restore_history(saved: SavedRun, run: LiveRun) -> None:
    """Fill a live run's history with what memory would hold of the saved one."""
    for group, holds in saved.recorder.groups.items():
        arrays = {name: saved.recorder.stored(group, name) for name in ("step", *holds.variables)}
        total = saved.recorder.records[group]
        if any(arrays[name].shape[1:] != shape for name, shape in run.recorder.shapes(group).items()):
            raise RunError(f"the history of {saved.name!r} does not fit its settings: {group} has other sizes. Set the "
                           f"architecture and the probe text in settings.yaml back to what they were.")

        def read(places: list[int], arrays=arrays) -> dict[str, np.ndarray]:
            return {name: array.read((np.array(places, np.intp),)) for name, array in arrays.items()}

        run.recorder.restore(group, total, read)


def lost_statistics(run: LiveRun) -> list[str]:
    """Return which statistics of one's own the run has recorded and can't any more, a sentence each."""
    return [f"From step {run.step:,} on nothing is recorded of one statistic: {one.absent.message}"
            for one in run.trainer.own_statistics if one.absent is not None]  # fmt: skip


def changed_code(saved: SavedRun) -> list[str]:
    """Return that one's own components have other code now, in a sentence, if they have."""
    return [f"{said}, and makes the steps from {saved.step + 1:,} on." for said in (saved.other_code,) if said]


def settings_in_force(saved: SavedRun) -> tuple[Experiment, list[Mark]]:
    """Return the experiment to go on with: the saved one, or what a person has made of it in the settings file, and a mark
    for each knob that this changes from the saved step on."""
    written = edited_settings(saved.folder, saved.experiment)
    if written.architecture.vocab_size != saved.experiment.architecture.vocab_size:
        raise RunError(f"in {saved.folder / SETTINGS}, architecture.vocab_size is {written.architecture.vocab_size}, but "
                       f"the text decides it: set it back to {saved.experiment.architecture.vocab_size}.")
    found, before, torn = written.to_dict(), saved.experiment.to_dict(), saved.commit["settings_file"]
    # A process that was killed right after a commit has left the settings file of the commit before.
    if found == before or (torn and found == experiment_of(saved.commit, saved.folder / COMMIT, "settings_file").to_dict()):
        return saved.experiment, []
    return written, [Mark(saved.step, knob, old, new) for knob, old, new in changes(before, found)]


def edit_in_words(mark: Mark) -> str:
    """Return what was edited, as a sentence.

    >>> edit_in_words(Mark(200, "training.schedule", "cosine", "constant"))
    "training.schedule was 'cosine' when the run was saved and is 'constant' in settings.yaml now, from step 200 on."
    """
    return (f"{mark.knob} was {mark.before!r} when the run was saved and is {mark.after!r} in {SETTINGS} now, from step "
            f"{mark.step:,} on.")


def changes(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Return (knob, old, new) of what differs between two settings' values, parts included."""
    found = []
    for knob, new in after.items():
        old = before.get(knob)
        if isinstance(new, dict) and isinstance(old, dict):
            found += changes(old, new, f"{prefix}{knob}.")
        elif old != new:
            found.append((f"{prefix}{knob}", old, new))
    return found
