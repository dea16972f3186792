"""Worker processes on shared memory: started, told what to build, given tasks, stopped.

Parameters, gradients, the optimizer's averages and the batch lie in memory that all see (shared_arrays.py); what goes
through the pipes is one line of JSON a task, and nothing is pickled. So it works from a plain script without a `__main__`
guard, from a notebook and from a server's thread. A worker is a child that runs worker.py.

Workers go when their crew is closed or collected, when this process ends, and also when it is killed: see worker.py.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from contextlib import suppress
from typing import Any

import numpy as np

from tlab_core.parallel import cores
from tlab_core.registry import Registry
from tlab_core.shared_arrays import Layout, SharedArrays

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


class Crew:
    """The workers for one trainer's shards, who have built its model on shared memory and wait for tasks.

    `apart`: this process does none of the shards itself, and its Python's lock is free for others.
    """

    living: "weakref.WeakSet[Crew]" = weakref.WeakSet()

    def __init__(self, training: Any, shards: int, apart: bool):
        """Divide the shards among workers to come, who count as alive from now on."""
        places = min(shards, max(2, cores()))
        self.mine = range(0) if apart else range(0, shards, places)
        self.theirs = [list(range(first, shards, places)) for first in range(0 if apart else 1, places)]
        self.sent, self.news = training.to_dict(), {}  # settings that the workers know, and those that they don't yet
        self.workers: list[Worker] = []
        self.stop = weakref.finalize(self, stop_workers, self.workers, os.getpid())
        self.living.add(self)

    @classmethod
    def workers_alive(cls) -> int:
        """Return how many workers this process has in all."""
        return sum(len(crew.theirs) for crew in list(cls.living) if crew.stop.alive)

    def start(self, model: Any, optimizer: Any, training: Any, shards: int) -> "Crew":
        """Start the workers and wait until they are ready; returns itself. Raises WorkerError if that fails."""
        try:
            self._start(model, optimizer, training, shards)
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise WorkerError(f"a worker could not be started: {error}") from error
            raise
        return self

    def _start(self, model: Any, optimizer: Any, training: Any, shards: int) -> None:
        kind = type(model)
        if (kind.__module__, kind.__qualname__) != ("tlab_core.transformer", "Transformer"):
            raise WorkerError(f"a worker could not build the model: it knows Transformer, but not {kind.__qualname__}")
        self.shared = SharedArrays(layout_of(model, optimizer, training, shards))
        order = {
            "architecture": model.architecture.to_dict(),
            "training": self.sent,
            "modules": modules_of(model.architecture, training),
            "layout": self.shared.layout,
            "handle": self.shared.handle,
            "state": list(state_of(optimizer)),
            "shards": shards,
        }
        try:
            for number in range(len(self.theirs)):
                self.workers.append(Worker(number + 1, len(self.theirs), self.shared.handle))
            for worker, shards_of_its in zip(self.workers, self.theirs, strict=True):
                worker.send(order | {"mine": shards_of_its})
            for worker in self.workers:
                if error := worker.receive().get("error"):
                    raise WorkerError(f"a worker could not build the model: {error}")
        finally:
            self.shared.close_handle()

    def send(self, task: str, numbers: tuple[float, ...], rows: int) -> None:
        """Give every worker its part of a task."""
        for worker in self.workers:
            worker.send({"task": task, "numbers": numbers, "rows": rows} | self.news)
        self.news = {}

    def heed(self, training: Any) -> bool:
        """Note the settings for the next task; tell whether they are others than before."""
        settings = training.to_dict()
        if settings == self.sent:
            return False
        self.sent, self.news = settings, {"training": settings}
        return True

    def receive(self) -> dict[int, float]:
        """Wait for all answers and return each shard's."""
        answers = [worker.receive()["results"] for worker in self.workers]
        return {int(shard): value for results in answers for shard, value in results.items()}


def room_for(shards: int, apart: bool) -> bool:
    """Tell whether this process has few enough workers to start those for one trainer more: two a core, in all.

    A server with thirty tabs would otherwise drown in them.
    """
    needed = min(shards, max(2, cores())) - (not apart)
    return Crew.workers_alive() + needed <= 2 * cores()


class Hiring:
    """A crew that gets ready in the background, while the trainer goes on without it.

    Equal shards give equal bits whoever computes them, so the crew can take over between any two steps.
    """

    _deciding = threading.Lock()

    def __init__(self, model: Any, optimizer: Any, training: Any, shards: int, apart: bool):
        """Begin to start a crew."""
        self.crew = Crew(training, shards, apart)
        self.error: WorkerError | None = None
        self._thread = threading.Thread(target=self._hire, args=(model, optimizer, training, shards), name="tlab-hiring",
                                        daemon=True)
        self._thread.start()

    @classmethod
    def if_there_is_room(cls, model: Any, optimizer: Any, training: Any, shards: int, apart: bool) -> "Hiring | None":
        """Begin to start a crew, unless this process has workers enough (see `room_for`)."""
        with cls._deciding:  # or the trainers of many pages would all find the last place free
            return cls(model, optimizer, training, shards, apart) if room_for(shards, apart) else None

    def _hire(self, *given: Any) -> None:
        try:
            self.crew.start(*given)
        except WorkerError as error:
            self.error = error

    @property
    def done(self) -> bool:
        """Tell whether there is a crew, or an error that says why not."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Wait until there is either."""
        self._thread.join()

    def cancel(self) -> None:
        """Send the crew away again, as soon as it is there."""
        self.wait()
        self.crew.stop()


def layout_of(model: Any, optimizer: Any, training: Any, shards: int) -> Layout:
    """Return the arrays that a trainer shares with its workers."""
    flat, batch = model.flat, (training.batch_size, training.seq_len)
    layout = {"parameters": (flat.shape, flat.dtype.name)}
    layout |= {f"gradient.{shard}": (flat.shape, flat.dtype.name) for shard in range(shards)}
    layout |= {name: (array.shape, array.dtype.name) for name, array in state_of(optimizer).items()}
    return layout | {name: (batch, np.dtype(np.intp).name) for name in ("tokens", "targets")}


def state_of(optimizer: Any) -> dict[str, np.ndarray]:
    """Return what an optimizer remembers from step to step: its arrays, but for the parameters themselves."""
    arrays = {name: value for name, value in vars(optimizer).items() if isinstance(value, np.ndarray)}
    arrays.pop("parameters", None)
    return arrays


def modules_of(*settings: Any) -> list[str]:
    """Return the modules outside the lab that define the components which these settings name.

    A worker imports them, so that a component from a module of the user's is registered there too. Raises WorkerError for
    one from a script or a notebook (`__main__`), which can't be imported.
    """
    found = set()
    for part in settings:
        for name, value in part.to_dict().items():
            options = getattr(part.param[name], "options", None)
            if isinstance(options, Registry) and value in options:
                found.add(options.get(value).__module__)
                if options.get(value).__module__ == "__main__":
                    raise WorkerError(f"a worker could not build the model: {name} = {value!r} is defined in the script or "
                                      "notebook itself, which it can't import. Define it in a module of its own")
    return sorted(module for module in found if not module.startswith("tlab_core."))
