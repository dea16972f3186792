"""Where analyses are filed: measures of a live run that are taken when someone looks, not at every step."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np

from tlab_core.parallel import one_blas_thread
from tlab_core.registry import Registry

# Each is a function (run, *, options...) -> xr.Dataset that leaves the run as it was.
ANALYSES = Registry("analysis")


class AnalysisError(ValueError):
    """An option that an analysis can't work with; the message says what came and what is allowed."""


def variable(dims: tuple[str, ...], values: Any, long_name: str, units: str = "1") -> tuple:
    """Return what xarray makes a variable of, with its words and its unit."""
    return dims, values, {"long_name": long_name, "units": units}


def chosen(what: str, value: Any, count: int) -> int:
    """Return `value` as an index below `count`, or raise AnalysisError; `what` is the option's name."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= value < count:
        raise AnalysisError(f"{what} = {value!r} is not allowed: it must be a whole number from 0 to {count - 1}.")
    return int(value)


def at_least_one(what: str, value: Any) -> int:
    """Return `value` as a whole number of at least 1, or raise AnalysisError; `what` is the option's name."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise AnalysisError(f"{what} = {value!r} is not allowed: it must be a whole number of at least 1.")
    return int(value)


def held_back(run: Any, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and targets, (n, length) each: pieces of the text that the run never trains on.

    They are evenly spread and don't overlap. There are `count` of them, or as many as the text has room for, at least one;
    they are always the same. `length` must be less than that text has tokens.
    """
    text = run.trainer.data.validation
    last = len(text) - length - 1
    starts = np.linspace(0, last, min(count, last // length + 1)).astype(np.intp)
    places = starts[:, None] + np.arange(length)
    return text[places].astype(np.intp), text[places + 1].astype(np.intp)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold products to one thread each and keep NumPy from warning: a diverged run's infinities are there to be seen.

    Beside a trainer several threads would only wait for each other.
    """
    with one_blas_thread(), np.errstate(all="ignore"):
        yield
