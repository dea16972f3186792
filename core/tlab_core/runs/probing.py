"""A run that is looked into with another text: it has learned what it has learned, and only what was read changes."""

from pathlib import Path

from tlab_core.run import LiveRun
from tlab_core.runs.checkpoint import Checkpoint

WHATEVER_IS_READ = ("train", "validation", "parameters")  # the groups of the history that no probe text has a part in


def with_probe(run: LiveRun, probe_text: str) -> LiveRun:
    """Return a run that goes on where `run` stands, to the same bit, and is looked into with another text.

    probe_text  what its statistics read; "" is a passage of the text that it learns
    What was recorded of losses and parameters stays, as do texts and changed settings. Of the inside there are two looks
    on the new text: the model as it was before training, and as it is now. The given run stays as it is.
    Raises SettingsError for a text that its model can't read, DivergedError for a run that has broken, and TypeError for
    one without a model, such as a saved run.
    """
    if not isinstance(run, LiveRun):
        raise TypeError(f"{run!r} has no model that could read another text: this needs a LiveRun. RunStore.resume(name) "
                        "makes one of a saved run.")
    with run.trainer.standing_still():
        run.trainer.check_going()
        other = LiveRun(run.experiment.replace(probe_text=probe_text), run.trainer.own_statistics)
        # Both have the same settings, so no message will ever name this place.
        Checkpoint.of(run.trainer).put_into(other.trainer, Path("memory"))
        for group in WHATEVER_IS_READ:
            recorded = run.recorder.newest(group, 10**12)  # all of them
            other.recorder.restore(group, len(recorded["step"]), lambda places, recorded=recorded: {
                name: values[places] for name, values in recorded.items()})
        other.samples, other.marks = list(run.samples), list(run.marks)
    try:
        other.trainer.look()
    except BaseException:
        other.trainer.close()
        raise
    return other
