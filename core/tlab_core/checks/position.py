"""A position encoding by itself: what it does to embeddings, to queries and keys, and to match scores."""

from typing import Any

import numpy as np

from tlab_core.checks.report import Finding
from tlab_core.checks.subject import BATCH, EXACT, HEADS, LENGTH, WIDTH, Subject, workspace_of
from tlab_core.config import Architecture

FUTURE = "the model would see the future"


def check_position(position: type, dice: np.random.Generator) -> list[Finding]:
    """Check an encoding in the three places where it may act."""
    subject = Subject(position, dice)
    architecture = Architecture(hidden_dim=WIDTH, num_heads=HEADS, max_seq_len=9, pos_encoding_type="None", init_std=0.3)
    with subject.at("making it as (architecture)"):
        encoding = position(architecture)
    for dtype in ("float32", "float64"):
        _bias(subject, encoding, dtype)
    return _embed(subject, encoding) + _rotate(subject, encoding)


def _embed(subject: Subject, encoding: Any) -> list[Finding]:
    shape, work = (BATCH, LENGTH, WIDTH), workspace_of(subject.declared(encoding), "float64")
    start, r = subject.dice.standard_normal((2, *shape))
    x = start.copy()

    def embedded() -> np.ndarray:
        work.begin(BATCH, LENGTH, None)
        y = x.copy()
        with subject.at("embed"):
            subject.expect_nothing("embed", encoding.embed(y, work), "x")
        return y

    def loss() -> float:
        return float((embedded() * r).sum())

    y = embedded()
    x[:, -1] += 1.0
    subject.expect(np.allclose(embedded()[:, :-1], y[:, :-1], **EXACT),
                   f"embed lets a later character change an earlier one: {FUTURE}.")
    x[...] = start
    embedded()
    dx = r.copy()
    with subject.at("embed_backward"):
        subject.expect_nothing("embed_backward", encoding.embed_backward(dx, work), "dx")
    gradients = {name: gradient.copy() for name, gradient in work.gradients.items()}
    found = [subject.compare(loss, x, dx, "embeddings x", "alone")]
    for name, gradient in gradients.items():
        found.append(subject.compare(loss, work.parameters[name], gradient, f"parameter {name}", "alone", rows=BATCH))
    return found


def _rotate(subject: Subject, encoding: Any) -> list[Finding]:
    shape = (BATCH, HEADS, LENGTH, WIDTH // HEADS)
    start, r = subject.dice.standard_normal((2, *shape))
    x = start.copy()

    def rotated(given: np.ndarray, *past: int) -> np.ndarray:
        y = given[None].copy()  # (..., heads, length, head_dim), as queries and keys come together
        with subject.at("rotate"):
            subject.expect_nothing("rotate", encoding.rotate(y, *past), "x")
        return y[0]

    def loss() -> float:
        return float((rotated(x) * r).sum())

    whole = rotated(x)
    subject.expect(np.allclose(rotated(x[..., 1:, :], 1), whole[..., 1:, :], **EXACT), (
        "rotate takes no account of `past`, the number of positions before the first. Text is written one character at a "
        "time, and each would be taken for the first."))
    rotated(x.astype(np.float32))  # in place, so that it can't change the precision, but it may refuse it
    dx = r.copy()
    with subject.at("rotate_backward"):
        subject.expect_nothing("rotate_backward", encoding.rotate_backward(dx), "dx")
    return [subject.compare(loss, x, dx, "queries and keys x", "alone")]


def _bias(subject: Subject, encoding: Any, dtype: str) -> None:
    """Refuse a bias of a wrong shape or that is not finite, and a mask that lets a query see later keys."""
    size = LENGTH + 4
    with subject.at("bias"):
        short, long = encoding.bias(LENGTH), encoding.bias(size)
    for bias in (short, long):
        subject.expect(bias is None or isinstance(bias, np.ndarray),
                       f"bias returns a {type(bias).__name__}, and an array (heads, query, key) or None is expected.")
    if long is not None:
        expected = (HEADS, size, size)
        subject.expect(np.shape(long) == expected,
                       f"bias({size}) has the shape {np.shape(long)}, and (heads, query, key) = {expected} is expected.")
        seen = np.tril(np.ones((size, size), bool))
        subject.expect(np.isfinite(long[:, seen]).all(), "bias has numbers that are not finite where a query may look.")
        first = np.s_[:, :LENGTH, :LENGTH]
        subject.expect(np.allclose(np.where(seen, long, 0)[first], np.where(seen[:LENGTH, :LENGTH], short, 0), **EXACT), (
            "bias is another for the same two positions of a longer text. It may depend on where query and key stand, and "
            "not on the length."))
    with subject.at("mask"):
        mask = encoding.mask(LENGTH, np.dtype(dtype))
    kind = f"array of {mask.ndim} axes" if isinstance(mask, np.ndarray) else type(mask).__name__
    subject.expect(isinstance(mask, np.ndarray) and mask.ndim == 3,
                   f"mask returns {kind}, and an array (heads or 1, query, key) is expected.")
    future = np.triu(np.ones((LENGTH, LENGTH), bool), 1)
    sound = mask.shape[1:] == (LENGTH, LENGTH) and np.isneginf(mask[:, future]).all()
    subject.expect(sound, f"mask must be −∞ wherever a key comes after its query, or {FUTURE}.")
