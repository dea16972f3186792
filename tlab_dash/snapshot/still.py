"""A run as it stands at one moment, for whoever reads it for seconds while it may be training on."""

from __future__ import annotations

import xarray as xr

from tlab_core.run import Run
from tlab_core.schema import GROUPS


class Still(Run):
    """A run held fast: what is recorded later, or thinned out of memory, makes no difference."""

    def __init__(self, run: Run):
        super().__init__(run.experiment, run.tokenizer, _StillHistory(run.recorder), run.probe_tokens,
                         run.baselines)
        self._step = run.step
        self.samples, self.marks, self.divergence = list(run.samples), list(run.marks), run.divergence

    @property
    def step(self) -> int:
        """Return how many updates the model had had."""
        return self._step


class _StillHistory:
    """The groups of a history as they were; a Dataset that a history has handed out does not change."""

    def __init__(self, history):
        self.coordinates, self.attributes = history.coordinates, dict(history.attributes)
        # Attention first: the others then have a record at each of its steps.
        self._groups = {name: history.group(name) for name in sorted(GROUPS, key=lambda name: name != "attention")}

    def group(self, name: str) -> xr.Dataset:
        """Return a group's records."""
        return self._groups[name]

    def last_step(self, group: str) -> int | None:
        """Return the step of a group's newest record, or None while it has none."""
        steps = self._groups[group].variables["step"].values
        return int(steps[-1]) if len(steps) else None
