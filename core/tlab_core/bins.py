"""Fixed histogram bins that show numbers near a thousandth and near a thousand on one axis.

Edges are evenly spaced in asinh(x / scale): bins of equal width around zero, of equal ratio far from it, on both
sides of zero. They never move, so that the histograms of step 0 and of step 10,000 can be laid over each other.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

INSIDE = 99  # odd, so that zero is the middle of a bin and a ReLU's exact zeros do not sit on an edge
MIDDLE = INSIDE // 2 + 1  # the bin of zero, the lower overflow bin being number 0
NOWHERE = INSIDE + 2  # where NaNs are counted, to be cut off
# The upper CODE bits of a float32 (sign, exponent, 11 bits of the mantissa) decide which bin it is in, since edges have
# no more. A table of all codes then replaces arithmetic or a search, and counts exactly.
CODE = 20
LOWER = 32 - CODE


@dataclass(frozen=True)
class Bins:
    """`INSIDE` asinh-spaced bins from -limit to limit, and one overflow bin at either end.

    Bin b holds what lies between left[b] and right[b], with left[0] = -inf and right[-1] = inf. A number that is an edge
    belongs to the bin farther from zero.

    >>> bins = Bins(scale=0.001, limit=1000.0)
    >>> len(bins.left), float(bins.right[0]), float(bins.left[-1])
    (101, -1000.0, 1000.0)
    >>> bool(bins.left[50] < 0 < bins.right[50])
    True
    """

    scale: float
    limit: float

    @cached_property
    def edges(self) -> np.ndarray:
        """The `INSIDE` + 1 finite edges, ascending, float64; rounded to 12 binary digits, 0.02 %, a limit included."""
        steps = np.arange(1, INSIDE + 1, 2) / INSIDE  # the edges above zero
        above = self.scale * np.sinh(np.arcsinh(self.limit / self.scale) * steps)
        mantissa, exponent = np.frexp(above)
        above = np.ldexp(np.rint(mantissa * 2.0**12), exponent - 12)
        return np.concatenate([-above[::-1], above])

    @property
    def left(self) -> np.ndarray:
        """Lower edge of every bin, float64 (INSIDE + 2)."""
        return np.concatenate([[-np.inf], self.edges])

    @property
    def right(self) -> np.ndarray:
        """Upper edge of every bin, float64 (INSIDE + 2)."""
        return np.concatenate([self.edges, [np.inf]])

    @cached_property
    def _bin_of_code(self) -> np.ndarray:
        """The bin of each code, uint8 (2 ** CODE): codes of positive numbers, ascending, then those of negative ones."""
        bounds = np.append(self.edges[MIDDLE:], np.inf).astype(np.float32).view(np.int32) >> LOWER
        bounds[-1] += 1  # infinity's own code; NaNs lie behind it
        sizes = np.diff(bounds, prepend=0, append=1 << (CODE - 1))
        away = np.arange(MIDDLE + 1)  # bins from the middle one
        return np.repeat(np.concatenate([MIDDLE + away, [NOWHERE], MIDDLE - away, [NOWHERE]]).astype(np.uint8),
                         np.concatenate([sizes, sizes]))

    def count(self, numbers: np.ndarray) -> np.ndarray:
        """Count how many of some numbers (n,) fall into each bin: int64 (INSIDE + 2).

        Infinities fall into the overflow bins. NaN is no number and falls into none, so the total is n less the NaNs.
        Exact for float32, to which others are rounded first. Working the bin out with an asinh takes 1.4 times as long.
        """
        with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and overflows here too
            numbers = np.ascontiguousarray(numbers, np.float32)
        codes = np.right_shift(numbers.view(np.uint32), LOWER, dtype=np.intp, casting="unsafe")
        bins = self._bin_of_code.take(codes, mode="clip")  # all codes are in the table: "clip" saves the check
        return np.bincount(bins, minlength=NOWHERE + 1)[:NOWHERE]


# From a fresh model's faintest branch to a diverged one's explosion: 0.0003 to 1000, and for gradients 3e-7 to 1, are
# told apart. Larger scales would lump a fresh model without norms into the middle bin.
ACTIVATION_BINS = Bins(scale=1e-3, limit=1e3)
GRADIENT_BINS = Bins(scale=1e-6, limit=1.0)
