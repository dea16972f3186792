"""Sharing: what an address means, what the menu hands out, and runs that are kept in folders while they train."""

import gc
import threading
import time
import weakref
from urllib.parse import parse_qsl

import numpy as np
import panel as pn
import pytest
from safetensors.numpy import load

from tests.dash.test_lab import TINY
from tlab_core import share
from tlab_core.experiment import default_experiment
from tlab_core.runs import RunError, RunStore, default_folder
from tlab_core.runs.files import is_locked
from tlab_dash import Lab
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import with_knobs
from tlab_dash.session import Session
from tlab_dash.sharing import LONGEST_TROUBLE, Sharing, address_of_page, experiment_of, file_name


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Runs go into a folder of this test, which is not there yet."""
    monkeypatch.setenv("TLAB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def fleet():
    fleet = Fleet(workers=1)
    yield fleet
    fleet.close()


class Bench:
    """A lab without pictures."""

    def __init__(self, experiment, fleet):
        self.session = Session(experiment, fleet=fleet)
        self.sharing = Sharing(self.session, default_experiment())
        settle(self, lambda: self.session.text is not None and self.session.text.done)

    def refresh(self):
        self.session.poll()
        self.sharing.refresh()

    def close(self):
        self.session.close()


def settle(lab, condition):
    def settled():
        lab.refresh()
        return condition()

    wait_for(settled)
    lab.refresh()  # the condition may have come true after the page was shown


@pytest.fixture
def lab(fleet):
    lab = Bench(TINY, fleet)
    yield lab
    lab.close()
    wait_for(lambda: not any(thread.name.startswith(("tlab-last", "tlab-run")) for thread in threading.enumerate()))


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came to be"
        time.sleep(0.01)


def step_to(lab, step):
    while lab.session.run.step < step:
        before = lab.session.run.step
        lab.session.step_once()
        settle(lab, lambda before=before: lab.session.run.step > before)


def save(lab, name):
    lab.sharing._handle_msg({"save": name})
    settle(lab, lambda: not lab.sharing.kept["busy"])


# The address ---------------------------------------------------------------------------------------------------------


def test_the_address_says_what_the_run_is_and_reads_back_to_it(lab):
    told = lab.sharing.settings
    assert told["address"] == told["query"]
    asked, trouble = experiment_of(f"theme=dark&{told['address']}")
    assert (asked, trouble) == (TINY, "")
    assert share.from_query(told["query"]) == TINY


def test_the_first_pages_address_stays_short(fleet):
    assert experiment_of("") == experiment_of("theme=dark") == (None, "")
    assert experiment_of("theme=dark&v=1") == (default_experiment(), "")
    lab = Bench(TINY, fleet)
    own = Sharing(lab.session, TINY)
    assert own.settings["address"] == ""
    assert own.settings["query"] == lab.sharing.settings["query"] == lab.sharing.settings["address"] != ""
    lab.close()


def test_the_address_is_read_as_the_server_got_it(monkeypatch):
    assert address_of_page() == ""
    arguments = {"a.num_layers": [b"6", b"7"], "corpus": [b"caf\xc3\xa9 &v=9\xff"], "bokeh-app-path": [b"/lab"]}
    monkeypatch.setattr(type(pn.state), "session_args", property(lambda state: arguments))
    assert parse_qsl(address_of_page()) == [("a.num_layers", "6"), ("a.num_layers", "7"), ("corpus", "café &v=9�")]


@pytest.mark.parametrize(("knob", "value"), [("norm_type", "None"), ("learning_rate", 0.01)])
def test_turning_a_knob_changes_the_address(lab, knob, value):
    lab.session.change({knob: value})
    settle(lab, lambda: experiment_of(lab.sharing.settings["address"])[0] == with_knobs(TINY, {
        f"{'architecture' if knob == 'norm_type' else 'training'}.{knob}": value}))


@pytest.mark.parametrize("query", [
    "a.num_layers=many", "a.num_layers=-1", "a.num_leyers=6", "corpus=/etc/passwd", "corpus=<script>alert(1)</script>",
    "v=99", "a.num_heads=3", "a.num_layers=128&a.hidden_dim=16384", "t.learning_rate=__import__('os')", "%ff=%fe",
    "a.num_layers=" + "9" * 5000,
])  # fmt: skip
def test_an_address_that_cannot_be_used_is_explained_in_a_sentence(query):
    asked, trouble = experiment_of(query)
    assert asked is None
    assert trouble.startswith("The link")
    assert len(trouble) <= LONGEST_TROUBLE + 2


def test_a_bad_address_opens_the_default_run_and_says_why(fleet, monkeypatch):
    monkeypatch.setattr("tlab_dash.lab.address_of_page", lambda: "a.num_leyers=2")
    lab = Lab(fleet=fleet)
    assert lab.session.experiment == default_experiment()
    settle(lab, lambda: lab.session.run is not None)
    warning, aside = lab.changes.sentences
    assert (warning["kind"], aside["text"]) == ("warning", "So this is the run that the lab opens with.")
    assert "num_layers" in warning["text"]  # did you mean
    assert lab.sharing.settings["address"] is None  # so that it can be mended where it stands
    lab.session.change(num_layers=2)
    settle(lab, lambda: lab.sharing.settings["address"] == "a.num_layers=2&v=1")
    assert lab.changes.sentences[0]["text"] == "Press Train. Watch the text."
    lab.session.trouble = "What is wrong."
    lab.session.step_once()  # a run that goes on has better things to tell
    settle(lab, lambda: lab.changes.sentences[0]["text"].startswith("Step 1: "))
    lab.close()


def test_an_address_opens_its_settings(fleet, monkeypatch):
    monkeypatch.setattr("tlab_dash.lab.address_of_page", lambda: "a.num_layers=2&a.hidden_dim=32&a.ff_dim=64&theme=dark")
    lab = Lab(fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    architecture = lab.session.run.experiment.architecture
    assert (architecture.num_layers, architecture.hidden_dim, architecture.ff_dim) == (2, 32, 64)
    assert lab.knobs.values["architecture.num_layers"] == 2
    assert lab.changes.sentences[0]["kind"] == "plain"
    lab.close()


# What is handed out --------------------------------------------------------------------------------------------------


def test_the_copies_are_those_of_the_engine(lab):
    run, told = lab.session.run, lab.sharing.settings
    assert told["python"] == share.as_python(run.experiment)
    assert told["yaml"] == share.as_yaml(run.experiment)
    assert told["name"] == "stories"
    assert file_name(TINY.replace(corpus="/tmp/../my <own>.txt")) == "my -own-.txt"


def test_the_model_comes_as_a_file_with_the_weights_of_this_moment(lab, monkeypatch):
    step_to(lab, 2)
    sent = []
    monkeypatch.setattr(lab.sharing, "_send_msg", sent.append)
    lab.sharing._handle_msg({"model": True})
    wait_for(lambda: sent)
    (file,) = (message["file"] for message in sent)
    assert file["name"] == "stories step 2.safetensors"
    weights = load(file["data"])
    assert set(weights) == set(lab.session.run.model.parameters)
    for name, values in lab.session.run.model.parameters.items():
        np.testing.assert_array_equal(weights[name], values)


def test_a_name_is_proposed_that_says_what_was_turned_and_is_free(lab, folder):
    lab.sharing._handle_msg({"open": True})
    assert lab.sharing.proposal == "stories, width 32, layers 2, feed-forward width 64, 2 more"
    (folder / lab.sharing.proposal).mkdir(parents=True)
    lab.sharing._handle_msg({"open": True})
    assert lab.sharing.proposal.endswith(", 2 more (2)")
    save(lab, lab.sharing.proposal)
    assert lab.sharing.kept["problem"] == ""
    assert lab.sharing.kept["name"] == lab.sharing.proposal


# Keeping -------------------------------------------------------------------------------------------------------------


def test_a_run_that_nobody_saves_leaves_nothing_on_the_disk(lab, folder, tmp_path):
    step_to(lab, 3)
    lab.session.change(num_layers=3)
    settle(lab, lambda: lab.session.run.step == 0)
    lab.sharing._handle_msg({"open": True})
    lab.close()
    assert list(tmp_path.iterdir()) == []
    assert default_folder() == folder


def test_save_keeps_what_was_and_goes_on_recording_while_it_trains(lab, folder):
    step_to(lab, 5)
    save(lab, "my run")
    assert lab.sharing.kept == {"name": "my run", "step": 5, "busy": False, "problem": ""}
    assert RunStore(folder).open("my run").step == 5
    lab.session.train()
    settle(lab, lambda: lab.session.run.step >= 30)
    lab.session.pause()
    settle(lab, lambda: lab.session.state == "paused" and lab.session.text.step == lab.session.run.step)
    run = lab.session.run
    wait_for(lambda: lab.session.kept["step"] == run.step)  # a pause is a good moment to write
    saved = RunStore(folder).open("my run")
    assert saved.step == run.step
    for group in ("train", "residual", "attention"):
        for name, variable in run.recorder.group(group).variables.items():
            np.testing.assert_array_equal(saved.recorder.group(group).variables[name].values, variable.values)
    assert saved.samples == run.samples
    assert len(saved.samples) > 1


def test_another_name_moves_it(lab, folder):
    save(lab, "first")
    save(lab, "second")
    assert [info.name for info in RunStore(folder).list()] == ["second"]
    assert lab.sharing.kept["name"] == "second"


@pytest.mark.parametrize(("name", "told"), [
    ("taken", "there is a run 'taken' in "), ("../outside", "a run can't be named '../outside'"),
    ("", "a run can't be named ''"),
])
def test_a_name_that_cannot_be_had_is_told_and_nothing_is_lost(lab, folder, name, told):
    (folder / "taken").mkdir(parents=True)
    step_to(lab, 2)
    save(lab, name)
    assert lab.sharing.kept["problem"].startswith(told)
    assert lab.sharing.kept["name"] == ""
    assert [path.name for path in folder.iterdir()] == ["taken"]
    step_to(lab, 3)
    save(lab, "free")
    assert lab.sharing.kept == {"name": "free", "step": 3, "busy": False, "problem": ""}


def test_a_folder_that_cannot_be_written_is_told_and_the_run_goes_on(lab, folder):
    folder.write_text("a file where the folder should be")
    save(lab, "my run")
    assert "could not be written" in lab.sharing.kept["problem"]
    assert lab.sharing.kept["name"] == ""
    step_to(lab, 1)
    folder.unlink()
    save(lab, "my run")
    assert lab.sharing.kept["problem"] == ""


def test_a_disk_that_fills_up_later_is_told_on_the_page(lab, folder, monkeypatch):
    save(lab, "my run")
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as broken:
        broken.setattr("tlab_core.runs.writer.RunWriter._commit_job", lambda self, job: raise_(full))
        lab.session.step_once()
        settle(lab, lambda: "no room on the disk" in lab.sharing.kept["problem"])
    assert RunStore(folder).open("my run").step == 0
    save(lab, "my run")
    assert lab.sharing.kept == {"name": "my run", "step": 1, "busy": False, "problem": ""}
    assert RunStore(folder).open("my run").step == 1


def raise_(error):
    raise error


def test_closing_the_page_writes_the_rest_and_lets_go(lab, folder):
    save(lab, "my run")
    lab.session.train()
    settle(lab, lambda: lab.session.run.step >= 10)
    run = lab.session.run
    lab.close()
    wait_for(lambda: not is_locked(folder / "my run"))
    assert RunStore(folder).open("my run").step == run.step >= 10
    gone = weakref.ref(run)
    del run
    wait_for(lambda: gc.collect() is not None and gone() is None)


def test_a_ghost_is_kept_until_another_takes_its_place(lab, folder):
    save(lab, "my run")
    lab.session.train()
    settle(lab, lambda: lab.session.run.step >= 55)
    first = lab.session.run
    lab.session.change(norm_type="None")
    settle(lab, lambda: lab.session.ghost is first)
    assert lab.sharing.kept["name"] == ""  # it was the other run that was saved
    assert is_locked(folder / "my run")
    lab.session.undo()
    settle(lab, lambda: lab.session.run is first)
    assert lab.sharing.kept["name"] == "my run"
    lab.session.undo()
    settle(lab, lambda: lab.session.ghost is first)
    lab.session.train()
    settle(lab, lambda: lab.session.run.step >= 55)
    lab.session.change(norm_type="LayerNorm")
    settle(lab, lambda: lab.session.ghost is not first)
    wait_for(lambda: not is_locked(folder / "my run"))
    assert RunStore(folder).open("my run").step == first.step


def test_a_saved_run_goes_on_where_it_was_and_stays_in_its_folder(lab, folder, fleet):
    step_to(lab, 4)
    save(lab, "my run")
    losses = lab.session.run.recorder.group("train")["loss"].values
    lab.close()
    wait_for(lambda: not is_locked(folder / "my run"))
    other = Bench(None, fleet)
    with pytest.raises(RunError, match="there is no run 'mine'"):
        other.session.resume(RunStore(folder), "mine")
    other.session.resume(RunStore(folder), "my run")
    settle(other, lambda: other.sharing.kept["name"] == "my run" and other.session.run.step > 8)
    other.session.pause()
    assert other.session.experiment.architecture == lab.session.experiment.architecture
    np.testing.assert_array_equal(other.session.run.recorder.group("train")["loss"].values[:4], losses)
    step = other.session.run.step
    other.close()
    wait_for(lambda: not is_locked(folder / "my run"))
    assert RunStore(folder).open("my run").step >= step


def test_a_run_that_is_being_written_elsewhere_is_not_resumed(lab, folder):
    step_to(lab, 1)
    save(lab, "my run")
    first = lab.session.run
    lab.session.resume(RunStore(folder), "my run")
    settle(lab, lambda: "is being written by another trainer" in lab.session.message)
    assert lab.session.run is first
    assert lab.session.state == "paused"
