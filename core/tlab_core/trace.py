"""Look at, or change, what flows through a model: callables that a pass shows every named site to."""

from collections.abc import Callable, Iterable

import numpy as np


class Capture:
    """Copy what flows through the named sites (all of them unless told) in one pass.

    >>> capture = Capture(["logits"])
    >>> _ = capture("logits", np.zeros((1, 2, 3)))
    >>> _ = capture("residual.0", np.ones((1, 2, 4)))
    >>> list(capture.values), capture["logits"].shape
    (['logits'], (1, 2, 3))
    """

    def __init__(self, sites: Iterable[str] | None = None):
        self.sites = None if sites is None else frozenset(sites)
        self.values: dict[str, np.ndarray] = {}

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray:
        if self.sites is None or name in self.sites:
            self.values[name] = x.copy()
        return x

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values


class Edit:
    """Replace what flows through some sites: each named function takes the array there and returns another like it.

    To take head 2 of layer 0 out: `Edit({"blocks.0.heads": lambda x: x * (np.arange(x.shape[1]) != 2)[:, None, None]})`.
    """

    def __init__(self, changes: dict[str, Callable[[np.ndarray], np.ndarray]]):
        self.changes = changes

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.changes[name](x.copy()) if name in self.changes else x
