"""A team of worker processes: they do the shards, on shared memory, and this process waits or does the first ones itself.

Threads wait for each other at Python's lock, some 900 NumPy calls a shard and step; processes don't (crew.py).
"""

import threading
from typing import Any

import numpy as np

from tlab_core.crew import Crew, WorkerError, state_of
from tlab_core.parallel import EXECUTORS, serial, threads
from tlab_core.parameters import move
from tlab_core.shards import Shards
from tlab_core.team import Team


@EXECUTORS.register("processes")
class Processes(Team):
    """A process for each shard, but no more than there are cores (or two, if there is one).

    This process is the first, unless a thread other than its main one drives the training: then there is something beside
    it (a server's event loop, a notebook), which Python's lock is left to.
    """

    map = staticmethod(threads)  # for what isn't a task of a step

    def __init__(self, model: Any, optimizer: Any, training: Any, shards: int, crew: Crew | None = None):
        """Take over `crew`, or start one; raises WorkerError if that fails."""
        self.crew = crew or Crew(training, shards, beside_others()).start(model, optimizer, training, shards)
        self.failure: WorkerError | None = None
        super().__init__(model, optimizer, training, shards)

    def _start(self) -> Shards:
        """Move model and optimizer into shared memory."""
        shared = self.crew.shared
        self._move(shared["parameters"], {name: shared[name] for name in state_of(self.optimizer)})
        gradients = [shared[f"gradient.{shard}"] for shard in range(self.count)]
        return Shards(self.model, self.optimizer, self.training.replace(), gradients)

    def _move(self, flat: np.ndarray, state: dict[str, np.ndarray]) -> None:
        """Let the model's parameters and the optimizer's state live in these arrays from now on."""
        move(self.model, flat)
        self.optimizer.parameters = flat
        for name, old in state_of(self.optimizer).items():
            state[name][...] = old
            setattr(self.optimizer, name, state[name])

    def close(self) -> None:
        """Stop the workers and move model and optimizer back into ordinary memory."""
        if not self.crew.stop.alive:
            return
        self.crew.stop()
        flat = self.model.flat
        flat = np.empty_like(flat) if flat is self.crew.shared["parameters"] else flat  # else another trainer has it
        self._move(flat, {name: np.empty_like(array) for name, array in state_of(self.optimizer).items()})

    def _read(self, tokens: np.ndarray, targets: np.ndarray) -> None:
        rows, shared = len(tokens), self.crew.shared
        self.shards.tokens, self.shards.targets = shared["tokens"][:rows], shared["targets"][:rows]
        self.shards.tokens[...], self.shards.targets[...] = tokens, targets
        if self.crew.heed(self.training):  # once a step, so that all shards use the same throughout
            self.shards.training = self.training.replace()
        if self.failure is None and self.model.flat is not shared["parameters"]:
            move(self.model, shared["parameters"])  # another trainer of the same model had moved it

    def _do(self, task: str, *numbers: float) -> list[float]:
        if self.failure is not None:
            raise self.failure
        self.crew.send(task, numbers, len(self.shards.tokens))
        try:
            ours = serial(lambda shard: getattr(self.shards, task)(shard, *numbers), self.crew.mine)
        finally:  # also after an error: nobody may still be writing into the shared arrays
            others = self._answers()
        results = others | dict(zip(self.crew.mine, ours, strict=True))
        return [results[shard] for shard in range(self.count)]

    def _answers(self) -> dict[int, float]:
        try:
            return self.crew.receive()
        except BaseException as error:
            interrupted = WorkerError("a step was interrupted while worker processes were at it")
            self.failure = error if isinstance(error, WorkerError) else interrupted
            self.close()
            raise


def beside_others() -> bool:
    """Tell whether this thread is not the process's main one."""
    return threading.current_thread() is not threading.main_thread()
