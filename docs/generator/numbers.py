"""What a knob is for in one number, where the lab's own measures don't hold it: read off a model that has been trained."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tlab_core.run import LiveRun

PIECES = 16  # of unseen text, each as long as the context


@dataclass(frozen=True)
class Number:
    """A number of a run: what it is called after "the", and how it is got and written."""

    words: str
    of: Callable[[LiveRun], float]
    form: str = ".2f"


def unseen_scores(run: LiveRun) -> np.ndarray:
    """Return the numbers before the last softmax, (piece, place, character), on text that was not trained on."""
    length = run.experiment.training.seq_len
    tokens = np.asarray(run.trainer.data.validation[: PIECES * length]).reshape(PIECES, length)
    return run.model.forward(tokens).astype(np.float64)


def log_z(scores: np.ndarray) -> np.ndarray:
    """Return ln Z = ln Σ e^score at each place.

    >>> log_z(np.array([[0.0, 0.0]])).round(3)
    array([0.693])
    """
    largest = scores.max(axis=-1)
    return largest + np.log(np.exp(scores - largest[..., None]).sum(axis=-1))


def drift(run: LiveRun) -> float:
    """Return how far ln Z usually is from zero."""
    return float(np.abs(log_z(unseen_scores(run))).mean())


def certainty(run: LiveRun) -> float:
    """Return the probability that the likeliest character gets, on average."""
    scores = unseen_scores(run)
    return float(np.exp(scores.max(axis=-1) - log_z(scores)).mean())


def weight_size(run: LiveRun) -> float:
    """Return the RMS of all weight matrices together, the ones that weight decay pulls at."""
    squares = np.concatenate([array.ravel() ** 2 for array in run.model.parameters.values() if array.ndim > 1])
    return float(np.sqrt(squares.mean()))


NUMBERS = {
    "drift": Number("distance of ln Z from zero", drift),
    "certainty": Number("probability that the likeliest character gets, on average,", certainty),
    "weight_size": Number("usual size (RMS) of the weights", weight_size, ".3f"),
}
