"""Disks that refuse and files that are broken: one clear error each, and what is in memory stays alive."""

import contextlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.core.saved_runs import same_history, tiny_experiment
from tlab_core import LiveRun
from tlab_core.runs import RunError, RunStore
from tlab_core.schema import GROUPS


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Return a store with a finished run "it" of 30 steps."""
    folder = tmp_path_factory.mktemp("original")
    run = LiveRun(tiny_experiment(folder))
    store = RunStore(folder / "runs")
    with store.create(run, "it"):
        run.sample("the", 4)
        run.advance(steps=30)
    return store


@pytest.fixture
def store(original, tmp_path):
    """Return a copy of the store, to be damaged."""
    shutil.copytree(original.folder, tmp_path / "runs")
    return RunStore(tmp_path / "runs")


def read_all(store):
    run = store.open("it")
    run.history.load()
    run.model()
    store.resume("it").writer.close(save=False)


def test_the_undamaged_run_reads(store):
    read_all(store)


# ---- disks


@contextlib.contextmanager
def files_no_longer_than(size):
    """Let the system refuse to write past `size` bytes of a file, as a quota does."""
    resource = pytest.importorskip("resource")
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_no_room_leaves_the_last_commit_and_the_run_alive_and_can_be_tried_again(tmp_path):
    run, store = LiveRun(tiny_experiment(tmp_path)), RunStore(tmp_path / "runs")
    writer = store.create(run, "it")
    run.advance(steps=10)
    for size in (0, 700, 2000, 5000):  # refused at different places: a chunk, a checkpoint, the commit
        with files_no_longer_than(size), pytest.raises(RunError, match="no room on the disk for the run 'it' .*make room"):
            writer.commit()
        assert isinstance(writer.problem, RunError)
        assert store.open("it").step == 0
        run.advance(steps=5)
    writer.commit()
    assert writer.problem is None
    run.advance(steps=5)
    writer.close()
    same_history(store.open("it"), run)
    assert store.resume("it").writer.close() is None
    assert not list(writer.folder.rglob("*.new"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is always full")
def test_a_full_disk_at_the_last_moment_of_a_commit(tmp_path):
    run, store = LiveRun(tiny_experiment(tmp_path)), RunStore(tmp_path / "runs")
    writer = store.create(run, "it")
    run.advance(steps=10)
    (writer.folder / "commit.json.new").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"no room on the disk for the run 'it' \(No space left on device"):
        writer.commit()
    assert store.open("it").step == 0
    writer.commit()
    assert store.open("it").step == 10
    writer.close()
    assert [path.name for path in writer.folder.glob("checkpoint-*")] == [store.open("it").commit["checkpoint"]]


def test_in_the_background_a_refusal_is_remembered_and_mended(tmp_path):
    run, store = LiveRun(tiny_experiment(tmp_path)), RunStore(tmp_path / "runs")
    writer = store.create(run, "it", every=0)
    writer._due = 0
    with files_no_longer_than(0):
        run.advance(steps=3)
        writer._wait()
    assert "no room on the disk" in str(writer.problem)
    assert run.step == 3
    writer.commit()
    writer.close()
    same_history(store.open("it"), run)


def test_maps_that_wait_too_long_for_the_disk_are_thinned_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("tlab_core.runs.writer.MOST_PENDING", 20_000)
    run, store = LiveRun(tiny_experiment(tmp_path, statistics_every=1)), RunStore(tmp_path / "runs")
    writer = store.create(run, "it", every=0)
    with files_no_longer_than(0):
        for _ in range(40):
            run.advance(steps=1)
            writer._wait()
            writer._due = 0
    writer.close()
    saved = store.open("it")
    kept, dropped = saved.recorder.records["attention"], saved.commit["dropped"]["attention"]
    assert kept + dropped == saved.recorder.records["heads"] == 41
    assert dropped > 10
    assert saved.recorder.group("attention")["step"].values[0] == 0
    assert list(saved.history["train"]["step"].values) == list(range(1, 41))


@contextlib.contextmanager
def nobody():
    """Act as a user who owns nothing, if this is the one who may do everything."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="permissions are another matter on Windows")
def test_a_read_only_folder_is_said_and_the_run_goes_on(tmp_path):
    run = LiveRun(tiny_experiment(tmp_path))
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        store = RunStore(Path(place) / "runs")
        with store.create(run, "it") as writer:
            folders = [store.folder, *(path for path in store.folder.rglob("*") if path.is_dir())]
            modes = {path: path.stat().st_mode for path in folders}
            run.advance(steps=5)
            for path in folders:
                path.chmod(0o555)
            with nobody():
                for act in (writer.commit, lambda: store.create(run, "new"), lambda: store.annotate("it", note="x")):
                    with pytest.raises(RunError, match="is read-only here .*make it writable, then save again"):
                        act()
                assert store.open("it").step == 0
                assert len(store.list()) == 1
            for path, mode in modes.items():
                path.chmod(mode)
            run.advance(steps=5)
        same_history(store.open("it"), run)
        with nobody(), pytest.raises(RunError, match="read-only here"):
            store.resume("it")


# ---- files


def cut_in_half(path):
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def checkpoint(run):
    return run / json.loads((run / "commit.json").read_text())["checkpoint"]


def more_records(run, group, extra):
    records = json.loads((run / "commit.json").read_text())["records"]
    edit(run / "commit.json", records=records | {group: records[group] + extra})


DAMAGES = {
    "commit cut": (lambda run: cut_in_half(run / "commit.json"), "commit.json is not JSON"),
    "commit empty": (lambda run: (run / "commit.json").write_text(""), "commit.json is not JSON"),
    "commit of a list": (lambda run: (run / "commit.json").write_text("[]"), "holds a JSON list where an object should be"),
    "commit nested": (lambda run: (run / "commit.json").write_text("[" * 100_000), "commit.json is not JSON"),
    "commit of another version": (lambda run: edit(run / "commit.json", schema=2), "has the schema 2, and this version"),
    "commit that leads out": (lambda run: edit(run / "commit.json", checkpoint="../../x"), "no checkpoint's folder"),
    "commit with a negative step": (lambda run: edit(run / "commit.json", step=-1), "'step' is -1"),
    "commit with a step of text": (lambda run: edit(run / "commit.json", step="5"), "'step' is '5'"),
    "commit of another step": (lambda run: edit(run / "commit.json", step=29), "is damaged: its commit is of step 29"),
    "commit without a group": (lambda run: edit(run / "commit.json", records={"train": 1}), "'records' speaks of train"),
    "commit with more records": (lambda run: more_records(run, "train", 5), "train/step has 30 records, but .* of 35"),
    "commit with unknown knobs": (lambda run: edit(run / "commit.json", settings={"training": {"step": 5}}),
                                  "the settings can't be used: .*Did you mean 'steps'"),
    "commit with bad settings": (lambda run: edit(run / "commit.json", settings={"architecture": {"num_heads": 3}}),
                                 "the settings can't be used: num_heads = 3 does not fit"),
    "commit with more samples": (lambda run: edit(run / "commit.json", **{"samples.jsonl": 9999}), "its end is lost"),
    "meta cut": (lambda run: cut_in_half(run / "meta.json"), "meta.json is not JSON"),
    "no meta": (lambda run: (run / "meta.json").unlink(), "meta.json can't be read: No such file"),
    "samples broken": (lambda run: (run / "samples.jsonl").write_text("x" * 999), "has a line that is not JSON"),
    "samples of something else": (lambda run: (run / "samples.jsonl").write_text('{"step": "x"}' + " " * 999),
                                  "samples.jsonl, 'step' is 'x'"),
    "meta without baselines": (lambda run: edit(run / "meta.json", baselines={"uniform": "x"}), "'uniform' is 'x'"),
    "meta of other tokens": (lambda run: edit(run / "meta.json", probe_tokens=[1]), "'probe_tokens' holds something"),
    "tokenizer cut": (lambda run: cut_in_half(run / "tokenizer.json"), "the tokenizer of the run 'it' can't be read"),
    "no tokenizer": (lambda run: (run / "tokenizer.json").unlink(), "the tokenizer of the run 'it' can't be read"),
    "settings with a tag": (lambda run: (run / "settings.yaml").write_text("prompt: !!python/name:os.system\n"),
                            "line 1: tags such as"),
    "settings cut": (lambda run: (run / "settings.yaml").write_text("training: {step"), "settings.yaml"),
    "no settings": (lambda run: (run / "settings.yaml").unlink(), "settings.yaml can't be read: No such file"),
    "model cut": (lambda run: cut_in_half(checkpoint(run) / "model.safetensors"), "model.safetensors is no safe"),
    "model of noise": (lambda run: (checkpoint(run) / "model.safetensors").write_bytes(b"\xff" * 400), "is no safe"),
    "optimizer cut": (lambda run: cut_in_half(checkpoint(run) / "optimizer.safetensors"), "is no safetensors file"),
    "optimizer of another kind": (lambda run: shutil.copy(checkpoint(run) / "model.safetensors",
                                                          checkpoint(run) / "optimizer.safetensors"),
                                  "does not fit the settings: .* Set training.optimizer in settings.yaml back"),
    "state cut": (lambda run: cut_in_half(checkpoint(run) / "state.json"), "state.json is not JSON"),
    "no checkpoint": (lambda run: shutil.rmtree(checkpoint(run)), "state.json can't be read: No such file"),
    "chunk cut": (lambda run: cut_in_half(run / "history.zarr/train/loss/c.0"), "train/loss can't be read"),
    "chunk of noise": (lambda run: (run / "history.zarr/heads/entropy/c.0.0.0").write_bytes(b"\x00\xff" * 99),
                       "heads/entropy can't be read"),
    "chunk missing": (lambda run: (run / "history.zarr/attention/weight/c.0.0.0.0.0").unlink(), "c.0.0.0.0.0 is missing"),
    "steps missing": (lambda run: (run / "history.zarr/train/step/c.0").unlink(), "c.0 is missing"),
    "array cut": (lambda run: cut_in_half(run / "history.zarr/train/loss/zarr.json"), "train/loss can't be read"),
    "array missing": (lambda run: shutil.rmtree(run / "history.zarr/layers/rms"), "layers/rms can't be read"),
    "array of other sizes": (lambda run: edit(run / "history.zarr/heads/entropy/zarr.json", shape=[7, 3, 3]),
                             "heads/entropy"),
    "root cut": (lambda run: cut_in_half(run / "history.zarr/zarr.json"), "zarr.json is not JSON"),
    "no history": (lambda run: shutil.rmtree(run / "history.zarr"), "can't be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_one_clear_error(store, name):
    damage, said = DAMAGES[name]
    damage(store.folder / "it")
    with pytest.raises(RunError) as caught:
        read_all(store)
    assert re.search(said, str(caught.value)), caught.value
    assert [info.name for info in store.list()] == ["it"]  # the list stands it
    assert not store.list()[0].running  # and the lock was let go


def test_steps_behind_what_was_written_are_noticed_in_a_run_that_was_never_closed(tmp_path):
    run, store = LiveRun(tiny_experiment(tmp_path)), RunStore(tmp_path / "runs")
    writer = store.create(run, "it")
    run.advance(steps=10)
    writer.commit()
    writer.close(save=False)  # as a killed process leaves it: arrays longer than what counts
    more_records(writer.folder, "train", 5)
    with pytest.raises(RunError, match="does not hold growing steps: the history is damaged"):
        _ = store.open("it").history


def test_a_torn_end_behind_the_commit_is_ignored_and_cut_off(store, original):
    run = store.folder / "it"
    with (run / "samples.jsonl").open("a") as file:
        file.write('{"step": 30, "prom')
    (run / "checkpoint-31-9").mkdir()
    (run / "checkpoint-31-9" / "model.safetensors").write_bytes(b"half")
    (run / "commit.json.new").write_text("{")
    same_history(store.open("it"), original.open("it"))
    with store.resume("it").writer as writer:
        writer.run.sample("the", 3)
    assert [sample.step for sample in store.open("it").samples] == [0, 30]
    assert not (run / "checkpoint-31-9").exists()
    assert set(store.open("it").recorder.records) == set(GROUPS)
