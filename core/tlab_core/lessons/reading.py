"""Reading a lesson's numbers from a run's records; none of these trains or computes anything new."""

import math

import numpy as np

from tlab_core.run import Run


def validation_loss(run: Run) -> float:
    """Return a run's last loss on held-back text, in nats a character; infinite where the run broke on the way."""
    if run.divergence is not None:
        return math.inf
    return float(last(run, "validation", "loss"))


def last(run: Run, group: str, variable: str) -> np.ndarray:
    """Return a variable's newest record, without the step: a number, or an array of the group's other dimensions."""
    return _values(run, group, variable)[-1]


def first(run: Run, group: str, variable: str) -> np.ndarray:
    """Return a variable's first record, that of the model before any training."""
    return _values(run, group, variable)[0]


def _values(run: Run, group: str, variable: str) -> np.ndarray:
    return run.recorder.group(group).variables[variable].values
