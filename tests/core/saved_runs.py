"""Tiny runs for the tests of run folders, and a process that trains them, to be killed.

`python -m tests.core.saved_runs STORE EXECUTOR` forks a child for each line that it reads, and says its process id. The
child goes on with the run "it" in that store, or begins it, and writes a line after each commit, until it is killed.
"""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tlab_core import Architecture, Experiment, LiveRun, Training
from tlab_core.runs import RunStore
from tlab_core.schema import GROUPS

STORY = "the cat sat on the mat and the dog ran to the red barn. a bird sang, and then it flew away over the hill.\n" * 20


def tiny_experiment(folder: Path, executor: str = "serial", **training) -> Experiment:
    """Return an experiment of which a step takes a millisecond, on a text that is written into `folder`."""
    text = folder / "story.txt"
    text.write_text(STORY)
    knobs = {"batch_size": 4, "seq_len": 8, "warmup_steps": 4, "shards": 2, "learning_rate": 0.01, "eval_every": 10,
             "statistics_every": 5, "steps": 60, **training}
    return Experiment(
        architecture=Architecture(hidden_dim=8, num_layers=1, num_heads=2, max_seq_len=16),
        training=Training(executor=executor, **knobs), corpus=str(text),
    )  # fmt: skip


@contextmanager
def files_no_longer_than(size):
    """Let the system refuse to write past `size` bytes of a file, as a quota does."""
    import pytest  # which the process below needs not

    resource = pytest.importorskip("resource")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def same_history(one, other) -> None:
    """Compare what two runs have recorded, all but the clock."""
    for group in GROUPS:
        ours, theirs = (run.recorder.group(group).load().drop_vars("seconds", errors="ignore") for run in (one, other))
        assert ours.identical(theirs), group


def same_run(one: LiveRun, other: LiveRun) -> None:
    """Compare everything of two live runs to the last bit, but the clock."""
    assert np.array_equal(one.model.flat, other.model.flat)
    assert np.array_equal(one.trainer.optimizer.average, other.trainer.optimizer.average)
    assert np.array_equal(one.trainer.optimizer.square_average, other.trainer.optimizer.square_average)
    assert (one.step, one.trainer.tokens) == (other.step, other.trainer.tokens)
    same_history(one, other)


def train(store: RunStore, experiment: Experiment) -> None:
    """Go on with the run "it", or begin it, and tell of each commit, until this process is killed or left alone."""
    parent = os.getppid()
    if store.list():
        run, writer, _ = store.resume("it", every=0.05)
    else:
        run = LiveRun(experiment)
        writer = store.create(run, "it", every=0.05)
    while os.getppid() == parent:
        os.write(1, f"committed {writer.run.step}\n".encode())
        run.advance(steps=3)
        writer.commit()


def main() -> None:
    store, executor = RunStore(sys.argv[1]), sys.argv[2]
    experiment = tiny_experiment(store.folder.parent, executor)
    os.write(1, b"ready\n")
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.write(1, f"begun {os.getpid()}\n".encode())
            train(store, experiment)
            os._exit(1)
        os.waitpid(child, 0)
        os.write(1, b"killed\n")


if __name__ == "__main__":
    main()
