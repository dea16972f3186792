"""How a batch is cut into shards, and how jobs are done in this process: one after the other, or a thread for each.

`serial` and `threads` map a function over jobs and return the results in the jobs' order, so they never change a number.
The executors that a setting can name are teams: see team.py, and processes.py for worker processes.

While a step runs, NumPy's matrix products are held to one thread each (`one_blas_thread`). Two shards with one thread each
beat one product spread over two threads, and a product's last bits no longer depend on how many threads it was given.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

import numpy as np
from threadpoolctl import ThreadpoolController

from tlab_core.registry import Registry

EXECUTORS = Registry("executor")  # of subclasses of team.Team

# Seconds of training after which "auto" lets worker processes take over from threads. Measured with 2 shards on 2 cores,
# ms a step:
#     layers, width, batch, length   serial  threads  processes
#     2, 32, 16, 32                     3.0      4.8        2.4
#     2, 64, 16, 64                    12.4      9.5        7.2
#     4, 128, 8, 64                    33.8     23.4       19.3
#     4, 128, 16, 128                   149       82         77
#     6, 256, 16, 128                   648      356        335
# Processes win everywhere, but take 0.4 s (and 60 MB each) to start: not worth it for a run that is over in a moment.
WORTH_PROCESSES = 1.0
# Parameters times tokens of a step from which "auto" takes processes from the start (size 3 of the table has 9.8e9): beside
# steps of 0.1 s and more their start is nothing, and what threads would leave behind, much memory.
LARGE = 3e9


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resolve_shards(shards: int | str, batch_size: int) -> int:
    """Return the number of shards: "auto" is one a core, and never more than there are sequences in a batch."""
    return min(cores() if shards == "auto" else shards, batch_size)


def resolve_executor(executor: str, shards: int) -> str:
    """Return the name of the executor that a run begins with: "auto" is serial for one shard and threads for several."""
    if executor != "auto":
        return EXECUTORS.canonical(executor)
    return "serial" if shards == 1 else "threads"


def cut(size: int, parts: int) -> list[slice]:
    """Cut `size` items into `parts` slices in order, as evenly as possible, the longer ones first.

    >>> [(piece.start, piece.stop) for piece in cut(7, 3)]
    [(0, 3), (3, 5), (5, 7)]

    Raises ValueError when a slice would be empty.
    """
    if not 1 <= parts <= size:
        raise ValueError(f"{size} items can't be cut into {parts} parts: allowed are 1 to {size} parts.")
    whole, longer = divmod(size, parts)
    edges = [part * whole + min(part, longer) for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def quietly(function: Callable, job):
    """Call `function(job)` without NumPy's warnings: whoever asked looks for non-finite numbers itself.

    NumPy keeps this setting for each thread, so it has to be made here, in the thread that works.
    """
    with np.errstate(all="ignore"):
        return function(job)


def serial(function: Callable, jobs: Sequence) -> list:
    """Call `function` on each job, one after the other."""
    return [quietly(function, job) for job in jobs]


def threads(function: Callable, jobs: Sequence) -> list:
    """Call `function` on all jobs at once, each in a thread: the first in the caller's own, the others in the pool.

    NumPy lets go of Python's lock inside its loops, so the threads really run side by side.
    """
    count = min(cores(), len(jobs))

    def every(first: int) -> list:
        return [quietly(function, job) for job in jobs[first::count]]

    others = [pool().submit(every, first) for first in range(1, count)]
    try:
        mine = every(0)
    finally:
        wait(others)  # also after an error: nobody may still be writing into the shared buffers
    results = [None] * len(jobs)
    for first, done in enumerate([mine, *(other.result() for other in others)]):
        results[first::count] = done
    return results


@cache
def pool() -> ThreadPoolExecutor:
    """Return the one thread pool that all trainers of this process share, made when first needed."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="tlab-shard")


class _BlasHold:
    """Counts who needs single-threaded products: the first one in sets the limit, the last one out lifts it.

    Without the count, two trainers in two threads would lift each other's limit in the middle of a step.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.holders = 0
        self.usual: list[int] = []

    def enter(self) -> None:
        with self.lock:
            self.holders += 1
            if self.holders == 1:
                self.usual = [library.num_threads for library in blas_libraries()]
                self._limit([1] * len(self.usual))

    def leave(self) -> None:
        with self.lock:
            self.holders -= 1
            if self.holders == 0:
                self._limit(self.usual)

    @staticmethod
    def _limit(counts: list[int]) -> None:
        for library, count in zip(blas_libraries(), counts, strict=True):
            # threadpoolctl 3.7 and later heed one thread only, the first to ask; here the last one out may be another
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)
            library.set_num_threads(count)


_hold = _BlasHold()


@cache
def blas_libraries() -> list:
    """Return threadpoolctl's handles on the loaded BLAS; looking for them takes milliseconds, so it is done once."""
    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold matrix products to one thread each, in the whole process, until the last such block is left."""
    _hold.enter()
    try:
        yield
    finally:
        _hold.leave()


def blas_kernels() -> list[str]:
    """Return which BLAS does the matrix products and for which processor, such as "openblas SkylakeX"."""
    return [f"{library.internal_api} {getattr(library, 'architecture', 'unknown')}" for library in blas_libraries()]
