"""What a check found: the numbers it compared, how far off the worst was, and what else it looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlab_core.display import Described
from tlab_core.display.description import Description, Row, Table

BOUND = 2e-5  # of a relative error; a right gradient stays orders of magnitude below


class GradientError(ValueError):
    """A component that would not learn as it should; the message names the array, how far off it is, and a likely cause."""


@dataclass(frozen=True)
class Finding:
    """The worst of some comparisons of one array's gradient with finite differences.

    array       the parameter or the input
    where       alone, or in which models
    compared    how many directions and single numbers
    error       the largest relative error, |numeric − analytic| / (|numeric| + |analytic| + 0.0001)
    """

    array: str
    where: str
    compared: int
    error: float


@dataclass(frozen=True, repr=False)
class GradientReport(Described):
    """A component whose gradients are right: every array that was compared, and what else holds."""

    name: str
    kind: str
    findings: tuple[Finding, ...]
    also: tuple[str, ...]
    bound: float = BOUND

    @property
    def largest_error(self) -> float:
        """Return the largest relative error of all comparisons."""
        return max((finding.error for finding in self.findings), default=0.0)

    @property
    def compared(self) -> int:
        """Return how many comparisons were made."""
        return sum(finding.compared for finding in self.findings)

    def describe(self) -> Description:
        """Return the result in a sentence, a row for each array, and what else was checked."""
        rows = tuple(Row((finding.array, finding.where, f"{finding.compared:,}", f"{finding.error:.1e}"))
                     for finding in self.findings)  # fmt: skip
        summary = (f"{self.compared:,} comparisons with finite differences in float64: the largest relative error is "
                   f"{self.largest_error:.1e}, at most {self.bound:g} is allowed.")
        return Description(
            f"{self.name} ({self.kind}): its gradients are right", (summary,),
            (Table("Compared", rows, ("array", "where", "comparisons", "largest error"), right=(2, 3)),
             Table("Also checked", tuple(Row((line,)) for line in self.also))),
        )  # fmt: skip

    def one_line(self) -> str:
        """Return the result in one line."""
        return (f"<GradientReport: {self.name} ({self.kind}) is right, {self.compared:,} comparisons, largest error "
                f"{self.largest_error:.1e}>")


def merged(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return one finding for each array and place, in the order in which they first came."""
    found: dict[tuple[str, str], Finding] = {}
    for one in findings:
        known = found.get((one.array, one.where), Finding(one.array, one.where, 0, 0.0))
        found[one.array, one.where] = Finding(
            one.array, one.where, known.compared + one.compared, max(known.error, one.error))
    return tuple(found.values())
