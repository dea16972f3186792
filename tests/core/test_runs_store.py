"""A store of runs: names, lists, the trash, and two who want the same."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.core.saved_runs import same_history, tiny_experiment
from tlab_core import LiveRun
from tlab_core.runs import RunError, RunStore
from tlab_core.runs.files import Lock, checked_name, cleaned_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = LiveRun(tiny_experiment(tmp_path_factory.mktemp("text")))
    run.advance(steps=12)
    return run


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def test_a_new_run_has_all_that_was_recorded_before_and_all_that_comes(store, tmp_path):
    run = LiveRun(tiny_experiment(tmp_path))
    run.advance(steps=12)
    with store.create(run, "first try") as writer:
        assert writer.name == "first try"
        assert store.open("first try").step == 12
        run.advance(steps=8)
        run.sample("the", 4)
        assert store.open("first try").step == 12  # what no commit speaks of is not there
    saved = store.open("first try")
    assert saved.step == 20
    same_history(saved, run)
    assert saved.recorder.attributes == run.recorder.attributes
    assert saved.tokenizer == run.tokenizer
    assert (saved.probe_tokens, saved.baselines, saved.samples) == (run.probe_tokens, run.baselines, run.samples)
    assert saved.experiment == run.experiment
    assert (saved.model.flat == run.model.flat).all()


@pytest.mark.parametrize("asked", ["advance", "sample", "write", "trainer", "adjust", "watch"])
def test_what_only_a_live_run_can_do_says_how_to_have_one(store, run, asked):
    store.create(run, "it").close()
    saved = store.open("it")
    assert not hasattr(saved, asked)
    with pytest.raises(AttributeError) as caught:
        getattr(saved, asked)
    assert str(caught.value) == (
        f"the saved run 'it' can only be read, and has no {asked!r}. Have it go on, to be saved at the end: "
        f"`with RunStore({str(store.folder)!r}).resume('it') as run: ...`.")


def test_it_commits_by_itself_while_the_run_advances(store, tmp_path):
    run = LiveRun(tiny_experiment(tmp_path))
    writer = store.create(run, every=0.01)
    deadline = time.monotonic() + 10
    while store.open(writer.name).step == 0 and time.monotonic() < deadline:
        run.advance(steps=5)
    writer.close(save=False)
    assert 0 < store.open(writer.name).step <= run.step


def test_the_folder_holds_what_other_programs_read(store, run):
    import safetensors.numpy
    import xarray as xr

    with store.create(run, "it") as writer:
        pass
    commit = json.loads((writer.folder / "commit.json").read_text())
    tensors = safetensors.numpy.load_file(writer.folder / commit["checkpoint"] / "model.safetensors")
    assert {name: values.shape for name, values in tensors.items()} == run.model.shapes
    tree = xr.open_datatree(writer.folder / "history.zarr", engine="zarr", consolidated=False, chunks=None)
    for name, group in tree.children.items():
        assert group.to_dataset().load().equals(run.recorder.group(name)), name
    assert tree["train"]["loss"].attrs == {"long_name": "loss of the batch", "units": "nats"}
    assert commit["environment"]["corpus"] == run.recorder.attributes["corpus_hash"] != ""
    assert commit["environment"]["blas"]


def test_names_that_lead_out_of_the_folder_or_fail_elsewhere_are_refused(store, run):
    for name in ("..", ".", "", "../x", "a/b", "a\\b", "/etc", ".hidden", "x" * 81, "nul", "COM1.txt", "a\nb", "a:b",
                 "end.", "end ", " x", "\x00", "a*", 5, None):
        with pytest.raises(RunError, match="a run can't be named"):
            checked_name(name)
        assert checked_name(cleaned_name(str(name)))
        with pytest.raises(RunError, match="a run can't be named"):
            store.open(name)
    for name in ("stories-1", "Ünïcode 名前", "a, b (2) + c=d #3", "x" * 80):
        assert checked_name(name) == name
    with pytest.raises(RunError, match=r"a run can't be named '\.\./x': .* For example: 'x'"):
        store.create(run, "../x")
    assert not store.folder.exists()


def test_a_link_out_of_the_folder_is_not_followed(store, run, tmp_path):
    with store.create(run, "it"):
        pass
    other = RunStore(tmp_path / "other")
    other.folder.mkdir()
    (other.folder / "link").symlink_to(store.folder / "it")
    with pytest.raises(RunError, match="is a link that leads out of"):
        other.open("link")


def test_runs_without_a_name_get_the_next_number_and_taken_names_are_refused(store, run):
    names = []
    for _ in range(2):
        with store.create(run) as writer:
            names.append(writer.name)
    assert names == ["story-1", "story-2"]
    with pytest.raises(RunError, match=r"there is a run 'story-1' in .* Take another name, such as 'story-1-2'"):
        store.create(run, "story-1")
    with pytest.raises(RunError, match="Did you mean 'story-1'"):
        store.open("stori-1")


def test_delete_restore_rename_annotate(store, run):
    with store.create(run, "it") as writer:
        for act in (lambda: store.delete("it"), lambda: store.rename("it", "that"), lambda: store.resume("it")):
            with pytest.raises(RunError, match="'it' is being written by another trainer"):
                act()
        assert store.list()[0].running
        assert writer.folder.exists()
    assert not store.list()[0].running
    store.annotate("it", tags=["good", "deep"], note="the one with rain")
    store.rename("it", "that")
    deleted = store.delete("that")
    assert store.list() == []
    with pytest.raises(RunError, match=r"there is no run 'that' .* It has none"):
        store.open("that")
    assert store.deleted() == [deleted]
    assert store.restore(deleted) == "that"
    (info,) = store.list()
    assert (info.name, info.tags, info.note, info.step) == ("that", ("good", "deep"), "the one with rain", 12)
    assert info.settings == store.open("that").experiment.to_dict()
    assert store.open("that").step == 12
    store.delete("that")
    store.empty_trash()
    assert store.deleted() == []
    with pytest.raises(RunError, match="there is no 'that 0' in the trash"):
        store.restore("that 0")


def test_a_run_moves_from_scratch_into_the_store_while_it_trains(store, tmp_path):
    run = LiveRun(tiny_experiment(tmp_path))
    scratch = RunStore(store.folder / ".scratch")
    writer = scratch.create(run)
    run.advance(steps=5)
    store.take(writer, "kept")
    run.advance(steps=5)
    writer.close()
    assert [info.name for info in store.list()] == ["kept"]
    assert scratch.list() == []
    saved = store.open("kept")
    assert saved.step == 10
    same_history(saved, run)


def test_two_who_make_runs_at_once_never_share_a_folder(store, run):
    def make(number):
        with RunStore(store.folder).create(run) as writer:
            return writer.name

    with ThreadPoolExecutor(3) as threads:
        names = list(threads.map(make, range(3)))
    assert sorted(names) == ["story-1", "story-2", "story-3"] == [info.name for info in store.list()]
    assert not [path for path in store.folder.iterdir() if path.name.startswith(".")]


def test_what_a_killed_process_left_unfinished_is_cleared_but_not_what_is_being_made(store, run):
    store.folder.mkdir()
    for name, age in ((".new-1-1", 3600), (".new-2-2", 0), (".new-3-3", 3600)):
        (store.folder / name / "history.zarr").mkdir(parents=True)
        os.utime(store.folder / name, (time.time() - age,) * 2)
    held = Lock(store.folder / ".new-3-3")
    os.utime(store.folder / ".new-3-3", (time.time() - 3600,) * 2)
    with store.create(run):
        left = sorted(path.name for path in store.folder.glob(".*"))
    held.release()
    assert left == [".new-2-2", ".new-3-3"]
    assert [info.name for info in store.list()] == ["story-1"]


def test_another_process_can_read_but_not_write_what_this_one_writes(store, run):
    script = """
import sys
from tlab_core.runs import RunError, RunStore
store = RunStore(sys.argv[1])
assert store.open("it").step == 12 and store.list()[0].running
try:
    store.resume("it")
except RunError as error:
    assert "being written by another trainer" in str(error)
    sys.exit(7)
"""
    with store.create(run, "it"):
        assert subprocess.run([sys.executable, "-c", script, str(store.folder)], cwd=ROOT).returncode == 7


def test_a_thousand_runs_are_listed_without_opening_a_history(store, run, monkeypatch):
    with store.create(run, "run"):
        pass
    whole, checkpoint = store.folder / "run", store.open("run").commit["checkpoint"]
    files = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file() and "history.zarr" not in path.parts]
    for number in range(999):
        copy = store.folder / f"run-{number}"
        copy.mkdir()
        (copy / checkpoint).mkdir()
        for file in files:
            os.link(whole / file, copy / file)
    monkeypatch.setattr("zarr.open_group", lambda *_, **__: pytest.fail("a history was opened"))
    listed = store.list()
    assert len(listed) == 1000
    assert {(info.problem, info.remarks) for info in listed} == {(None, ())}
