"""check_gradients: right components pass, and each way to be wrong is told from the others."""

import math
import re

import numpy as np
import pytest

from tests.core.extensions import PeakNorm
from tlab_core import GradientError, GradientReport, check_gradients
from tlab_core.activations import ACTIVATIONS, Activation, Gated
from tlab_core.checks import Finding
from tlab_core.checks.gradients import found
from tlab_core.norms import NORMS, Norm, RMSNorm
from tlab_core.parameters import Parameter
from tlab_core.positions import POSITIONS, ALiBi, PositionEncoding, RoPE, Sinusoidal
from tlab_core.registry import UnknownNameError
from tlab_core.residuals import PreLN, ResidualLayout


def refused(component, **how) -> str:
    with pytest.raises(GradientError) as caught:
        check_gradients(component, **how)
    return str(caught.value)


def test_a_norm_of_ones_own_needs_no_registration():
    report = check_gradients(PeakNorm)
    assert (report.name, report.kind) == ("PeakNorm", "norm")
    assert report.largest_error < 1e-5 == report.bound / 2
    assert report.compared > 500
    assert {"input x", "parameter norm.weight", "blocks.*.norm1.weight"} <= {finding.array for finding in report.findings}
    assert "PeakNorm" not in NORMS
    assert "PeakNorm (norm): its gradients are right" in str(report)
    assert repr(report).startswith("<GradientReport: PeakNorm (norm) is right, ")


def test_a_report_shows_a_strangers_name_as_text():
    shown = GradientReport("<b>Bold</b>", "norm", (Finding("<i>x</i>", "alone", 1, 0.0),), ())._repr_html_()
    assert "&lt;b&gt;Bold" in shown
    assert not {"<b>", "<i>"} & set(re.findall("<[^>]*>", shown))


class WrongSign(PeakNorm):
    def backward(self, dy, work):
        return -super().backward(dy, work)


class Doubled(PeakNorm):
    def backward(self, dy, work):
        dx = super().backward(dy, work)
        work.gradient(self.weight)[...] = 2 * (dy * work.saved[self.name][0]).sum(axis=0)
        return dx


class MeanForSum(PeakNorm):
    def backward(self, dy, work):
        dx = super().backward(dy, work)
        work.gradient(self.weight)[...] = (dy * work.saved[self.name][0]).mean(axis=0)
        return dx


class LastRow(PeakNorm):
    def backward(self, dy, work):
        dx = super().backward(dy, work)
        for row in dy * work.saved[self.name][0]:
            work.gradient(self.weight)[...] = row
        return dx


class Forgotten(PeakNorm):
    def backward(self, dy, work):
        dx = super().backward(dy, work)
        work.gradient(self.weight)
        return dx


class NoScaleTerm(RMSNorm):
    def backward(self, dy, work):
        super().backward(dy, work)
        x, w = work.saved["x"], work.parameters[self.weight]
        return dy * w / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5)

    def forward(self, x, work):
        work.saved["x"] = x.copy()
        return super().forward(x, work)


class NoMeanTerm(Norm):
    """y = x − mean(x)."""

    def forward(self, x, work):
        return x - x.mean(axis=-1, keepdims=True)

    def backward(self, dy, work):
        return dy.copy()


class Unsummed(PeakNorm):
    def backward(self, dy, work):
        dx = super().backward(dy, work)
        gradient = work.gradient(self.weight)
        gradient += dy * work.saved[self.name][0]
        return dx


@pytest.mark.parametrize(("norm", "array", "cause"), [
    (WrongSign, "input x", "The sign is wrong: backward gives minus the gradient."),
    (Doubled, "parameter norm.weight", "Backward gives 2 times the gradient: a factor is wrong."),
    (MeanForSum, "parameter norm.weight", r"1/6 of the gradient: a mean over the 6 rows .* where a sum belongs"),
    (LastRow, "parameter norm.weight", "Only one row counts, the last: a sum over the rows"),
    (Forgotten, "parameter norm.weight", "Backward leaves it at zero"),
    (NoScaleTerm, "input x", "in proportion to the input: the term that goes through the row's scale"),
    (NoMeanTerm, "input x", "the term that goes through the row's mean is missing"),
])
def test_a_wrong_norm_is_told_where_and_why(norm, array, cause):
    with pytest.raises(GradientError, match=cause) as caught:
        check_gradients(norm)
    said = str(caught.value)
    assert said.startswith(f"{norm.__name__}: backward is wrong for {array} (alone, with biases): the largest relative ")
    assert "at most 2e-05 is allowed" in said
    assert "finite differences give" in said


class NotANumber(PeakNorm):
    def forward(self, x, work):
        return super().forward(x, work) * np.sqrt(np.sign(x))


class Silent(PeakNorm):
    def backward(self, dy, work):
        raise ArithmeticError


def test_numbers_that_are_not_finite_are_told_as_such():
    """A comparison with NaN fails whatever it compares, and would blame that."""
    said = refused(NotANumber)
    assert re.match(r"NotANumber: what forward returns holds \d+ numbers of 48 that are not finite, the .* nan\.", said)


def test_a_method_that_is_not_written_yet_is_told_as_such():
    half = type("Half", (Norm,), {"forward": PeakNorm.forward})
    assert refused(half) == "Half has no backward: write one, as Norm says."
    assert refused(Silent) == "Silent: backward raised ArithmeticError."


def test_a_missing_sum_over_the_rows_that_numpy_notices():
    said = refused(Unsummed)
    assert "Unsummed: backward raised ValueError: non-broadcastable output operand" in said
    assert "a sum over the rows (the batch and its positions) is likely missing" in said


def variant(base, **methods):
    return type("Variant", (base,), methods)


def with_own_buffer(name):
    def forward(self, x, work):
        u = work.buffer(name.format(self=self), *x.shape)
        np.divide(x, np.abs(x).mean(axis=-1, keepdims=True) + 1e-5, out=u)
        work.saved[self.name] = u, np.abs(x).mean(axis=-1, keepdims=True) + 1e-5, np.sign(x)
        return work.parameters[self.weight] * u

    return forward


@pytest.mark.parametrize(("norm", "said"), [
    (variant(PeakNorm, forward=lambda self, x, work: PeakNorm.forward(self, x, work)[:, :-1]),
     "what forward returns has the shape (6, 7), and (6, 8) is expected"),
    (variant(PeakNorm, forward=lambda self, x, work: PeakNorm.forward(self, x, work) * np.float64(1)),
     "what forward returns is float64 where everything else is float32"),
    (variant(PeakNorm, forward=lambda self, x, work: None), "must be an array of shape (6, 8), and NoneType came"),
    (variant(Norm, forward=lambda self, x, work: x, backward=lambda self, dy, work: dy.copy()),
     "forward returns its input or a view of it"),
    (variant(Norm, forward=lambda self, x, work: x * 2, backward=lambda self, dy, work: np.multiply(dy, 2, out=dy)),
     "backward changes dy"),
    (variant(PeakNorm, forward=lambda self, x, work: PeakNorm.forward(self, np.multiply(x, 2, out=x), work)),
     "forward changes its input x"),
    (variant(PeakNorm, parameters=lambda self: {"gain": Parameter((self.dim,))}),
     "the parameter 'gain' must be named after its norm"),
    (variant(PeakNorm, parameters=lambda self: {self.weight: (self.dim,)}), "parameters() must return a dict of name -> "),
    (variant(Norm, forward=lambda self, x, work: x - x.mean(axis=0), backward=lambda self, dy, work: dy - dy.mean(axis=0)),
     "what it makes of one position changes with the numbers of another. A later one is the future"),
    (variant(PeakNorm, backward=lambda self, dy, work: 1 / 0), "backward raised ZeroDivisionError"),
    (variant(PeakNorm, forward=with_own_buffer("u")), "Alone it was right, so parts of the model may get in each other's "),
])
def test_what_else_a_norm_can_get_wrong(norm, said):
    assert said in refused(norm)


def test_a_gradient_that_does_not_add_up_over_pieces():
    def backward(self, dy, work):
        dx = PeakNorm.backward(self, dy, work)
        work.gradient(self.weight)[...] = (dy * work.saved[self.name][0]).sum(axis=0)
        return dx

    said = refused(variant(PeakNorm, backward=backward))
    assert "a batch that goes through in two pieces gives another gradient" in said
    assert "work.gradient(name) += ..." in said


# ---- activations


class Squared(Activation):
    """f(u) = max(0, u)²."""

    @staticmethod
    def forward(u, slope, scratch):
        np.maximum(u, 0, out=u)
        np.multiply(u, 2, out=slope)
        u *= u


class Squiglu(Gated):
    bend = Squared


@pytest.mark.parametrize("activation", [Squared, Squiglu])
def test_an_activation_of_ones_own(activation):
    assert check_gradients(activation).kind == "activation"


def half_slope(u, slope, scratch):
    Squared.forward(u, slope, scratch)
    slope *= 0.5


def centred(u, slope, scratch):
    u -= u.mean()
    slope[...] = 1


@pytest.mark.parametrize(("methods", "said"), [
    ({"forward": staticmethod(half_slope)}, "backward is wrong for input u (alone)"),
    ({"forward": lambda self, u, slope, scratch: None}, "write @staticmethod or @classmethod"),
    ({"forward": staticmethod(lambda u, slope, scratch: np.maximum(u, 0))}, "forward returns something"),
    ({"forward": staticmethod(lambda u, slope, scratch: None)}, "not finite in the slope"),
    ({"value": staticmethod(lambda u, scratch: np.maximum(u, 0, out=u))}, "value() gives another result than forward()"),
    ({"backward": staticmethod(lambda da, slope: slope.__imul__(-da))}, "backward must write slope · da"),
    ({"forward": staticmethod(centred)},
     "changing one number changes the value of others"),
])
def test_what_an_activation_can_get_wrong(methods, said):
    assert said in refused(variant(Squared, **methods))


def test_a_gated_activation_needs_its_bend():
    lacking = type("Lacking", (Gated,), {})
    assert "needs the attribute `bend`" in refused(lacking)


# ---- position encodings


class Shifted(PositionEncoding):
    """Add to each position a fixed number of its own."""

    table = True

    def embed(self, x, work):
        x += np.sin(np.arange(work.past, work.past + x.shape[1]))[:, None].astype(x.dtype)


def test_a_position_encoding_of_ones_own():
    report = check_gradients(Shifted)
    assert report.kind == "position encoding"
    assert {"embeddings x", "queries and keys x"} <= {finding.array for finding in report.findings}


def rolled(self, x, work):
    x[:, :-1] += x[:, 1:]


def forgets_past(self, x, past=0):
    RoPE._turn(self, x, +1, 0)


def from_the_start(self, x, work):
    x += np.sin(np.arange(x.shape[1]))[:, None].astype(x.dtype)


def by_length(self, length):
    return ALiBi.bias(self, length) / length


@pytest.mark.parametrize(("base", "methods", "said"), [
    (PositionEncoding, {"embed": rolled}, "embed lets a later character change an earlier one: the model would see the "),
    (RoPE, {"rotate": forgets_past}, "rotate takes no account of `past`"),
    (Shifted, {"embed": from_the_start}, "is written one character at a time is scored otherwise"),
    (RoPE, {"rotate_backward": lambda self, dx: self._turn(dx, +1)}, "backward is wrong for queries and keys x (alone)"),
    (Sinusoidal, {"embed_backward": lambda self, dx, work: None}, "backward is wrong for embeddings x (alone)"),
    (ALiBi, {"bias": by_length}, "bias is another for the same two positions of a longer text"),
    (ALiBi, {"bias": lambda self, length: np.zeros((length, length))}, "bias(7) has the shape (7, 7)"),
    (ALiBi, {"bias": lambda self, length: np.full((2, length, length), -np.inf)}, "not finite where a query may look"),
    (PositionEncoding, {"mask": lambda self, length, dtype, past=0: np.zeros((1, length, length), dtype)},
     "mask must be −∞ wherever a key comes after its query"),
    (ALiBi, {"bias": lambda self, length: [[0.0] * length] * length}, "bias returns a list, and an array"),
    (PositionEncoding, {"mask": lambda self, length, dtype, past=0: [0.0]}, "mask returns list, and an array (heads or 1,"),
    (PositionEncoding, {"mask": lambda self, length, dtype, past=0: np.zeros(length)}, "mask returns array of 1 axes, and"),
    (Sinusoidal, {"embed": lambda self, x, work: x * math.sqrt(2)}, "embed returns something"),
])
def test_what_a_position_encoding_can_get_wrong(base, methods, said):
    assert said in refused(variant(base, **methods))


# ---- residual layouts


class Halved(ResidualLayout):
    """x ← x + f(N(x)) / 2."""

    def forward(self, x, work):
        x += 0.5 * self.branch.forward(self._norm(0, x, work), work)
        return x

    def backward(self, dy, work):
        dy += self._norm_backward(0, self.branch.backward(0.5 * dy, work), work)
        return dy


def test_a_residual_layout_is_checked_in_models():
    assert check_gradients(Halved).kind == "residual layout"

    def unscaled(self, dy, work):
        return PreLN.backward(self, dy, work)

    said = refused(variant(Halved, backward=unscaled))
    assert "Variant: backward is wrong for " in said
    assert "(in a model with " in said


# ---- what to check


def test_names_and_kinds():
    assert found("gelu", None) == (2, ACTIVATIONS.get("GELU"))
    with pytest.raises(ValueError, match="'None' is the name of more than one component: say which by kind='norm' or 'p"):
        check_gradients("None")
    assert found("None", "position encoding") == (3, POSITIONS.get("None"))
    with pytest.raises(UnknownNameError, match=r"nothing is registered as 'RMSNrm'\. Did you mean 'RMSNorm'\?"):
        check_gradients("RMSNrm")
    with pytest.raises(ValueError, match=r"kind = 'nrom' is not allowed.*Did you mean 'norm'\?"):
        check_gradients("None", kind="nrom")
    with pytest.raises(TypeError, match="int can't be checked: it must derive from one of Norm, ResidualLayout, "):
        check_gradients(int)
    with pytest.raises(TypeError, match="give the class itself"):
        check_gradients(PeakNorm("norm", 4, True))
    assert "PeakNorm" not in [*NORMS.names(), *ACTIVATIONS.names()]
