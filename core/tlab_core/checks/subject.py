"""What every check of a component by itself needs: whom to blame, what to expect, and parameters to try it with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tlab_core.checks.diagnosis import diagnosis
from tlab_core.checks.differences import compare_all, numeric_gradient
from tlab_core.checks.report import BOUND, Finding, GradientError
from tlab_core.parameters import Parameter, fill, flat_views
from tlab_core.workspace import Workspace

BATCH, LENGTH, WIDTH, HEADS = 2, 3, 8, 2
ROWS = BATCH * LENGTH
DIRECTIONS = 3
EXACT = {"rtol": 1e-9, "atol": 1e-12}


class Subject:
    """The class that is checked: every complaint about it begins with its name."""

    def __init__(self, kind: type, dice: np.random.Generator):
        self.kind, self.name, self.dice = kind, kind.__name__, dice

    def expect(self, holds: bool, message: str) -> None:
        """Raise a GradientError unless something holds."""
        if not holds:
            raise GradientError(f"{self.name}: {message}")

    @contextmanager
    def at(self, doing: str, hint: str = "") -> Iterator[None]:
        """Let whatever the class raises be a GradientError that says in which of its methods."""
        try:
            yield
        except GradientError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}".rstrip(".: ")
            if isinstance(error, ValueError) and "broadcast" in str(error) and "backward" in doing:
                hint = "Shapes don't fit: a sum over the rows (the batch and its positions) is likely missing."
            raise GradientError(f"{self.name}: {doing} raised {said}. {hint}".rstrip()) from error

    def expect_array(self, what: str, found: Any, shape: tuple[int, ...], dtype: str) -> None:
        """Refuse anything but an array of this shape and precision."""
        came = type(found).__name__
        self.expect(isinstance(found, np.ndarray), f"{what} must be an array of shape {shape}, and {came} came.")
        self.expect(found.shape == shape, f"{what} has the shape {found.shape}, and {shape} is expected.")
        self.expect(found.dtype == dtype, (
            f"{what} is {found.dtype} where everything else is {dtype}. A number of NumPy's, such as np.float64(2), may "
            "have crept in; Python's own numbers leave an array's precision as it is."))

    def expect_finite(self, what: str, found: np.ndarray) -> None:
        """Refuse NaN and infinity, with which every comparison would fail."""
        wrong = found[~np.isfinite(found)]
        if wrong.size:
            raise GradientError(
                f"{self.name}: {what} holds {wrong.size} numbers of {found.size} that are not finite, the first of them "
                f"{wrong[0]}. Look for a division by zero, the root or logarithm of a negative number, or an overflow.")

    def expect_nothing(self, method: str, returned: Any, changes: str) -> None:
        """Refuse a method that returns what it should have written in place."""
        self.expect(returned is None, f"{method} returns something. It must change {changes} in place and return nothing.")

    def declared(self, part: Any) -> dict[str, Parameter]:
        """Return what `parameters()` of an instance declares."""
        with self.at("parameters()"):
            found = part.parameters()
        sound = isinstance(found, dict) and all(isinstance(value, Parameter) for value in found.values())
        self.expect(sound, f"parameters() must return a dict of name -> tlab_core.parameters.Parameter, not {found!r}.")
        return found

    def compare(self, loss: Callable[[], float], array: np.ndarray, gradient: np.ndarray, name: str, where: str,
                **clues: Any) -> Finding:
        """Compare a gradient with finite differences, along directions and number by number.

        Raises GradientError, with the likely cause, where one is off; what `clues` return helps to find it.
        """
        finding = compare_all(loss, array, gradient, self.dice, name, where, DIRECTIONS, single=True)
        if finding.error >= BOUND:
            known = {clue: value() if callable(value) else value for clue, value in clues.items()}
            raise GradientError(wrong(self.name, finding, diagnosis(gradient, numeric_gradient(loss, array), **known)))
        return finding


def wrong(component: str, finding: Finding, cause: str) -> str:
    """Return what is said of a wrong gradient."""
    return (f"{component}: backward is wrong for {finding.array} ({finding.where}): the largest relative error is "
            f"{finding.error:.2g}, at most {BOUND:g} is allowed. {cause}")


def workspace_of(declared: dict[str, Parameter], dtype: str) -> Workspace:
    """Return a workspace for a component's parameters, each moved away from its special starting value."""
    shapes, dice = {name: parameter.shape for name, parameter in declared.items()}, np.random.default_rng(1)
    _, parameters = flat_views(shapes, dtype)
    fill(parameters, declared, 0)
    for values in parameters.values():
        values += 0.3 * dice.standard_normal(values.shape)
    flat, gradients = flat_views(shapes, dtype)
    return Workspace(parameters, gradients, flat)
