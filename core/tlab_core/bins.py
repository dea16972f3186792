"""Fixed histogram bins that show numbers near a thousandth and near a thousand on one axis.

Edges are evenly spaced in asinh(x / scale): bins of equal width around zero, of equal ratio far from it, on both
sides of zero. They never move, so that the histograms of step 0 and of step 10,000 can be laid over each other.
"""

from dataclasses import dataclass

import numpy as np

INSIDE = 99  # odd, so that zero is the middle of a bin and a ReLU's exact zeros do not sit on an edge


@dataclass(frozen=True)
class Bins:
    """`INSIDE` asinh-spaced bins from -limit to limit, and one overflow bin at either end.

    Bin b holds left[b] <= x < right[b], with left[0] = -inf and right[-1] = inf.

    >>> bins = Bins(scale=0.001, limit=1000.0)
    >>> len(bins.left), float(bins.right[0]), float(bins.left[-1])
    (101, -1000.0, 1000.0)
    >>> bool(bins.left[50] < 0 < bins.right[50])
    True
    """

    scale: float
    limit: float

    @property
    def edges(self) -> np.ndarray:
        """The `INSIDE` + 1 finite edges, ascending, float64."""
        reach = np.arcsinh(self.limit / self.scale)
        edges = self.scale * np.sinh(np.linspace(-reach, reach, INSIDE + 1))
        edges[[0, -1]] = -self.limit, self.limit
        return edges

    @property
    def left(self) -> np.ndarray:
        """Lower edge of every bin, float64 (INSIDE + 2)."""
        return np.concatenate([[-np.inf], self.edges])

    @property
    def right(self) -> np.ndarray:
        """Upper edge of every bin, float64 (INSIDE + 2)."""
        return np.concatenate([self.edges, [np.inf]])

    def count(self, rows: np.ndarray) -> np.ndarray:
        """Count how many numbers of each row fall into each bin: (R, n) -> int64 (R, INSIDE + 2).

        Infinities fall into the overflow bins. NaN is no number and falls into none, so a row's total is n less its
        NaNs. A number within rounding of an edge may be counted in the bin next to it: the bin comes from one asinh
        and one multiplication, which is many times faster than a search among the edges.
        """
        per_unit = INSIDE / (2 * np.arcsinh(self.limit / self.scale))
        with np.errstate(all="ignore"):  # a diverged run's infinities and NaNs are data here, not accidents
            position = np.arcsinh(rows * rows.dtype.type(1 / self.scale))
            position *= rows.dtype.type(per_unit)
            position += rows.dtype.type(INSIDE / 2 + 1)  # asinh(0) to the middle of the middle bin
            np.clip(position, 0, INSIDE + 1, out=position)
            np.fmin(position, INSIDE + 2, out=position)  # NaN, which clip lets pass, to a column that is cut off
        width = INSIDE + 3
        index = position.astype(np.intp)
        index += np.arange(len(rows))[:, None] * width
        counts = np.bincount(index.ravel(), minlength=len(rows) * width)
        return counts.reshape(len(rows), width)[:, :-1]


# From a fresh model's faintest branch to a diverged one's explosion: 0.0003 to 1000, and for gradients 3e-7 to 1, are
# told apart. Larger scales would lump a fresh model without norms into the middle bin.
ACTIVATION_BINS = Bins(scale=1e-3, limit=1e3)
GRADIENT_BINS = Bins(scale=1e-6, limit=1.0)
