"""Histogram bins: counted as a search among the edges would, whatever the numbers are."""

import numpy as np
import pytest

from tlab_core.bins import ACTIVATION_BINS, GRADIENT_BINS, INSIDE, Bins

KINDS = [ACTIVATION_BINS, GRADIENT_BINS, Bins(1.0, 10.0)]


@pytest.mark.parametrize("bins", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_counts_are_those_of_a_search_among_the_edges(bins, dtype):
    dice = np.random.default_rng(0)
    for size in (bins.scale * 0.1, bins.scale, bins.limit * 0.1, bins.limit * 3):
        numbers = (dice.standard_normal(3000) * size).astype(dtype)
        listed = numbers.tolist()
        expected = [sum(1 for x in listed if left <= x < right) for left, right in zip(bins.left, bins.right, strict=True)]
        np.testing.assert_array_equal(bins.count(numbers), expected)


@pytest.mark.parametrize("bins", KINDS)
def test_the_bin_changes_at_the_very_edge(bins):
    """Among float32 numbers there is none between an edge and the last one nearer zero: those two part."""
    for place, edge in enumerate(bins.edges.astype(np.float32)):
        assert edge == bins.edges[place]  # float32 holds it
        nearer = np.nextafter(edge, np.float32(0))
        farther_bin, nearer_bin = (place, place + 1) if edge < 0 else (place + 1, place)
        assert bins.count(np.array([edge, np.nextafter(edge, edge * 2)])).nonzero()[0].tolist() == [farther_bin]
        assert bins.count(np.array([nearer])).nonzero()[0].tolist() == [nearer_bin]


@pytest.mark.parametrize("bins", KINDS)
def test_edges_are_even_in_asinh(bins):
    steps = np.diff(np.arcsinh(bins.edges / bins.scale))
    # To rounding: an edge moves by at most 2 ** -12 of itself, and both ends of a step can.
    np.testing.assert_allclose(steps, 2 * np.arcsinh(bins.limit / bins.scale) / INSIDE, atol=2 * 2.0**-12)
    np.testing.assert_array_equal(bins.edges, -bins.edges[::-1])


def test_zero_is_in_the_middle_bin():
    counts = ACTIVATION_BINS.count(np.array([0.0, -0.0, 0.0], np.float32))
    assert counts[50] == 3
    assert counts.sum() == 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinities_overflow_and_nans_are_left_out(dtype):
    counts = ACTIVATION_BINS.count(np.array([np.inf, -np.inf, -np.inf, np.nan, -np.nan, 1e38, 0, 1e-40], dtype))
    assert (counts[0], counts[-1], counts[50], counts.sum()) == (2, 2, 2, 6)


def test_what_only_float64_can_hold_overflows():
    assert ACTIVATION_BINS.count(np.array([1e300, -1e300]))[[0, -1]].tolist() == [1, 1]
    assert ACTIVATION_BINS.count(np.array([1e-300]))[50] == 1
