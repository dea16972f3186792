"""When worker processes take over from threads, and when a process has enough of them."""

import numpy as np

from tests.core.tiny_runs import model_of, trainer_of
from tests.core.worker_processes import alive, gone, workers
from tlab_core import crew, parallel
from tlab_core.crew import Crew, room_for
from tlab_core.parallel import EXECUTORS, cores


def reinforced(trainer):
    """Train until worker processes have taken over, and return all losses."""
    losses = []
    for record in trainer.run(steps=100_000):
        losses.append(record.loss)
        if trainer.executor == "processes":
            return losses
    raise AssertionError("worker processes never took over")


def test_auto_lets_processes_take_over_from_threads_and_no_bit_shows_it(monkeypatch):
    assert EXECUTORS.names() == ["serial", "threads", "processes"]
    monkeypatch.setattr(parallel, "WORTH_PROCESSES", 0.05)
    trainer, plain = trainer_of(executor="auto"), trainer_of(executor="serial")
    assert trainer.executor == "threads"
    losses = reinforced(trainer)
    assert len(losses) > 2  # no step waited for them
    losses += [record.loss for record in trainer.run(steps=5)]
    assert trainer.history.attrs["executor"] == "processes"
    pids = workers(trainer)
    assert all(alive(pid) for pid in pids)
    assert losses == [record.loss for record in plain.run(steps=len(losses))]
    np.testing.assert_array_equal(trainer.model.flat, plain.model.flat)
    trainer.close()
    assert gone(pids)
    assert trainer.model.flat.base is None or not isinstance(trainer.model.flat.base, memoryview)
    losses = [record.loss for record in trainer.run(steps=3)]
    assert losses == [record.loss for record in plain.run(steps=3)]
    trainer.close()


def test_auto_takes_processes_from_the_start_for_a_large_model(monkeypatch):
    monkeypatch.setattr(parallel, "LARGE", model_of().parameter_count * 5 * 8)
    trainer, plain = trainer_of(executor="auto"), trainer_of(executor="serial")
    losses = [record.loss for record in trainer.run(steps=3)]
    assert trainer.history.attrs["executor"] == trainer.executor == "processes"
    assert losses == [record.loss for record in plain.run(steps=3)]
    trainer.close()
    monkeypatch.setattr(parallel, "LARGE", parallel.LARGE + 1)
    trainer = trainer_of(executor="auto")
    list(trainer.run(steps=3))
    assert trainer.executor == "threads"
    trainer.close()


def test_a_run_that_is_over_in_a_moment_starts_no_worker():
    trainer = trainer_of(executor="auto")
    before = Crew.workers_alive()
    list(trainer.run(steps=5))
    assert (trainer.executor, Crew.workers_alive()) == ("threads", before)


def test_a_trainer_that_is_closed_while_workers_start_leaves_none(monkeypatch):
    monkeypatch.setattr(parallel, "WORTH_PROCESSES", 0.0)
    trainer = trainer_of(executor="auto")
    list(trainer.run(steps=3))
    hiring = trainer._hiring
    assert hiring is not None
    trainer.close()
    assert all(worker.process.poll() is not None for worker in hiring.crew.workers)


def test_a_process_has_no_more_than_two_workers_a_core(monkeypatch):
    monkeypatch.setattr(Crew, "workers_alive", staticmethod(lambda: 2 * cores()))
    assert not room_for(2, apart=False)
    monkeypatch.setattr(parallel, "WORTH_PROCESSES", 0.0)
    trainer = trainer_of(executor="auto")
    list(trainer.run(steps=5))
    assert (trainer.executor, trainer._hiring) == ("threads", None)
    monkeypatch.setattr(Crew, "workers_alive", staticmethod(lambda: 2 * cores() - 1))
    assert room_for(2, apart=False)
    assert not room_for(2, apart=True)


def test_of_two_trainers_at_once_only_one_gets_the_last_places(monkeypatch):
    """While the first one's workers start, their places are taken."""
    monkeypatch.setattr(parallel, "WORTH_PROCESSES", 0.0)
    trainers = [trainer_of(executor="auto") for _ in range(3)]
    needed = len(Crew(trainers[0].training, trainers[0].shards, apart=False).theirs)
    full = Crew.workers_alive() + needed
    monkeypatch.setattr(crew, "room_for", lambda shards, apart: Crew.workers_alive() + needed <= full)
    try:
        assert [next(iter(trainer.run(steps=1))).step for trainer in trainers] == [1, 1, 1]
        assert [trainer._hiring is not None for trainer in trainers] == [True, False, False]
    finally:
        for trainer in trainers:
            trainer.close()
