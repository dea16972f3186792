"""An activation by itself: its value, its slope, and what backward makes of it."""

import numpy as np

from tlab_core.checks.report import Finding
from tlab_core.checks.subject import EXACT, Subject

SHAPE = (4, 9)
CLASSES = "Activations are used as classes, never as instances: write @staticmethod or @classmethod above the method."


def check_activation(activation: type, dice: np.random.Generator) -> list[Finding]:
    """Check an activation number by number."""
    subject = Subject(activation, dice)
    subject.expect(not activation.gated or hasattr(activation, "bend"),
                   "a gated activation needs the attribute `bend`: the plain activation of its gate.")
    start = 2 * dice.standard_normal((2 if activation.gated else 1, *SHAPE))
    _forward(subject, start.astype("float32"))
    value, slopes = _forward(subject, start.copy())
    values = list(start.copy())
    with subject.at("value", CLASSES):
        activation.value(*values, np.full(SHAPE, np.nan))
    subject.expect(np.allclose(values[-1], value, **EXACT),
                   "value() gives another result than forward(), and text is written with value().")
    found = _compare(subject, start, slopes)
    _backward(subject, slopes, dice.standard_normal(SHAPE))
    with subject.at("derivative", CLASSES):
        subject.expect(np.shape(activation.derivative([-1.0, 0.5])) == (2,), "derivative() of two numbers must be two.")
    return found


def _forward(subject: Subject, inputs: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the value and the slope towards each input, worked out with arrays that hold nonsense before."""
    paths, before = list(inputs), inputs.copy()
    slope, scratch = np.full((2, *SHAPE), np.nan, inputs.dtype)
    with subject.at("forward", CLASSES):
        returned = subject.kind.forward(*paths, slope, scratch)
    subject.expect(returned is None, (
        "forward returns something. It must write its value over its last input and its slope to `slope`, in place, and "
        "return nothing."))
    for what, numbers in (("the value", paths[-1]), *(("the slope", one) for one in (slope, *paths[:-1]))):
        subject.expect(np.isfinite(numbers).all(), (
            f"forward leaves numbers that are not finite in {what}: every number must be written, and what `slope` and "
            "`scratch` hold before must not be read."))
    subject.expect(not np.array_equal(paths[-1], before[-1]) or not subject.kind.gated,
                   "forward leaves its last input as it is: the value must be written over it.")
    return paths[-1], [slope, *paths[:-1]]


def _compare(subject: Subject, start: np.ndarray, slopes: list[np.ndarray]) -> list[Finding]:
    """Compare each path's slope with finite differences, and see that each number depends on its own inputs alone."""
    inputs, r = start.copy(), np.random.default_rng(2).standard_normal(SHAPE)

    def result() -> np.ndarray:
        values = list(inputs.copy())
        subject.kind.forward(*values, np.empty(SHAPE), np.empty(SHAPE))
        return values[-1]

    def loss() -> float:
        return float((result() * r).sum())

    before, others = result(), np.ones(SHAPE, bool)
    inputs[:, 0, 0] += 0.5
    others[0, 0] = False
    subject.expect(np.allclose(result()[others], before[others], **EXACT),
                   "changing one number changes the value of others. An activation bends each number by itself.")
    inputs[...] = start
    names = ["input of the gate", "input of the straight path"] if subject.kind.gated else ["input u"]
    return [subject.compare(loss, path, slope * r, name, "alone")
            for name, path, slope in zip(names, inputs, slopes, strict=True)]  # fmt: skip


def _backward(subject: Subject, slopes: list[np.ndarray], da: np.ndarray) -> None:
    gradients = [slope.copy() for slope in slopes]
    with subject.at("backward", CLASSES):
        subject.kind.backward(da.copy(), *gradients)
    for gradient, slope in zip(gradients, slopes, strict=True):
        subject.expect(np.allclose(gradient, slope * da, **EXACT),
                       "backward must write slope · da over each slope, in place.")
