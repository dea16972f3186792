"""A team of worker processes on shared memory: this process does the first shards, each worker some of the others.

Threads wait for each other at Python's lock, some 900 NumPy calls a shard and step; processes don't. A worker is a child
that runs worker.py. Parameters, gradients, the optimizer's averages and the batch lie in memory that all see
(shared_arrays.py); what goes through the pipes is one line of JSON a task, and nothing is pickled. So it works from a plain
script without a `__main__` guard, from a notebook and from a server's thread.

Workers go when the team is closed or collected, when this process ends, and also when it is killed: see worker.py.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from typing import Any

import numpy as np

from tlab_core.parallel import EXECUTORS, cores, serial, threads
from tlab_core.parameters import move
from tlab_core.registry import Registry
from tlab_core.shards import Shards
from tlab_core.shared_arrays import Layout, SharedArrays
from tlab_core.team import Team

PATIENCE = 2.0  # seconds that a worker gets to end by itself before it is killed
LAST_WORDS = 12  # lines of a worker's standard error that its WorkerError quotes
ONE_THREAD = dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"], "1")
# A child sees the modules that this process sees: the first thing it does is to take over sys.path.
COMMAND = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from tlab_core.worker import main; main()"


class WorkerError(RuntimeError):
    """A worker process could not begin, or ended in the middle of a run. `reason` says so without the advice."""

    def __init__(self, reason: str, last_words: str = ""):
        self.reason = reason
        quoted = f"\nThe last it wrote:\n{last_words}" if last_words else ""
        super().__init__(
            f'{reason}. To train without worker processes, make a new Trainer of the model with executor="threads".{quoted}'
        )


class Worker:
    """The parent's end of one worker process."""

    def __init__(self, number: int, of: int, handle: int | str):
        self.name = f"worker {number} of {of}"
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe would fill up; closed in stop_workers)
        path = [os.path.abspath(place) for place in sys.path]  # "" is the current folder
        # A session of its own: Ctrl-C in a terminal is for the parent alone, which ends its step first.
        if os.name == "posix":
            apart = {"start_new_session": True, "pass_fds": [handle]}
        else:
            apart = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", COMMAND, json.dumps(path), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=os.environ | ONE_THREAD,
            **apart,
        )

    def send(self, message: dict[str, Any]) -> None:
        """Give the worker something to do; that it is gone will be noticed when its answer is read."""
        with suppress(OSError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Wait for the worker's answer; raises WorkerError when the worker ends instead."""
        line = self.process.stdout.readline()
        if line.endswith(b"\n"):
            return json.loads(line)
        try:
            ending = how_it_ended(self.process.wait(PATIENCE))
        except subprocess.TimeoutExpired:
            ending = "stopped answering"
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").splitlines()
        raise WorkerError(f"{self.name} (process {self.process.pid}) {ending}", "\n".join(lines[-LAST_WORDS:]))


def how_it_ended(code: int) -> str:
    """Say in words what an exit code means.

    >>> how_it_ended(1), how_it_ended(-9)
    ('ended with exit code 1', 'was killed by SIGKILL')
    """
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name if -code in set(signal.Signals) else f'signal {-code}'}"


def stop_workers(workers: list[Worker], owner: int) -> None:
    """End the worker processes: closing what they read from tells them to; who doesn't heed it is killed."""
    if os.getpid() != owner:
        return  # a fork of the process that started them
    for worker in workers:
        with suppress(OSError):  # raised when it is gone already and something was left to write
            worker.process.stdin.close()
    for worker in workers:
        try:
            worker.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        worker.process.stdout.close()
        worker.errors.close()


@EXECUTORS.register("processes")
class Processes(Team):
    """A process for each shard, but no more than there are cores (or two, if there is one); this one is the first."""

    map = staticmethod(threads)  # for what isn't a task of a step

    def _start(self) -> Shards:
        """Start the workers, then move model and optimizer into shared memory; raises WorkerError if that fails."""
        self.failure: WorkerError | None = None
        self.workers: list[Worker] = []
        self._stop = weakref.finalize(self, stop_workers, self.workers, os.getpid())
        total = min(self.count, max(2, cores()))
        self.mine = range(0, self.count, total)
        try:
            self._start_workers(total)
        except BaseException as error:
            self._stop()
            if isinstance(error, OSError):
                raise WorkerError(f"a worker could not be started: {error}") from error
            raise
        self._move(self.shared["parameters"], {name: self.shared[name] for name in state_of(self.optimizer)})
        gradients = [self.shared[f"gradient.{shard}"] for shard in range(self.count)]
        return Shards(self.model, self.optimizer, self.training, gradients)

    def _start_workers(self, total: int) -> None:
        model, kind = self.model, type(self.model)
        if (kind.__module__, kind.__qualname__) != ("tlab_core.transformer", "Transformer"):
            raise WorkerError(f"a worker could not build the model: it knows Transformer, but not {kind.__qualname__}")
        self.sent = self.training.to_dict()
        self.shared = SharedArrays(self._layout())
        order = {
            "architecture": model.architecture.to_dict(),
            "training": self.sent,
            "modules": modules_of(model.architecture, self.training),
            "layout": self.shared.layout,
            "handle": self.shared.handle,
            "state": list(state_of(self.optimizer)),
            "shards": self.count,
        }
        try:
            for number in range(1, total):
                self.workers.append(Worker(number, total - 1, self.shared.handle))
            for number, worker in enumerate(self.workers, start=1):
                worker.send(order | {"mine": list(range(number, self.count, total))})
            for worker in self.workers:
                if error := worker.receive().get("error"):
                    raise WorkerError(f"a worker could not build the model: {error}")
        finally:
            self.shared.close_handle()

    def _layout(self) -> Layout:
        flat, batch = self.model.flat, (self.training.batch_size, self.training.seq_len)
        layout = {"parameters": (flat.shape, flat.dtype.name)}
        layout |= {f"gradient.{shard}": (flat.shape, flat.dtype.name) for shard in range(self.count)}
        layout |= {name: (array.shape, array.dtype.name) for name, array in state_of(self.optimizer).items()}
        return layout | {name: (batch, np.dtype(np.intp).name) for name in ("tokens", "targets")}

    def _move(self, flat: np.ndarray, state: dict[str, np.ndarray]) -> None:
        """Let the model's parameters and the optimizer's state live in these arrays from now on."""
        move(self.model, flat)
        self.optimizer.parameters = flat
        for name, old in state_of(self.optimizer).items():
            state[name][...] = old
            setattr(self.optimizer, name, state[name])

    def close(self) -> None:
        """Stop the workers and move model and optimizer back into ordinary memory."""
        if not self._stop.alive:
            return
        self._stop()
        flat = self.model.flat
        flat = np.empty_like(flat) if flat is self.shared["parameters"] else flat  # else another trainer has it
        self._move(flat, {name: np.empty_like(array) for name, array in state_of(self.optimizer).items()})

    def _read(self, tokens: np.ndarray, targets: np.ndarray) -> None:
        rows = len(tokens)
        self.shards.tokens, self.shards.targets = self.shared["tokens"][:rows], self.shared["targets"][:rows]
        self.shards.tokens[...], self.shards.targets[...] = tokens, targets
        if self.failure is None and self.model.flat is not self.shared["parameters"]:
            move(self.model, self.shared["parameters"])  # another trainer of the same model had moved it

    def _do(self, task: str, *numbers: float) -> list[float]:
        if self.failure is not None:
            raise self.failure
        message = {"task": task, "numbers": numbers, "rows": len(self.shards.tokens)}
        if (settings := self.training.to_dict()) != self.sent:
            message["training"] = self.sent = settings
        for worker in self.workers:
            worker.send(message)
        try:
            ours = serial(lambda shard: getattr(self.shards, task)(shard, *numbers), self.mine)
        finally:  # also after an error: nobody may still be writing into the shared arrays
            others = self._answers()
        results = others | dict(zip(self.mine, ours, strict=True))
        return [results[shard] for shard in range(self.count)]

    def _answers(self) -> dict[int, float]:
        try:
            answers = [worker.receive()["results"] for worker in self.workers]
        except BaseException as error:
            interrupted = WorkerError("a step was interrupted while worker processes were at it")
            self.failure = error if isinstance(error, WorkerError) else interrupted
            self.close()
            raise
        return {int(shard): value for results in answers for shard, value in results.items()}


def state_of(optimizer: Any) -> dict[str, np.ndarray]:
    """Return what an optimizer remembers from step to step: its arrays, but for the parameters themselves."""
    arrays = {name: value for name, value in vars(optimizer).items() if isinstance(value, np.ndarray)}
    arrays.pop("parameters", None)
    return arrays


def modules_of(*settings: Any) -> list[str]:
    """Return the modules outside the lab that define the components which these settings name.

    A worker imports them, so that a component from a module of the user's is registered there too. One from a script or a
    notebook (`__main__`) can't be imported.
    """
    found = set()
    for part in settings:
        for name, value in part.to_dict().items():
            options = getattr(part.param[name], "options", None)
            if isinstance(options, Registry) and value in options:
                found.add(options.get(value).__module__)
    return sorted(module for module in found if module != "__main__" and not module.startswith("tlab_core."))
