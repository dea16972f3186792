"""Histogram bins: counted as a search among the edges would, whatever the numbers are."""

import numpy as np
import pytest

from tlab_core.bins import ACTIVATION_BINS, GRADIENT_BINS, Bins


@pytest.mark.parametrize("bins", [ACTIVATION_BINS, GRADIENT_BINS, Bins(1.0, 10.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_counts_are_those_of_a_search_among_the_edges(bins, dtype):
    dice = np.random.default_rng(0)
    sizes = np.array([bins.scale * 0.1, bins.scale, bins.limit * 0.1, bins.limit * 3])
    rows = (dice.standard_normal((4, 3000)) * sizes[:, None]).astype(dtype)
    # Only rounding decides about numbers that touch an edge; they are tested below.
    distance = np.abs(rows[..., None] - bins.edges).min(axis=-1)
    rows[distance < 1e-5 * np.abs(rows)] = 0
    expected = [
        [sum(1 for x in row if left <= x < right) for left, right in zip(bins.left, bins.right, strict=True)]
        for row in rows.astype(float).tolist()
    ]
    np.testing.assert_array_equal(bins.count(rows), expected)


def test_edges_are_even_in_asinh():
    steps = np.diff(np.arcsinh(ACTIVATION_BINS.edges / ACTIVATION_BINS.scale))
    np.testing.assert_allclose(steps, steps[0])
    np.testing.assert_allclose(ACTIVATION_BINS.edges, -ACTIVATION_BINS.edges[::-1])


def test_zero_is_in_the_middle_bin():
    counts = ACTIVATION_BINS.count(np.zeros((1, 5), np.float32))
    assert counts[0, 50] == 5
    assert counts.sum() == 5


def test_infinities_overflow_and_nans_are_left_out():
    rows = np.array([[np.inf, -np.inf, -np.inf, np.nan, 1e38, 0, 1e-40]], np.float32)
    counts = ACTIVATION_BINS.count(rows)[0]
    assert (counts[0], counts[-1], counts[50], counts.sum()) == (2, 2, 2, 6)


def test_rows_are_counted_apart():
    counts = ACTIVATION_BINS.count(np.array([[np.nan, 1e9], [0, 0]], np.float32))
    assert counts.sum(axis=1).tolist() == [1, 2]
