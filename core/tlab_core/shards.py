"""What is done with one shard of a batch: its forward and backward pass, and its share of the sums and of the update.

Every task is known by its name and the number of a shard, takes plain numbers and returns one. Who calls it (team.py), in
this process or in another, never changes a result.
"""

import math
import threading
from typing import Any

import numpy as np

from tlab_core.dropout import Dropout
from tlab_core.objective import Objective
from tlab_core.optimizers import blocks
from tlab_core.parallel import cut
from tlab_core.parameters import named_views
from tlab_core.workspace import Workspace


class Shards:
    """The shards of one batch. Shard i also looks after span i of the parameters, when gradients are added up and used.

    A process that works on some of the shards only makes no buffers for the others, and still sees all gradients.
    """

    def __init__(self, model: Any, optimizer: Any, training: Any, gradients: list[np.ndarray]):
        """Work on `model`, with one flat array of gradients a shard to write into."""
        self.model, self.optimizer, self.training, self.gradients = model, optimizer, training, gradients
        size = model.flat.size
        self.spans, self.update_spans = cut(size, min(len(gradients), size)), optimizer.spans(len(gradients))
        self._works: dict[int, Workspace] = {}
        self._mine = threading.local()
        self.tokens = self.targets = np.zeros((0, 0), np.intp)

    def work(self, shard: int) -> Workspace:
        """Return a shard's workspace, made when first needed, with the buffers of the thread that asks.

        Shards that one thread works on in turn share buffers: half the memory, and the next shard finds them in cache.
        """
        if shard not in self._works:
            views = named_views(self.gradients[shard], self.model.shapes)
            self._works[shard] = Workspace(self.model.parameters, views, self.gradients[shard])
        if not hasattr(self._mine, "buffers"):
            self._mine.buffers = {}
        self._works[shard].buffers = self._mine.buffers
        return self._works[shard]

    def rows(self, shard: int) -> slice:
        """Return which sequences of the batch are the shard's; none, where a batch has fewer sequences than shards."""
        count = len(self.tokens)
        pieces = cut(count, min(len(self.gradients), count))
        return pieces[shard] if shard < len(pieces) else slice(0, 0)

    # ---- the tasks

    def gradient(self, shard: int, step: int, first: int, sequences: int) -> float:
        """Leave the gradients of the shard's part of the mean loss in its array, and return that part of the loss.

        The sequences at hand are those from number `first` on of all `sequences` whose update leads to `step`; from the
        second time on, the gradients add up.
        """
        part, training = self.rows(shard), self.training
        return self.model.shard_loss_and_grads(
            self.tokens[part],
            self.targets[part],
            self.work(shard),
            1 / (sequences * self.tokens.shape[1]),
            objective=Objective.of(training),
            dropout=dropout_of(training, step, first, part),
            adding=first > 0,
        )

    def losses(self, shard: int) -> float:
        """Return the sum of the losses of the shard's tokens."""
        part = self.rows(shard)
        if part.start == part.stop:
            return 0.0
        return float(self.model.shard_losses(self.tokens[part], self.targets[part], self.work(shard)).sum())

    def add_up(self, shard: int) -> float:
        """Add all shards' gradients into the first one's, over this shard's span; return the sum of its squares."""
        return sum_gradients(self.gradients, self.spans[shard]) if shard < len(self.spans) else 0.0

    def update(self, shard: int, step: int, rate: float, scale: float) -> float:
        """Make update number `step` on this shard's span of the parameters, with `scale` times the summed gradient."""
        if shard < len(self.update_spans):
            self.optimizer.update(self.gradients[0], self.update_spans[shard], step, rate, self.training, scale)
        return 0.0


def dropout_of(training: Any, step: int, first: int, part: slice) -> Dropout | None:
    """Return the dropout for the sequences `part` of a group that begins with sequence `first` of the step's; or None."""
    if training.dropout == 0:
        return None
    return Dropout.of_step(training.dropout, training.seed, step, range(first + part.start, first + part.stop))


def sum_gradients(gradients: list[np.ndarray], span: slice) -> float:
    """Add the shards' gradients into the first one's, over `span`, and return the sum of the result's squares.

    Blocks go in order, shards go in order within each, and the squares add up in float64: the same numbers whoever
    computes them.
    """
    total, first = 0.0, gradients[0]
    for block in blocks(span.start, span.stop):
        part = first[block]
        for other in gradients[1:]:
            part += other[block]
        square = float(np.dot(part, part))
        if not math.isfinite(square):  # too long for float32 to square, perhaps, and still finite
            wide = part.astype(np.float64)
            square = float(np.dot(wide, wide))
        total += square
    return total
