"""Who makes a step: a team has each task of a step done for every shard and returns the results in the shards' order.

So it never changes a number: what the sums are and in which order they are taken is fixed by how the batch was cut
(shards.py), not by who does it. The team of worker processes is in processes.py.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlab_core.batches import Batch
from tlab_core.parallel import EXECUTORS, serial, threads
from tlab_core.shards import Shards


class Team:
    """Does the tasks of a step in this process, as `map` says."""

    map: Callable = staticmethod(serial)

    def __init__(self, model: Any, optimizer: Any, training: Any, shards: int):
        """Get ready to work on batches that are cut into `shards`; buffers are made when first needed."""
        self.model, self.optimizer, self.training, self.count = model, optimizer, training, shards
        self.shards = self._start()

    def _start(self) -> Shards:
        gradients = [np.zeros_like(self.model.flat) for _ in range(self.count)]
        return Shards(self.model, self.optimizer, self.training, gradients)

    def gradient(self, groups: Sequence[Batch], step: int) -> tuple[float, float]:
        """Return the loss and the length of the gradient of all groups of sequences together, whose update leads to `step`.

        One group goes through the model at a time. The gradient is left in the first shard's arrays.
        """
        loss, first, sequences = 0.0, 0, sum(len(tokens) for tokens, _ in groups)
        for tokens, targets in groups:
            self._read(tokens, targets)
            loss += sum(self._do("gradient", step, first, sequences))
            first += len(tokens)
        return loss, math.sqrt(sum(self._do("add_up")))

    def losses(self, tokens: np.ndarray, targets: np.ndarray) -> float:
        """Return the sum of the tokens' losses over some sequences."""
        self._read(tokens, targets)
        return sum(self._do("losses"))

    def update(self, step: int, rate: float, scale: float) -> None:
        """Make update number `step`, at learning rate `rate`, with `scale` times the gradient that `gradient` left."""
        self.optimizer.parameters = self.model.flat  # another trainer of the same model may have moved it meanwhile
        self._do("update", step, rate, scale)
        self.model.updates += 1

    def close(self) -> None:
        """Stop whoever was started, and give back shared memory."""

    def _read(self, tokens: np.ndarray, targets: np.ndarray) -> None:
        self.shards.tokens, self.shards.targets = tokens, targets

    def _do(self, task: str, *numbers: float) -> list[float]:
        function = getattr(self.shards, task)
        return self.map(lambda shard: function(shard, *numbers), range(self.count))


@EXECUTORS.register("serial")
class Serial(Team):
    """One shard after the other."""


@EXECUTORS.register("threads")
class Threads(Team):
    """A thread for each shard."""

    map = staticmethod(threads)
