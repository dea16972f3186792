"""Measures of plain arrays: moments that neither overflow nor cancel, and activations that are switched off."""

import math

import numpy as np
import pytest

from tlab_core.activations import ACTIVATIONS
from tlab_core.bins import ACTIVATION_BINS
from tlab_core.signals import Meter, activation_shares, moments


class TestMoments:
    def test_a_large_mean_does_not_swallow_the_spread(self):
        row = np.float32(1000) + np.arange(4096, dtype=np.float32)[None] % 2
        spread = moments(row)
        assert spread["std"][0] == pytest.approx(0.5, rel=1e-9)
        assert spread["mean"][0] == pytest.approx(1000.5, rel=1e-12)

    def test_squares_do_not_overflow_or_vanish(self):
        np.testing.assert_allclose(moments(np.full((1, 9), 1e30, np.float32))["rms"], 1e30, rtol=1e-6)
        np.testing.assert_allclose(moments(np.full((1, 9), 1e-30, np.float32))["rms"], 1e-30, rtol=1e-6)

    def test_a_constant_row_has_no_spread(self):
        assert moments(np.full((1, 1000), 0.1, np.float32))["std"][0] == pytest.approx(0, abs=1e-8)

    def test_each_row_is_summed_as_it_needs(self):
        """Rows that float32 can sum, and some that it can't, in one call: all come out as in exact sums."""
        dice = np.random.default_rng(0).standard_normal((6, 30_000)).astype(np.float32)
        dice *= np.array([1, 1e-6, 1e-22, 1e20, 1, 0], np.float32)[:, None]
        dice[4] += 3000
        spread = moments(dice)
        for place, row in enumerate(dice.tolist()):
            mean = math.fsum(row) / len(row)
            std = math.sqrt(math.fsum((x - mean) ** 2 for x in row) / len(row))
            rms = math.sqrt(math.fsum(x * x for x in row) / len(row))
            assert spread["rms"][place] == pytest.approx(rms, rel=2e-6)
            assert spread["std"][place] == pytest.approx(std, rel=2e-6)
            assert spread["mean"][place] == pytest.approx(mean, abs=1e-6 * rms)
            assert spread["max"][place] == max(map(abs, row))

    def test_a_broken_row_leaves_the_others_alone(self):
        rows = np.ones((3, 10), np.float32)
        rows[0, 3], rows[1, 3] = np.nan, np.inf
        spread = moments(rows)
        assert np.isnan([spread[name][0] for name in ("rms", "mean", "std", "max")]).all()
        assert spread["max"][1] == spread["rms"][1] == np.inf
        assert spread["rms"][2] == spread["mean"][2] == spread["max"][2] == 1

    def test_a_meter_sorts_arrays_of_any_size_and_number(self):
        dice = np.random.default_rng(0)
        sizes = [5, 40_000, 5, 1, 40_000, 5]
        shown = {f"site {i}": dice.standard_normal((3, size), np.float32) for i, size in enumerate(sizes)}
        meter = Meter(dict.fromkeys(["never", *reversed(shown)], ACTIVATION_BINS) | {"site 3": None})
        for name, x in shown.items():
            assert meter(name, x) is x
        meter("nobody asked", np.ones(3))
        meter.finish()
        assert np.isnan(meter.moments["rms"][0])
        for place, x in enumerate(reversed(shown.values()), start=1):
            assert meter.moments["rms"][place] == pytest.approx(math.sqrt((x.astype(float) ** 2).mean()), rel=2e-6)
            assert meter.moments["max"][place] == np.abs(x).max()
            expected = np.histogram(x, ACTIVATION_BINS.edges)[0]  # nothing here is large enough to overflow
            assert meter.counts[place].tolist() == [0, *(0 * expected if x.size == 3 else expected), 0]


class TestActivationShares:
    @pytest.mark.parametrize("name", ACTIVATIONS.names())
    def test_a_unit_is_off_where_the_curve_is_flat(self, name):
        activation = ACTIVATIONS.get(name)
        x = np.random.default_rng(1).normal(-6, 4, (2, 5, 50)) + 1e-3
        x[0, :, :10] = -30 + np.arange(5)[:, None]
        off = np.zeros(x.shape, bool)
        for place in np.ndindex(x.shape):  # the slope by differences, not by the class's own derivative
            low, high = activation.curve(np.array([x[place] - 1e-5, x[place] + 1e-5]))
            off[place] = abs(high - low) / 2e-5 < 0.01
        shares = activation_shares(x, activation)
        for layer in range(2):
            units = [all(off[layer, t, unit] for t in range(5)) for unit in range(50)]
            assert shares["dead_share"][layer] == pytest.approx(sum(units) / 50)
            assert shares["saturated_share"][layer] == pytest.approx(off[layer].mean())
        assert 0.2 <= shares["dead_share"][0] < shares["saturated_share"][0] < 1

    def test_relu_is_dead_where_nothing_ever_comes_out(self):
        x = np.array([[[-1.0, -1.0, 0.0], [-2.0, 3.0, -5.0]]])
        out = np.maximum(x, 0)
        assert activation_shares(x, ACTIVATIONS.get("ReLU"))["dead_share"][0] == (out == 0).all(axis=1).mean()

    def test_nan_is_not_off(self):
        shares = activation_shares(np.full((1, 4, 3), np.nan), ACTIVATIONS.get("ReLU"))
        assert shares["dead_share"][0] == shares["saturated_share"][0] == 0
