"""Why a turned knob shows in what was measured: in a few words where two runs show it, and the lesson that asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tlab_core.activations import ACTIVATIONS
from tlab_core.schema import SITES
from tlab_dash.figures import recent_loss, short
from tlab_dash.measures import CLOSE_RATIO, DEAD_UNITS, LARGEST_SCORE, PREVIOUS, UPDATE, Measure, recorded

HIGHER = object()  # in place of a knob's value: whichever of two numbers is the larger


@dataclass(frozen=True)
class Turn:
    """The one knob that a run and its ghost differ in, and the step at which they can be compared."""

    knob: str
    before: object
    after: object
    run: object
    ghost: object
    step: int

    def among(self, value: object) -> bool:
        """Return whether one of the two runs has this value."""
        return value in (self.before, self.after)

    def both(self, knob: str, value: object) -> bool:
        """Return whether both runs have this value of a knob of the architecture."""
        return all(getattr(one.experiment.architecture, knob) == value for one in (self.run, self.ghost))

    def gates_differ(self) -> bool:
        """Return whether one of the two activations is gated and the other is not."""
        before, after = (ACTIVATIONS.look(name).gated for name in (self.before, self.after))
        return before != after

    def higher_is_worse(self) -> bool:
        """Return whether the run with the larger of two numbers broke, or has the higher loss."""
        high, low = (self.run, self.ghost) if self.after > self.before else (self.ghost, self.run)
        return high.divergence is not None or (self.step > 0 and recent_loss(high, self.step) > recent_loss(low, self.step))


@dataclass(frozen=True)
class Reason:
    """A pattern that a knob's value is known to make, and why.

    value    which of the two runs is spoken of: the one that has this value, or the one with the HIGHER number
    measure  the number that shows it
    larger   whether that run's number is the larger one
    because  why, in the words of the knob or the component
    least    what the larger number must exceed, whatever the other one is
    unless   where the pattern would have another cause
    """

    knob: str
    value: object
    measure: Measure
    larger: bool
    because: str
    least: float = 0.0
    unless: Callable[[Turn], bool] = lambda turn: False

    def shown(self, turn: Turn) -> tuple[float, float] | None:
        """Return the numbers of the run and of the ghost where they show the pattern, None where they don't."""
        if turn.knob != self.knob:  # first, as the values of some other knobs can't be told which is larger
            return None
        value = max(turn.before, turn.after) if self.value is HIGHER else self.value
        if not turn.among(value) or self.unless(turn):
            return None
        new, old = (self.measure.of(one, turn.step) for one in (turn.run, turn.ghost))
        mine, other = (new, old) if turn.after == value else (old, new)
        high, low = (mine, other) if self.larger else (other, mine)
        if not np.isfinite([high, low]).all() or not low < high or not self.least < high:
            return None
        return (new, old) if (self.measure.ratio(high, low) or 0) >= CLOSE_RATIO else None


def _growth(run, step: int) -> float:
    signal = recorded(run, "residual", "rms", step)
    return float(signal[-1] / signal[0]) if signal[0] else float("nan")


def _late_gradient(run, step: int) -> float:
    gradients = recorded(run, "layers", "gradient_rms", step)
    if gradients.ndim < 2:  # nothing was recorded at this step
        return float("nan")
    first, last = gradients[[0, -1], SITES.index("mlp")]
    return float(last / first) if first else float("nan")


def _entry(run, step: int) -> float:
    return float(recorded(run, "residual", "rms", step)[0])


REASONS = (
    Reason("architecture.residual_type", "Post-LN",
           Measure("gradient at the last feed-forward, beside that at the first,", "gradients", _late_gradient,
                   write=lambda times: f"{short(times)}×"), True,
           "in Post-LN every gradient must pass every layer's norm.", least=1.2,
           unless=lambda turn: turn.both("norm_type", "None")),
    Reason("architecture.norm_type", "None",
           Measure("signal's growth through the layers", "signal", _growth, write=lambda times: f"{short(times)}×"), True,
           "without a norm, sizes drift from layer to layer.", least=CLOSE_RATIO),
    Reason("architecture.activation_type", "ReLU", DEAD_UNITS, True, "with ReLU, a unit that never fires never learns."),
    Reason("architecture.qk_norm", True, LARGEST_SCORE, False,
           "QK-norm rescales queries and keys, so scores can't grow without bound."),
    Reason("architecture.pos_encoding_type", "ALiBi", PREVIOUS, True,
           "ALiBi lowers each match score by the distance looked back."),
    Reason("architecture.pos_encoding_type", "Sinusoidal", Measure("signal before the first layer", "signal", _entry), True,
           "Sinusoidal scales the embeddings up to match its waves."),
    Reason("training.learning_rate", HIGHER, UPDATE, True, "the learning rate is how far each step moves the weights."),
)


def reason_of(turn: Turn) -> tuple[Reason, float, float] | None:
    """Return the reason that the two runs show, with the run's number and the ghost's; None where they show none."""
    return next(((reason, *pair) for reason in REASONS if (pair := reason.shown(turn)) is not None), None)


@dataclass(frozen=True)
class Pointer:
    """From a knob to a lesson, where it `fits`; `answers` is False for one that only has to do with the knob."""

    knob: str
    lesson: str
    fits: Callable[[Turn], bool] = lambda turn: True
    answers: bool = True


# The first that fits is offered.
POINTERS = (
    Pointer("architecture.residual_type", "norm-first",
            lambda turn: turn.among("Post-LN") and not turn.both("norm_type", "None")),
    Pointer("architecture.norm_type", "which-norm"),
    Pointer("architecture.activation_type", "gated-units", Turn.gates_differ),
    Pointer("architecture.activation_type", "dead-units", lambda turn: turn.among("ReLU")),
    Pointer("architecture.pos_encoding_type", "train-short-test-long", lambda turn: turn.among("ALiBi")),
    Pointer("architecture.pos_encoding_type", "rope-distance", lambda turn: turn.among("RoPE")),
    Pointer("architecture.qk_norm", "logit-growth"),
    Pointer("architecture.num_layers", "induction", lambda turn: turn.run.experiment.corpus == "induction"),
    Pointer("architecture.num_layers", "rank-collapse", answers=False),
    Pointer("training.warmup_steps", "norm-first", lambda turn: turn.both("residual_type", "Post-LN")),
    Pointer("training.learning_rate", "logit-growth", Turn.higher_is_worse),
    Pointer("training.seq_len", "train-short-test-long", answers=False),
)


def lesson_of(turn: Turn) -> Pointer | None:
    """Return the lesson that asks what the knob does, None where none does."""
    return next((pointer for pointer in POINTERS if pointer.knob == turn.knob and pointer.fits(turn)), None)
