"""What of two runs is compared in words beside the loss: one number each, how it is written, and where it can be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tlab_dash.figures import RECENT, percent, short
from tlab_dash.views.wording import is_vector

CLOSE_RATIO = 1.5  # times; less than that is too close to call


@dataclass(frozen=True)
class Measure:
    """A number that a run had at a step: `of(run, step)`, NaN where it was not measured.

    words      what it is called after "the"
    page       the page beside the bench that shows it
    more, less  the words for which of two is larger
    write      the number as one reads it
    floor      what is added to both before they are divided, for a number that is often zero
    unit       what stands behind the second of two numbers
    caution    what else than the settings may be behind a difference
    """

    words: str
    page: str
    of: Callable[[object, int], float]
    more: str = "larger"
    less: str = "smaller"
    write: Callable[[float], str] = short
    floor: float = 0.0
    unit: str = ""
    caution: str = ""

    def ratio(self, new: float, old: float) -> float | None:
        """Return how many times one is the other, at least 1; infinite where one is no number, None where neither is.

        >>> measure = Measure("gradient", "gradients", of=None)
        >>> measure.ratio(3.0, 1.0), measure.ratio(1.0, 4.0), measure.ratio(0.0, 2.0), measure.ratio(0.0, 0.0)
        (3.0, 4.0, inf, None)
        """
        pair = [value + self.floor if np.isfinite(value) and value + self.floor > 0 else None for value in (new, old)]
        if pair == [None, None]:
            return None
        if None in pair:
            return float("inf")
        return max(pair[0] / pair[1], pair[1] / pair[0])


def recorded(run, group: str, variable: str, step: int) -> np.ndarray:
    """Return what was recorded at exactly this step; a single NaN where nothing was."""
    data = run.recorder.group(group).variables
    at = np.flatnonzero(data["step"].values == step)
    return data[variable].values[at[-1]] if at.size else np.array([np.nan])


def _stream(variable: str, depth: int) -> Callable[[object, int], float]:
    return lambda run, step: float(recorded(run, "residual", variable, step)[depth])


def _highest(variable: str) -> Callable[[object, int], float]:
    return lambda run, step: float(recorded(run, "heads", variable, step).max())


def _dead(run, step: int) -> float:
    return float(recorded(run, "layers", "dead_share", step).mean())


def _update(run, step: int) -> float:
    """Return the median over matrices of the last update beside the weights, as the page about training shows it."""
    ratios = recorded(run, "parameters", "update_ratio", step)
    matrices = [not is_vector(str(name)) for name in run.recorder.coordinates["parameter"]]
    return float(np.median(ratios[matrices] if ratios.size > 1 else ratios))


def _speed(run, step: int) -> float:
    """Return characters a second over the last steps up to this one."""
    train = run.recorder.group("train").variables
    upto = train["step"].values <= step
    seconds, tokens = (train[name].values[upto][-RECENT:] for name in ("seconds", "tokens"))
    if len(seconds) < 2 or seconds[-1] <= seconds[0]:
        return float("nan")
    return float((tokens[-1] - tokens[0]) / (seconds[-1] - seconds[0]))


LARGEST_SCORE = Measure("largest match score of all heads", "qk", _highest("qk_max"))
DEAD_UNITS = Measure("share of dead units", "signal", _dead, write=percent, floor=0.02)  # below 2 % it is a unit or two
UPDATE = Measure("update beside the weights", "training", _update)
PREVIOUS = Measure(
    "best score at reading the previous character", "attention", _highest("previous_token"), "higher", "lower")
MEASURES = (
    Measure("gradient reaching layer 0", "gradients", _stream("gradient_rms", 0)),
    Measure("signal after the last layer", "signal", _stream("rms", -1)),
    LARGEST_SCORE,
    DEAD_UNITS,
    UPDATE,
    PREVIOUS,
    Measure("speed", "training", _speed, "higher", "lower", lambda rate: f"{round(rate, -2):,.0f}", unit=" characters/s",
            caution="Other work on the machine counts too."),
)


def most_changed(run, ghost, step: int) -> tuple[list[tuple[Measure, float, float]], int]:
    """Return (measure, new, old) of what differs, the most first, and how many measures are too close to call.

    What the settings may not be behind comes last.
    """
    found, close = [], 0
    for measure in MEASURES:
        new, old = measure.of(run, step), measure.of(ghost, step)
        ratio = measure.ratio(new, old)
        if ratio is not None and ratio >= CLOSE_RATIO:
            found.append((ratio, measure, new, old))
        elif ratio is not None:
            close += 1
    found.sort(key=lambda one: (bool(one[1].caution), -one[0]))
    return [(measure, new, old) for _, measure, new, old in found], close
