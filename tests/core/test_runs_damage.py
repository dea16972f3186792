"""Disks that refuse and files that are broken: one clear error each, and what is in memory stays alive."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.core.saved_runs import files_no_longer_than, same_history, tiny_experiment
from tlab_core import LiveRun
from tlab_core.runs import RunError, RunStore
from tlab_core.runs.damage import lost_checkpoint
from tlab_core.schema import GROUPS

ROOT = Path(__file__).parents[2]


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
    assert run.model.flat.size
    store.resume("it").writer.close(save=False)


def test_the_undamaged_run_reads(store):
    read_all(store)


# ---- disks


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


@pytest.fixture
def small_disk(tmp_path):
    """Return what runs a command with a disk of 2 MB mounted at `tmp_path`/disk, in a namespace that ends with it."""
    (tmp_path / "disk").mkdir()
    mount = 'mount -t tmpfs -o size=2m tlab "$0" && exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, str(tmp_path / "disk")]
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `unshare`, which mounts a small disk for one process alone")
    if tried.returncode:
        pytest.skip(f"this user may not mount a disk in a namespace of its own: {tried.stderr.strip()}")
    return command


def test_a_disk_that_is_really_full(small_disk, tmp_path):
    scenario = [sys.executable, "-W", "error", "-m", "tests.core.full_disk", str(tmp_path / "disk"), str(tmp_path)]
    done = subprocess.run([*small_disk, *scenario], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said) == 2 * 4
    for name, messages in {"it": said[::2], "new": said[1::2]}.items():
        for message in messages:
            assert re.match(f"no room on the disk for the run '{name}' .*No space left on device", message)
            assert "the run goes on in memory: make room, then save again." in message
    assert not list((tmp_path / "disk").iterdir())  # it was there for the child alone


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
                for act in (writer.commit, lambda: store.create(run, "new")):
                    with pytest.raises(RunError, match="is read-only here .* in memory: make it writable, then save again"):
                        act()
                with pytest.raises(RunError, match="is read-only here .*Nothing was changed: make it writable, then try"):
                    store.annotate("it", note="x")
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


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def leave_out(path, knob):
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.strip().startswith(f"{knob}:")))


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
    "no checkpoint": (lambda run: shutil.rmtree(checkpoint(run)), "model.safetensors can't be read: No such file"),
    "no optimizer": (lambda run: (checkpoint(run) / "optimizer.safetensors").unlink(),
                     "can't go on: .*optimizer.safetensors is missing or empty. The run can be looked at"),
    "no state": (lambda run: (checkpoint(run) / "state.json").write_text(""), "state.json is missing or empty"),
    "no samples": (lambda run: (run / "samples.jsonl").unlink(), "samples.jsonl can't be read: No such file"),
    "settings emptied": (lambda run: (run / "settings.yaml").write_text(""),
                         "settings.yaml lacks architecture.vocab_size, .* more: it was emptied, cut off, or edited"),
    "settings without a line": (lambda run: leave_out(run / "settings.yaml", "learning_rate"),
                                "settings.yaml lacks training.learning_rate: it was"),
    "settings with another text's size": (lambda run: replace(run / "settings.yaml", "vocab_size: ", "vocab_size: 9"),
                                          "architecture.vocab_size is 9.*the text decides it: set it back"),
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


STILL_READ = {  # what the list notices without reading the file is marked
    "meta cut": True, "no meta": True, "samples broken": False, "no samples": True, "commit with more samples": True,
    "no optimizer": True, "optimizer cut": False, "no state": True, "state cut": False, "no settings": True,
    "settings cut": True, "settings emptied": True, "settings without a line": True, "settings with a tag": True,
}  # fmt: skip


@pytest.mark.parametrize("name", STILL_READ)
def test_a_lost_side_file_leaves_weights_and_curves(store, original, name):
    DAMAGES[name][0](store.folder / "it")
    run, whole = store.open("it"), original.open("it")
    assert (run.model.flat == whole.model.flat).all()
    same_history(run, whole)
    assert run.experiment == whole.experiment
    if "cut" not in name or "settings" in name or "meta" in name:
        assert len(run.remarks) == 1
    (info,) = store.list()
    assert (info.step, info.problem, bool(info.remarks)) == (30, None, STILL_READ[name])


@pytest.mark.parametrize("name", [name for name in STILL_READ if not re.search("optimizer|state", name)])
def test_what_is_kept_elsewhere_is_mended_and_the_run_goes_on(store, original, name):
    assert store.mend("it") == []
    DAMAGES[name][0](store.folder / "it")
    assert len(store.mend("it")) == 1
    assert (store.open("it").remarks, store.list()[0].remarks) == ([], ())
    assert store.mend("it") == []
    with store.resume("it").writer as writer:
        assert writer.run.experiment == original.open("it").experiment
        writer.run.sample("the", 3)
    assert store.open("it").samples[-1].step == 30


def test_mending_keeps_the_texts_before_the_broken_one(store):
    with store.resume("it").writer as writer:
        writer.run.sample("the", 3)
    path = store.folder / "it" / "samples.jsonl"
    first, second = path.read_bytes().splitlines(True)
    path.write_bytes(first + second[:-5])
    assert store.mend("it") == ["samples.jsonl keeps 1 of its lines."]
    assert [sample.step for sample in store.open("it").samples] == [0]


def test_what_can_not_be_mended_is_said(store):
    DAMAGES["no optimizer"][0](store.folder / "it")
    assert store.mend("it") == []
    assert "can't go on; begin anew with its settings" in store.open("it").remarks[0]


def test_a_run_that_is_written_meanwhile_is_not_called_damaged(store):
    run = store.folder / "it"
    commit = json.loads((run / "commit.json").read_text())
    old = checkpoint(run)
    shutil.move(old, run / "checkpoint-30-9")
    edit(run / "commit.json", checkpoint="checkpoint-30-9")
    assert lost_checkpoint(run, commit) == []


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
