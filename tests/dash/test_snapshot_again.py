"""How a snapshot makes its runs again: the command and the script really do, and what they need is said."""

import shlex
import shutil
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.dash.snapshots import small
from tlab_core import LiveRun
from tlab_core.cli.main import tlab
from tlab_core.corpora.own import OWN_TEXTS, read
from tlab_core.experiment import default_experiment
from tlab_core.run import Mark
from tlab_core.runs import RunStore
from tlab_dash.snapshot import again, snapshot_bytes
from tlab_dash.snapshot.still import Still


@pytest.fixture
def secret(tmp_path):
    """Return a folder of which nobody else should hear."""
    folder = tmp_path / "secret"
    folder.mkdir()
    return folder


def same_losses(one, other):
    losses = [run.recorder.group("train")["loss"].values for run in (one, other)]
    assert len(losses[0]) == one.step
    assert list(losses[0]) == list(losses[1])


def test_the_command_makes_the_run_again(secret, monkeypatch):
    run = small(secret, steps=3)
    assert "secret" in run.experiment.corpus
    words = shlex.split(again.command(run))
    assert words[:2] == ["tlab", "train"]
    assert words[3:] == ["--set", "corpus=story.txt", "--steps", "3"]
    monkeypatch.chdir(secret)  # where the text is there, it really does
    done = CliRunner().invoke(tlab, [*words[1:], "--name", "again", "--folder", "runs"])
    assert done.exit_code == 0, done.output
    same_losses(run, RunStore("runs").open("again"))


def test_the_script_makes_the_run_again(secret, monkeypatch):
    run = small(secret, steps=3)
    script = again.script(run)
    assert "secret" not in script
    monkeypatch.chdir(secret)
    made = {}
    exec(script, made)
    same_losses(run, made["run"])


def test_a_run_that_broke_breaks_again(secret, monkeypatch, capsys):
    run = small(secret, steps=60, architecture={"norm_type": "None"}, learning_rate=1000.0, grad_clip=None, optimizer="SGD")
    words = shlex.split(again.command(run))
    assert words[-2:] == ["--steps", str(run.divergence.step)]
    monkeypatch.chdir(secret)
    done = CliRunner().invoke(tlab, [*words[1:], "--folder", "runs"])
    assert run.divergence.message in done.output
    capsys.readouterr()
    exec(again.script(run), {})
    assert capsys.readouterr().out.strip() == run.divergence.message


def test_a_run_on_a_text_of_ones_own_says_that_the_text_is_needed(secret, monkeypatch):
    here = small(secret, steps=3)
    name = OWN_TEXTS.keep(read(Path(here.experiment.corpus).read_bytes(), "Letters"))
    own = LiveRun(here.experiment.replace(corpus=name))
    own.advance(steps=3)
    for run, called, file in ((here, "story.txt", "story.txt"), (own, "Letters", "text.txt")):
        html = unescape(snapshot_bytes({"run": run}).html.decode())
        assert f"It needs the text that the run learned, “{called}”, which is not in this page." in html
        assert f"save it as {file} in the folder where you give the command" in html
        assert "secret" not in html
        assert name not in html
    words = shlex.split(again.command(own))
    monkeypatch.chdir(secret)
    shutil.copy("story.txt", "text.txt")
    assert CliRunner().invoke(tlab, [*words[1:], "--name", "again", "--folder", "runs"]).exit_code == 0
    same_losses(own, RunStore("runs").open("again"))


def test_of_a_text_that_the_lab_has_nothing_more_is_asked():
    stories = default_experiment()
    assert again.needs(SimpleNamespace(experiment=stories, divergence=None, step=3)) == []
    assert again.needs(SimpleNamespace(experiment=stories, divergence=None, step=0)) == [
        "The run shown had not begun to train; the command makes its first step."]  # fmt: skip


def test_the_command_names_how_a_batch_was_cut(tmp_path):
    run = small(tmp_path, steps=1, shards="auto")
    assert f"t.shards={run.trainer.shards}" in again.command(Still(run))


def test_settings_changed_by_hand_are_told():
    marks = [Mark(12, "training.learning_rate", 0.01, 0.001), Mark(20, "training.grad_clip", 1.0, None)]
    changed = SimpleNamespace(marks=marks)
    assert again.marks(changed) == ["At step 12 learning rate went from 0.01 to 0.001.",
                                   "At step 20 gradient clip went from 1 to off."]  # fmt: skip
