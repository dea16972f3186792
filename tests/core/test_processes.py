"""Worker processes: the same bits as without them, gone when they should be, and an error instead of a hang."""

import gc
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.core.tiny_runs import TOKENS, model_of, same_bits, trainer_of
from tests.core.worker_processes import alive, gone, workers
from tlab_core.crew import WorkerError
from tlab_core.transformer import Transformer

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")


@pytest.fixture
def processes():
    """Return a function like `trainer_of` whose trainers work in processes and are closed at the end of the test."""
    made = []

    def make(*arguments, **settings):
        made.append(trainer_of(*arguments, executor="processes", **settings))
        return made[-1]

    yield make
    for trainer in made:
        trainer.close()


# ---- the same numbers


@pytest.mark.parametrize("shards", [2, 3])
def test_who_works_changes_no_bit(processes, shards):
    serial, threads = (trainer_of(executor=executor, shards=shards) for executor in ("serial", "threads"))
    trainer = processes(shards=shards)
    for run in (serial, threads, trainer):
        assert len(list(run.run(steps=12))) == 12
    assert workers(trainer)
    assert all(map(alive, workers(trainer)))
    assert trainer.recorder.attributes["executor"] == "processes"
    same_bits(serial, threads)
    same_bits(serial, trainer)
    assert trainer.evaluate() == serial.evaluate()
    trainer.close()
    same_bits(serial, trainer)


def test_a_worker_can_have_several_shards(processes, monkeypatch):
    monkeypatch.setattr("tlab_core.crew.cores", lambda: 1)
    serial, trainer = trainer_of(executor="serial", shards=5), processes(shards=5)
    for run in (serial, trainer):
        list(run.run(steps=4))
    assert len(workers(trainer)) == 1
    same_bits(serial, trainer)


def test_stopping_and_going_on_changes_no_bit(processes):
    straight, halting = trainer_of(), processes()
    list(straight.run(steps=10))
    for record in halting.run():
        if record.step == 3:
            break
    halting.evaluate()
    list(halting.run(steps=2))
    before = workers(halting)
    halting.close()
    assert gone(before)
    list(halting.run(steps=5))
    assert workers(halting) != before
    same_bits(straight, halting)


def test_knobs_turned_while_it_runs_reach_the_workers(processes):
    trainers = trainer_of(), processes()
    for trainer in trainers:
        list(trainer.run(steps=3))
        trainer.training.param.update(learning_rate=0.05, weight_decay=2.0, beta1=0.5, beta2=0.9, grad_clip=0.1)
        list(trainer.run(steps=3))
        trainer.training.grad_clip = None
        list(trainer.run(steps=3))
    same_bits(*trainers)
    left_alone = trainer_of()
    list(left_alone.run(steps=9))
    assert not np.array_equal(left_alone.model.flat, trainers[1].model.flat)


def test_a_run_that_breaks_says_the_same(processes):
    trainers = trainer_of(learning_rate=1e3, grad_clip=None), processes(learning_rate=1e3, grad_clip=None)
    for trainer in trainers:
        trainer.model.flat *= 1e10
        list(trainer.run())
    assert trainers[0].divergence is not None
    assert trainers[0].divergence == trainers[1].divergence


def test_answers_are_counted_alike(processes):
    answers = np.arange(len(TOKENS)) % 3 == 0
    trainers = trainer_of(answers=answers), processes(answers=answers)
    for trainer in trainers:
        trainer.measure()
    same_bits(*trainers)


# ---- the model's memory


def test_the_model_is_the_same_before_while_and_after(processes):
    model, twin = model_of(), model_of()
    parameters, ordinary = model.parameters, model.flat
    trainer = processes(model=model)
    list(trainer.run(steps=2))
    assert model.parameters is parameters
    assert model.flat is not ordinary
    model.parameters["token_embedding.weight"][...] = 0.5  # written through, for the workers too
    list(trainer.run(steps=2))
    trainer.close()
    alone = trainer_of(model=twin)
    list(alone.run(steps=2))
    twin.parameters["token_embedding.weight"][...] = 0.5
    list(alone.run(steps=2))
    assert np.array_equal(model.flat, twin.flat)
    assert np.array_equal(model.forward([[1, 2, 3]]), twin.forward([[1, 2, 3]]))
    assert all(np.shares_memory(array, model.flat) for array in parameters.values())
    assert not np.shares_memory(model.flat, trainer.optimizer.average)


def test_two_trainers_take_turns_on_one_model(processes):
    def turns(make_first, make_second):
        model = model_of()
        first, second = make_first(model=model), make_second(model=model, seed=1)
        for trainer in (first, second, first, second):
            list(trainer.run(steps=2))
        first.close()
        list(second.run(steps=2))
        return model.flat

    expected = turns(trainer_of, trainer_of)
    assert np.array_equal(turns(processes, trainer_of), expected)
    assert np.array_equal(turns(trainer_of, processes), expected)
    assert np.array_equal(turns(processes, processes), expected)


# ---- nothing is left behind


def test_a_trainer_that_is_forgotten_takes_its_workers_along():
    trainer = trainer_of(executor="processes")
    model, records = trainer.model, list(trainer.run(steps=2))
    started = workers(trainer)
    del trainer
    gc.collect()
    assert gone(started)
    assert len(records) == 2
    assert np.isfinite(model.forward([[1, 2]])).all()


@posix
def test_without_memfd_the_memory_is_a_file_that_has_no_name(processes, monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trainers = trainer_of(), processes()
    for trainer in trainers:
        list(trainer.run(steps=2))
    assert workers(trainers[1])
    assert not any(tmp_path.iterdir())
    same_bits(*trainers)


def script(body, tmp_path, **options):
    """Start a plain script, without a `__main__` guard, in a folder of its own; temporary files go there too."""
    (tmp_path / "temporary").mkdir()
    path = tmp_path / "plain.py"
    head = f"""
        import os, sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from tests.core.tiny_runs import *
        from tlab_core import parallel
        from tlab_core.crew import WorkerError
        """
    path.write_text(textwrap.dedent(head) + textwrap.dedent(body))
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary"), "TEMP": str(tmp_path / "temporary")}
    return subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True, env=environment, **options)


def shared_memory_files():
    return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()


TRAINS = """
    trainer = trainer_of(executor="processes")
    list(trainer.run(steps=3))
    print(*[worker.process.pid for worker in trainer._at_hand().crew.workers], flush=True)
    """


def test_a_plain_script_needs_no_guard_and_leaves_nothing(tmp_path):
    before = shared_memory_files()
    child = script(TRAINS, tmp_path, stderr=subprocess.PIPE)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    started = [int(pid) for pid in out.split()]
    assert started
    assert gone(started)
    assert shared_memory_files() <= before
    assert not any((tmp_path / "temporary").iterdir())


@posix
def test_workers_die_with_a_parent_that_is_killed_even_if_a_fork_of_it_lives_on(tmp_path):
    before = shared_memory_files()
    fork = """
    fork = os.fork()
    if fork == 0:
        time.sleep(60)
        os._exit(0)
    print(fork, flush=True)
    time.sleep(60)
    """
    child = script(TRAINS + fork, tmp_path)
    started, fork = [int(pid) for pid in child.stdout.readline().split()], int(child.stdout.readline())
    try:
        assert all(map(alive, started))
        child.kill()
        child.wait()
        assert gone(started)
        assert alive(fork)
    finally:
        os.kill(fork, signal.SIGKILL)
        child.stdout.close()
    assert shared_memory_files() <= before
    assert not any((tmp_path / "temporary").iterdir())


@posix
def test_ctrl_c_in_a_terminal_ends_the_step_and_spares_the_workers(tmp_path):
    body = """
    trainer = trainer_of(executor="processes", model=model_of(hidden_dim=128), batch_size=16)
    try:
        for record in trainer.run(steps=1_000_000):
            if record.step == 1:
                print("under way", flush=True)
    except KeyboardInterrupt:
        print(len(list(trainer.run(steps=3))), trainer.executor)
    """
    child = script(body, tmp_path, start_new_session=True)
    assert child.stdout.readline() == "under way\n"
    os.killpg(child.pid, signal.SIGINT)  # a terminal sends it to all processes of the group
    out, _ = child.communicate(timeout=60)
    assert (child.returncode, out) == (0, "3 processes\n")


# ---- what goes wrong


@posix
def test_a_killed_worker_is_an_error_and_the_model_goes_on_without(processes):
    trainer = processes(shards=3)
    list(trainer.run(steps=2))
    started = workers(trainer)
    os.kill(started[0], signal.SIGKILL)
    advice = 'To train without worker processes, make a new Trainer of the model with executor="threads"'
    with pytest.raises(WorkerError, match=f"worker 1 of .*process {started[0]}.* was killed by SIGKILL.*{advice}"):
        list(trainer.run(steps=1))
    assert gone(started)
    with pytest.raises(WorkerError, match="was killed by SIGKILL"):
        list(trainer.run(steps=1))
    assert trainer.history["train"].sizes["step"] == 2
    assert len(list(trainer_of(model=trainer.model, executor="threads").run(steps=2))) == 2


@posix
def test_a_worker_killed_in_the_middle_of_a_step_is_no_hang(processes):
    trainer = processes(model=model_of(hidden_dim=128, num_layers=4), batch_size=16)
    run = trainer.run(steps=100_000)
    next(run)
    timer = threading.Timer(0.2, os.kill, [workers(trainer)[0], signal.SIGKILL])
    timer.start()
    with pytest.raises(WorkerError, match="was killed by SIGKILL"):
        list(run)
    timer.join()


def test_a_model_that_a_worker_would_not_know_is_refused(processes):
    class Mine(Transformer):
        pass

    trainer = processes(model=Mine(model_of().architecture))
    with pytest.raises(WorkerError, match="it knows Transformer, but not .*Mine"):
        list(trainer.run(steps=1))


def test_components_of_a_script_and_of_a_module(tmp_path):
    """A norm from the script itself can't be imported by a worker; one from a module can, and what it raises is shown."""
    (tmp_path / "brittle.py").write_text(
        "import os\n"
        "from tlab_core.norms import NORMS\n"
        "@NORMS.register('Brittle')\n"
        "class Brittle(NORMS.get('RMSNorm')):\n"
        "    def forward(self, x, work):\n"
        "        if os.environ.get('BREAK') and os.getpid() != int(os.environ['BREAK']):\n"
        "            raise ArithmeticError('too brittle')\n"
        "        return super().forward(x, work)\n"
    )
    body = """
    import brittle
    from tlab_core.norms import NORMS

    @NORMS.register("Scripted")
    class Scripted(NORMS.get("RMSNorm")):
        pass

    parallel.WORTH_PROCESSES = 0.0
    trainer = trainer_of(model=model_of(norm_type="Scripted"), executor="auto")
    for record in trainer.run(steps=100_000):
        if trainer.history.attrs["executor"] != "threads":
            break
    print(trainer.executor, "|", trainer.history.attrs["executor"])
    for norm, breaks in (("Scripted", False), ("Brittle", False), ("Brittle", True)):
        if breaks:
            os.environ["BREAK"] = str(os.getpid())
        trainer = trainer_of(model=model_of(norm_type=norm), executor="processes")
        try:
            print(len(list(trainer.run(steps=2))), trainer.executor)
        except WorkerError as error:
            print(str(error).replace(chr(10), " "))
        trainer.close()
    """
    child = script(body, tmp_path, stderr=subprocess.PIPE)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    auto, scripted, module, broken = out.splitlines()
    assert auto.startswith("threads | threads (a worker could not build the model: ")
    assert "'Scripted'" in auto
    assert "a worker could not build the model: " in scripted
    assert 'executor="threads"' in scripted
    assert module == "2 processes"
    assert "ended with exit code 1" in broken
    assert "too brittle" in broken


def test_beside_others_the_workers_do_all_the_shards(processes):
    """A run that is driven from a thread leaves Python's lock of this process to whoever else is there."""
    plain, trainer = trainer_of(executor="serial"), processes()
    losses = []
    thread = threading.Thread(target=lambda: losses.extend(record.loss for record in trainer.run(steps=4)))
    thread.start()
    thread.join()
    assert trainer._at_hand().crew.mine == range(0)
    assert len(workers(trainer)) == 2
    assert losses == [record.loss for record in plain.run(steps=4)]
    np.testing.assert_array_equal(trainer.model.flat, plain.model.flat)


@posix
def test_processes_can_do_without_the_standard_streams(tmp_path):
    """A daemon or a cron job may have none: then shared memory must not take a standard stream's number."""
    body = """
    import os
    for descriptor in (0, 2):
        os.close(descriptor)
    trainer = trainer_of(executor="processes")
    print(len(list(trainer.run(steps=2))), trainer.executor)
    trainer.close()
    """
    child = script(body, tmp_path)
    out, _ = child.communicate(timeout=60)
    assert (child.returncode, out.strip()) == (0, "2 processes")
