"""A run that is stopped, or killed, goes on as if it had not been."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.core.saved_runs import same_run, tiny_experiment
from tlab_core import LiveRun
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.run import Mark
from tlab_core.runs import ResumedWarning, RunError, RunStore
from tlab_core.schema import GROUPS

ROOT = Path(__file__).parents[2]
KILLS = 20


class Victim:
    """A process whose children train, and are killed (see saved_runs.py)."""

    def __init__(self, store: RunStore, executor: str):
        self.process = subprocess.Popen([sys.executable, "-m", "tests.core.saved_runs", str(store.folder), executor],
                                        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def read(self) -> str:
        line = self.process.stdout.readline()
        assert line, "the process ended by itself"
        return line

    def kill(self, seconds: float, word: str) -> int:
        """Begin a child, kill it so long after it has said `word`, and return the step of the last commit it told of."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        lines = [self.read()]
        child = int(lines[0].split()[1])
        while not lines[-1].startswith(word):
            lines.append(self.read())
            assert lines[-1] != "killed\n", "the child ended by itself"
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        while lines[-1] != "killed\n":
            lines.append(self.read())
        return int(lines[-2].split()[1]) if lines[-2].startswith("committed") else -1

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(10) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the process that is killed, which Windows can't")
def test_killed_at_twenty_random_moments_it_opens_each_time_and_loses_nothing_committed(tmp_path):
    store = RunStore(tmp_path / "runs")
    dice = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    steps = []
    with Victim(store, "serial") as victim:
        for kill in range(KILLS):
            # The first ones are killed while the folder is made, the others while they train and commit.
            word = "begun" if kill < 4 else "committed"
            told = victim.kill(dice.uniform(0.0, 0.5 if kill < 4 else 0.3), word)
            if not store.list():
                assert told == -1
                continue
            saved = store.open("it")
            assert saved.step >= max([told, *steps[-1:]])
            assert list(saved.history["train"]["step"].values) == list(range(1, saved.step + 1))
            assert saved.checkpoint().step == saved.step
            assert [info.problem for info in store.list()] == [None]
            steps.append(saved.step)
    assert steps[-1] > steps[0] > -1
    run, writer, differences = store.resume("it")
    writer.close()
    assert differences == []
    straight = LiveRun(tiny_experiment(tmp_path))
    straight.advance(steps=run.step)
    same_run(run, straight)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the process that is killed, which Windows can't")
@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_killed_and_resumed_it_makes_the_same_bits_as_a_run_that_never_stopped(tmp_path, executor):
    store = RunStore(tmp_path / "runs")
    with Victim(store, executor) as victim:
        victim.kill(float(np.random.default_rng().uniform(0.1, 0.4)), "committed 3")
    run, writer, differences = store.resume("it")
    before = run.step
    run.advance(until=before + 30)
    writer.close()
    straight = LiveRun(tiny_experiment(tmp_path, "serial"))
    straight.advance(steps=run.step)
    assert 3 <= before < run.step
    assert differences == []
    same_run(run, straight)
    run.trainer.close()


def test_a_run_resumed_past_what_memory_holds_thins_on_as_it_would_have(tmp_path):
    experiment = tiny_experiment(tmp_path, statistics_every=1)
    store = RunStore(tmp_path / "runs")
    stopped, straight = LiveRun(experiment), LiveRun(experiment)
    straight.advance(steps=300)
    with store.create(stopped, "it"):
        stopped.advance(steps=150)
    run, writer, _ = store.resume("it")
    run.advance(steps=150)
    writer.close()
    assert run.recorder.group("attention").sizes["step"] < 64 < 150
    same_run(run, straight)
    assert store.open("it").recorder.group("attention").sizes["step"] == straight.recorder.group("heads").sizes["step"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
def test_whatever_an_optimizer_remembers_comes_back(tmp_path, optimizer):
    experiment = tiny_experiment(tmp_path, optimizer=optimizer, dropout=0.1, gradient_accumulation_steps=2)
    store = RunStore(tmp_path / "runs")
    run, straight = LiveRun(experiment), LiveRun(experiment)
    straight.advance(steps=14)
    with store.create(run, "it"):
        run.advance(steps=7)
    again, writer, _ = store.resume("it")
    again.advance(steps=7)
    writer.close(save=False)
    assert np.array_equal(again.model.flat, straight.model.flat)


def test_settings_changed_on_the_way_samples_and_marks_come_back(tmp_path):
    store = RunStore(tmp_path / "runs")
    run, straight = LiveRun(tiny_experiment(tmp_path)), LiveRun(tiny_experiment(tmp_path))
    with store.create(run, "it"):
        run.advance(steps=10)
        run.adjust(learning_rate=0.003)
        run.sample("the", 5)
    again, writer, differences = store.resume("it")
    assert (again.marks, again.samples, differences) == (run.marks, run.samples, [])
    assert again.experiment.training.learning_rate == 0.003
    again.advance(steps=10)
    again.sample("a", 3)
    writer.close()
    straight.advance(steps=10)
    straight.adjust(learning_rate=0.003)
    straight.advance(steps=10)
    same_run(again, straight)
    assert store.open("it").samples == again.samples
    assert [sample.step for sample in again.samples] == [10, 20]


def edit(store, *changes):
    """Replace lines of the settings file of the run "it", as a person does."""
    path = store.folder / "it" / "settings.yaml"
    text = path.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)


def test_what_was_edited_in_the_settings_file_holds_is_said_and_leaves_a_mark(tmp_path):
    store = RunStore(tmp_path / "runs")
    run = LiveRun(tiny_experiment(tmp_path))
    with store.create(run, "it"):
        run.advance(steps=3)
        run.adjust(grad_clip=None)
        run.advance(steps=2)
    edit(store, ("learning_rate: 0.01\n", "learning_rate: 2e-3  # slower\n"), ("schedule: cosine", "schedule: constant"),
         ("activation_type: SwiGLU", "activation_type: GEGLU"))
    again, writer, differences = store.resume("it")
    assert again.trainer.training.learning_rate == 0.002
    edits = [("architecture.activation_type", "'SwiGLU'", "'GEGLU'"), ("training.learning_rate", 0.01, 0.002),
             ("training.schedule", "'cosine'", "'constant'")]  # fmt: skip
    assert sorted(differences) == [
        f"{knob} was {old} when the run was saved and is {new} in settings.yaml now, from step 5 on."
        for knob, old, new in edits
    ]
    assert store.open("it").marks == run.marks  # nothing counts before it is committed
    again.adjust(grad_clip=2.0)
    writer.close()
    saved = store.open("it")
    assert saved.experiment.training.learning_rate == 0.002
    assert saved.marks == again.marks
    assert saved.marks[0] == run.marks[0]
    assert set(saved.marks[1:]) == {
        Mark(5, "architecture.activation_type", "SwiGLU", "GEGLU"), Mark(5, "training.learning_rate", 0.01, 0.002),
        Mark(5, "training.schedule", "cosine", "constant"), Mark(5, "training.grad_clip", None, 2.0),
    }
    third, writer, differences = store.resume("it")
    writer.close()
    assert (third.marks, differences) == (saved.marks, [])  # an edit is told once


def test_an_edit_that_was_never_committed_is_told_again(tmp_path):
    store = RunStore(tmp_path / "runs")
    with store.create(LiveRun(tiny_experiment(tmp_path)), "it"):
        pass
    edit(store, ("learning_rate: 0.01\n", "learning_rate: 0.002\n"))
    for _ in range(2):
        run, writer, differences = store.resume("it")
        writer.close(save=False)
        assert run.marks == [Mark(0, "training.learning_rate", 0.01, 0.002)]
        assert len(differences) == 1


def test_a_kill_between_a_commit_and_its_settings_file_is_no_edit(tmp_path):
    store = RunStore(tmp_path / "runs")
    run = LiveRun(tiny_experiment(tmp_path))
    writer = store.create(run, "it")
    path = store.folder / "it" / "settings.yaml"
    stale = path.read_text()
    run.adjust(learning_rate=0.003)
    (store.folder / "it" / "settings.yaml.new").mkdir()  # the settings file can't be written: the rest is committed
    with pytest.raises(RunError, match="could not be written"):
        writer.commit()
    writer.close(save=False)
    assert path.read_text() == stale
    again, writer, differences = store.resume("it")
    writer.close(save=False)
    assert again.experiment.training.learning_rate == 0.003
    assert differences == []


def test_a_settings_file_that_could_not_be_written_is_written_by_the_next_commit(tmp_path):
    store = RunStore(tmp_path / "runs")
    run = LiveRun(tiny_experiment(tmp_path))
    writer = store.create(run, "it")
    run.adjust(learning_rate=0.003)
    blocked = writer.folder / "settings.yaml.new"
    blocked.mkdir()
    with pytest.raises(RunError, match="could not be written"):
        writer.commit()
    blocked.rmdir()
    writer.commit()
    assert "learning_rate: 0.003\n" in (writer.folder / "settings.yaml").read_text()
    writer.close()
    again, writer, differences = store.resume("it")
    writer.close()
    assert (again.experiment.training.learning_rate, differences) == (0.003, [])


@pytest.mark.skipif(os.name != "posix", reason="sends this process a signal as Ctrl-C does")
def test_ctrl_c_in_the_middle_of_a_commit_waits_for_its_end(tmp_path, monkeypatch):
    store = RunStore(tmp_path / "runs")
    run = LiveRun(tiny_experiment(tmp_path))
    writer = store.create(run, "it")
    run.advance(steps=5)
    usual = writer._counts

    def interrupted(*given):
        os.kill(os.getpid(), signal.SIGINT)
        usual(*given)

    monkeypatch.setattr(writer, "_counts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.commit()
    monkeypatch.undo()
    run.advance(steps=5)
    writer.close()
    assert list(store.open("it").history["train"]["step"].values) == list(range(1, 11))


def test_an_architecture_edited_in_the_settings_file_is_refused(tmp_path):
    store = RunStore(tmp_path / "runs")
    with store.create(LiveRun(tiny_experiment(tmp_path)), "it"):
        pass
    path = store.folder / "it" / "settings.yaml"
    path.write_text(path.read_text().replace("hidden_dim: 8\n", "hidden_dim: 16\n"))
    with pytest.raises(RunError, match=r"does not fit the settings: .* Set architecture in settings\.yaml back"):
        store.resume("it")
    path.write_text(path.read_text().replace("hidden_dim: 16\n", "hidden_dim: 8\n"))
    store.resume("it").writer.close()  # the lock was let go


def test_another_kernel_is_said_and_the_run_goes_on(tmp_path, monkeypatch):
    store = RunStore(tmp_path / "runs")
    with store.create(LiveRun(tiny_experiment(tmp_path)), "it"):
        pass
    monkeypatch.setattr("tlab_core.runs.environment.blas_kernels", lambda: ["openblas Abacus"])
    run, writer, differences = store.resume("it")
    assert len(differences) == 1
    assert differences[0].endswith("when the run was saved and is openblas Abacus here.")
    run.advance(steps=2)
    writer.close()
    assert store.open("it").step == 2


def test_in_a_with_statement_a_run_goes_on_and_is_saved_at_its_end(tmp_path, monkeypatch):
    store = RunStore(tmp_path / "runs")
    with store.create(LiveRun(tiny_experiment(tmp_path)), "it"):
        pass

    def go_on_and_break():
        with store.resume("it") as run:
            run.advance(steps=2)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go_on_and_break()
    assert store.open("it").step == 2
    monkeypatch.setattr("tlab_core.runs.environment.blas_kernels", lambda: ["openblas Abacus"])
    with pytest.warns(ResumedWarning, match="openblas Abacus here"), store.resume("it") as run:
        run.advance(steps=1)
    assert store.open("it").step == 3
    resumed = store.resume("it")  # which its end has let go of
    assert repr(resumed) == f"<Resumed: 'it', {resumed.run!r}, 0 differences>"
    resumed.writer.close()


def test_a_text_that_has_changed_is_said_or_refused(tmp_path):
    store = RunStore(tmp_path / "runs")
    experiment = tiny_experiment(tmp_path)
    with store.create(LiveRun(experiment), "it"):
        pass
    text = Path(experiment.corpus)
    text.write_text(text.read_text() + "the end.\n")
    _, writer, differences = store.resume("it")
    writer.close(save=False)
    assert len(differences) == 1
    assert "the text's SHA-256 was" in differences[0]
    text.write_text(text.read_text() + "ZZZ\n")
    with pytest.raises(RunError, match="has other characters than when it was saved"):
        store.resume("it")
    text.unlink()
    with pytest.raises(RunError, match="can't go on: .*no such file"):
        store.resume("it")


def test_a_diverged_run_is_saved_as_one(tmp_path):
    store = RunStore(tmp_path / "runs")
    run = LiveRun(tiny_experiment(tmp_path))
    with store.create(run, "it"):
        run.advance(steps=3)
        run.model.flat[0] = np.inf
        run.advance(steps=5)
    saved = store.open("it")
    assert saved.divergence == run.divergence is not None
    assert store.list()[0].divergence == run.divergence.message
    again, writer, _ = store.resume("it")
    writer.close()
    assert again.divergence == run.divergence
    assert set(saved.history) == set(GROUPS)
