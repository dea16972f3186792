"""A norm by itself: what it gives back, what it leaves alone, and its gradients."""

import numpy as np

from tlab_core.checks.differences import numeric_gradient
from tlab_core.checks.report import Finding
from tlab_core.checks.subject import BATCH, EXACT, LENGTH, ROWS, WIDTH, Subject, workspace_of

NAME = "norm"  # of the norm that is tried


def check_norm(norm: type, dice: np.random.Generator) -> list[Finding]:
    """Check a norm on a few rows, with and without biases."""
    subject = Subject(norm, dice)
    return [finding for use_bias in (True, False) for finding in _Norm(subject, use_bias).check()]


class _Norm:
    def __init__(self, subject: Subject, use_bias: bool):
        self.subject = subject
        self.where = f"alone, {'with' if use_bias else 'without'} biases"
        with subject.at("making it as (name, dim, use_bias)"):
            self.norm = subject.kind(NAME, WIDTH, use_bias)
        self.declared = subject.declared(self.norm)
        for name in self.declared:
            subject.expect(name.startswith(f"{NAME}."), (
                f"the parameter {name!r} must be named after its norm, as self.weight is, or all norms of a model would "
                f'share it: write f"{{self.name}}.{name}".'))
        self.x, self.r = 1.5 * dice_of(subject, 1) + 0.4, dice_of(subject, 2)

    def check(self) -> list[Finding]:
        self.passes("float32")
        work, y, dx = self.passes("float64")
        self.rows_stay_apart(work, y)
        gradients = {name: gradient.copy() for name, gradient in work.gradients.items()}

        def loss() -> float:
            return float((self.norm.forward(self.x, work) * self.r).sum())

        def row_by_row(array: np.ndarray) -> list[np.ndarray]:
            def of_row(i: int) -> float:
                return float((self.norm.forward(self.x, work)[i] * self.r[i]).sum())

            return [numeric_gradient(lambda i=i: of_row(i), array) for i in range(ROWS)]

        found = [self.subject.compare(loss, self.x, dx, "input x", self.where, given=self.x)]
        for name, gradient in gradients.items():
            array = work.parameters[name]
            found.append(self.subject.compare(loss, array, gradient, f"parameter {name}", self.where, rows=ROWS,
                                              by_row=lambda array=array: row_by_row(array)))
        return found

    def passes(self, dtype: str):
        """Go forward and back once, and see what comes and what is left alone."""
        subject, shape = self.subject, (ROWS, WIDTH)
        work = workspace_of(self.declared, dtype)
        work.begin(BATCH, LENGTH, None)
        x, r = self.x.astype(dtype), self.r.astype(dtype)
        given, above = x.copy(), r.copy()
        with subject.at("forward"):
            y = self.norm.forward(x, work)
        subject.expect_array("what forward returns", y, shape, dtype)
        subject.expect_finite("what forward returns", y)
        subject.expect(np.array_equal(x, given), (
            "forward changes its input x, which the residual stream still needs. Write into a buffer of the norm's own, as "
            'work.buffer(f"{self.name}.y", *x.shape).'))
        subject.expect(not np.shares_memory(x, y), (
            "forward returns its input or a view of it, which the residual stream will add to: return its own buffer."))
        y = y.copy()
        with subject.at("backward"):
            dx = self.norm.backward(r, work)
        subject.expect_array("what backward returns", dx, shape, dtype)
        subject.expect_finite("what backward returns", dx)
        subject.expect(np.array_equal(r, above), "backward changes dy, the gradient at its output, which others read.")
        subject.expect(not np.shares_memory(dx, r), "backward returns dy or a view of it: return a buffer of its own.")
        return work, y, dx.copy()

    def rows_stay_apart(self, work, y: np.ndarray) -> None:
        """Refuse a norm of one position that depends on other positions: in the same text that is the future."""
        other = self.x.copy()
        other[-1] += 1.0
        self.subject.expect(np.allclose(self.norm.forward(other, work)[:-1], y[:-1], **EXACT), (
            "what it makes of one position changes with the numbers of another. A later one is the future, which the model "
            "must not see: norm each row by itself (axis -1)."))


def dice_of(subject: Subject, seed: int) -> np.ndarray:
    """Return random rows (ROWS, WIDTH), the same at each call."""
    return np.random.default_rng(seed).standard_normal((ROWS, WIDTH))
