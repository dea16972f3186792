"""`tlab runs`, `tlab compare` and `tlab export`."""

import csv
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import load_file

from tests.core.cli_runs import call, call_json, trained
from tests.core.saved_runs import tiny_experiment
from tlab_core import LiveRun
from tlab_core.cli.exporting import NETCDF
from tlab_core.compare import compare_groups
from tlab_core.runs import RunStore
from tlab_core.runs.settings_file import read_settings
from tlab_core.schema import GROUPS
from tlab_core.share import from_query


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder in which the runs "one" and "two" were trained, two seeds of one setting."""
    home = tmp_path_factory.mktemp("home")
    trained(home, "one", "two")
    return home


@pytest.fixture
def folder(home, tmp_path):
    """A folder of runs that a test may change."""
    return Path(shutil.copytree(home / "runs", tmp_path / "runs"))


# ---- runs


def test_list_and_show(folder):
    RunStore(folder).annotate("two", tags=["good"], note="the second")
    listed = call("runs", "list", "--folder", folder).stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["name", "one", "two", "loss:"]
    losses = RunStore(folder).open("one").recorder.group("train")["loss"].values
    assert f"{losses[-20:].mean():.3f}" in listed.splitlines()[1]
    assert "loss: mean of the last 20 steps, in nats a character" in listed
    assert "the second" in listed
    assert [info["name"] for info in call_json("runs", "list", "--folder", folder)] == ["one", "two"]
    shown = call("runs", "show", "two", "--folder", folder).stdout
    assert "20 of 60" in shown
    assert "architecture.seed = 1" in shown
    assert "(mean of the last 20 steps), best" in shown
    assert "shards" not in shown  # 2 is what this machine takes, or what "auto" came to on another
    assert "the second" in shown
    details = call_json("runs", "show", "two", "--folder", folder)
    saved = RunStore(folder).open("two")
    assert details["settings"] == saved.experiment.to_dict()
    assert (details["tags"], details["steps"], details["samples"][0]["text"]) == (["good"], 20, saved.samples[0].text)
    link = call("runs", "show", "two", "--link", "--folder", folder).stdout
    assert from_query(link, files=True).training == saved.experiment.training.replace(shards="auto")


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    assert "Make one with: tlab train" in call("runs", "list", "--folder", tmp_path / "none").stdout
    assert call_json("runs", "list", "--folder", tmp_path / "none") == []


def test_a_damaged_run_is_listed_and_hides_no_other(folder):
    (folder / "one" / "commit.json").write_text("{")
    listed = call("runs", "list", "--folder", folder).stdout
    assert "can't be read" in listed
    assert "two" in listed
    assert "is not JSON" in call("runs", "show", "one", "--folder", folder, code=1).stderr


def test_a_lost_file_is_marked_said_and_mended(folder, tmp_path):
    settings = folder / "one" / "settings.yaml"
    whole = settings.read_text()
    settings.write_text(whole[: len(whole) // 2])
    listed = call("runs", "list", "--folder", folder).stdout.splitlines()
    assert "damaged" in listed[1]
    assert "damaged" not in listed[2]
    assert "`tlab runs show NAME` says what is lost" in listed[-1]
    for command in (("runs", "show", "one"), ("compare", "one", "two"), ("generate", "one", "--length", 1),
                    ("export", "one", "--to", tmp_path / "it.safetensors")):  # fmt: skip
        said = call(*command, "--folder", folder).stderr
        assert said.startswith(f"Note: {settings}"), command
        assert "the copy in commit.json is used, and `tlab runs mend` writes it anew" in said
    assert "`tlab runs mend`" in call("resume", "one", "--folder", folder, code=1).stderr
    mended = call("runs", "mend", "one", "--folder", folder)
    assert (mended.stdout, mended.stderr) == ("settings.yaml was written anew from commit.json.\n", "")
    assert settings.read_text() == whole
    assert call("runs", "mend", "one", "--folder", folder).stdout == "one is whole.\n"
    call("resume", "one", "--folder", folder, "--steps", 1)


def test_what_a_run_needs_to_go_on_can_not_be_mended(folder):
    (next((folder / "one").glob("checkpoint-*")) / "optimizer.safetensors").unlink()
    said = call("runs", "mend", "one", "--folder", folder)
    assert "optimizer.safetensors is missing or empty. The run can be looked at, but it can't go on" in said.stderr
    assert said.stdout == ""
    assert "begin anew with its settings: `tlab export`" in call("resume", "one", "--folder", folder, code=1).stderr


def test_the_folder_is_that_of_the_environment_unless_named(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TLAB_RUNS", str(folder))
    assert call_json("runs", "list")[0]["name"] == "one"
    assert "tlab resume one\n" in call("resume", "one", "--steps", 1).stdout
    monkeypatch.delenv("TLAB_RUNS")
    monkeypatch.chdir(tmp_path)
    assert call_json("runs", "list")[0]["name"] == "one"


def test_rename(folder):
    call("runs", "rename", "one", "three", "--folder", folder)
    assert [info.name for info in RunStore(folder).list()] == ["three", "two"]
    assert "there is a run 'two'" in call("runs", "rename", "three", "two", "--folder", folder, code=1).stderr


def test_delete_asks_and_restore_brings_back(folder):
    store = RunStore(folder)
    asked = call("runs", "delete", "one", "--folder", folder, code=130, answer="n\n")
    assert "Delete one (step 20, loss " in asked.output
    assert len(store.list()) == 2
    deleted = call("runs", "delete", "one", "--folder", folder, answer="y\n").stdout
    assert f"tlab runs restore one --folder {folder}" in deleted
    call("runs", "delete", "two", "--yes", "--folder", folder)
    assert store.list() == []
    assert [name.split()[0] for name in call_json("runs", "list", "--deleted", "--folder", folder)] == ["one", "two"]
    call("runs", "restore", "one", "--folder", folder)
    call("runs", "restore", "two", "--as", "three", "--folder", folder)
    assert [info.name for info in store.list()] == ["one", "three"]
    assert "no run 'two' is deleted" in call("runs", "restore", "two", "--folder", folder, code=1).stderr
    assert "Did you mean 'three'?" in call("runs", "delete", "thre", "--yes", "--folder", folder, code=1).stderr


# ---- compare


def test_compare_shows_losses_and_differences(folder):
    found = call_json("compare", "one", "two", "--folder", folder)
    assert [run["name"] for run in found["runs"]] == ["one", "two"]
    assert found["settings"] == {"architecture.seed": {"one": 0, "two": 1}, "training.seed": {"one": 0, "two": 1}}
    shown = call("compare", "one", "two", "--folder", folder).stdout
    assert [line.split() for line in shown.splitlines() if "seed" in line] == [["architecture.seed", "0", "1"],
                                                                              ["training.seed", "0", "1"]]
    assert "at least two runs" in call("compare", "one", "--folder", folder, code=2).stderr
    assert "there is no run 'thre'" in call("compare", "one", "thre", "--folder", folder, code=1).stderr


def test_a_loss_of_an_earlier_step_is_said_with_its_step(tmp_path):
    store, run = RunStore(tmp_path / "runs"), LiveRun(tiny_experiment(tmp_path))
    with store.create(run, "it"):
        run.advance(steps=13)
    old = run.recorder.group("validation")["loss"].sel(step=10).item()
    assert f"validation  {old:.3f} (at step 10)" in call("runs", "show", "it", "--folder", store.folder).stdout
    call("resume", "it", "--folder", store.folder, "--steps", 1)
    assert (validation := store.open("it").recorder.group("validation"))["step"].values.tolist() == [0, 10, 14]
    shown = call("runs", "show", "it", "--folder", store.folder).stdout
    assert f"validation  {validation['loss'].values[-1]:.3f}, best" in shown


def test_a_run_that_has_learned_nothing_is_not_compared(home, tmp_path):
    store = RunStore(shutil.copytree(home / "runs", tmp_path / "runs"))
    with store.create(LiveRun(tiny_experiment(home, learning_rate=0.5)), "fresh"):
        pass
    shown = call("compare", "one", "fresh", "--folder", store.folder).stdout
    assert "fresh is at step 0: nothing was learned yet." in shown
    refused = call("compare", "one", "fresh", "--groups", "--folder", store.folder, code=1).stderr
    assert "nothing was learned yet at step 0, the only one at which each run has a validation loss" in refused


def test_compare_groups_of_seeds(folder, home):
    trained(home, "three", "four", learning_rate=0.001, store=folder)
    store = RunStore(folder)
    shown = call("compare", "one", "three", "two", "four", "--groups", "--folder", folder).stdout
    expected = compare_groups([store.open("one"), store.open("two")], [store.open("three"), store.open("four")],
                              ("learning_rate=0.01", "learning_rate=0.001"))
    assert expected.sentence in shown
    assert expected.interval is not None
    found = call_json("compare", "one", "three", "two", "four", "--groups", "--folder", folder)
    assert [group["count"] for group in found["groups"]] == [2, 2]
    assert found["comparisons"][0]["sentence"] == expected.sentence
    alone = call("compare", "one", "two", "--groups", "--folder", folder).stdout
    assert "All of them are of one setting" in alone


# ---- export


def test_settings_and_script(home, tmp_path, capsys):
    folder = home / "runs"
    call("export", "one", "--to", tmp_path / "it.yaml", "--folder", folder)
    saved = RunStore(folder).open("one")
    assert read_settings(tmp_path / "it.yaml") == saved.experiment
    call("export", "one", "--to", tmp_path / "it.py", "--folder", folder)
    text = (tmp_path / "it.py").read_text()
    assert "run.advance(until=20)" in text  # the step that it has come to, not the horizon of its settings
    names: dict = {}
    exec(compile(text, "it.py", "exec"), names)
    assert all(np.array_equal(saved.checkpoint().parameters[name], values)
               for name, values in names["run"].model.parameters.items())
    assert "cat" in (home / "story.txt").read_text()
    assert capsys.readouterr().out


def test_weights(home, tmp_path):
    folder = home / "runs"
    call("export", "one", "--to", tmp_path / "it.safetensors", "--folder", folder)
    written, own = load_file(tmp_path / "it.safetensors"), RunStore(folder).open("one").checkpoint().parameters
    assert set(written) == set(own)
    assert all(np.array_equal(written[name], values) for name, values in own.items())


def test_curves_as_csv(home, tmp_path):
    folder = home / "runs"
    call("export", "one", "--to", tmp_path / "it.csv", "--folder", folder)
    with (tmp_path / "it.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    live = LiveRun(tiny_experiment(home))
    live.advance(until=20)
    train, validation = live.recorder.group("train"), live.recorder.group("validation")
    assert [int(row["step"]) for row in rows] == list(range(21))
    assert [float(row["loss"]) for row in rows[1:]] == train["loss"].values.tolist()
    assert [int(row["tokens"]) for row in rows[1:]] == train["tokens"].values.tolist()
    measured = {int(row["step"]): float(row["validation_loss"]) for row in rows if row["validation_loss"]}
    assert measured == dict(zip(validation["step"].values.tolist(), validation["loss"].values.tolist(), strict=True))
    assert rows[0]["loss"] == ""
    assert "validation_answer_accuracy" not in rows[0]


def test_a_group_as_csv(home, tmp_path):
    folder = home / "runs"
    call("export", "one", "--to", tmp_path / "heads.csv", "--group", "heads", "--folder", folder)
    with (tmp_path / "heads.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    heads = RunStore(folder).open("one").recorder.group("heads")
    assert len(rows) == heads["entropy"].size
    row = rows[-1]
    at = {"step": int(row["step"]), "layer": int(row["layer"]), "head": int(row["head"])}
    assert np.float32(row["entropy"]) == heads["entropy"].sel(at).item()


@pytest.mark.skipif(not any(map(find_spec, NETCDF)), reason="netCDF needs netCDF4 or h5netcdf")
def test_the_history_as_netcdf(home, tmp_path):
    folder = home / "runs"
    call("export", "one", "--to", tmp_path / "it.nc", "--folder", folder)
    saved = RunStore(folder).open("one")
    with xr.open_datatree(tmp_path / "it.nc") as tree:
        for group in GROUPS:
            ours, theirs = saved.recorder.group(group).load(), tree[group].to_dataset().load()
            xr.testing.assert_equal(theirs, ours)
            assert theirs["step"].attrs == ours["step"].attrs
        assert tree.attrs["corpus_hash"] == saved.recorder.attributes["corpus_hash"]
    assert [path.name for path in tmp_path.iterdir()] == ["it.nc"]


def test_netcdf_without_a_library_for_it_says_how_to_get_one(home, tmp_path, monkeypatch):
    monkeypatch.setattr("tlab_core.cli.exporting.find_spec", lambda module: None)
    result = call("export", "one", "--to", tmp_path / "it.nc", "--folder", home / "runs", code=2)
    assert "python -m pip install netCDF4" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arguments", "message"), [
    (["--to", "it.yml"], "ends in .yml, and can end in .yaml, .py, .safetensors, .csv, .nc. Did you mean '.yaml'?"),
    (["--to", "it"], "ends in nothing"),
    (["--to", "it.csv", "--group", "head"], "Did you mean 'heads'?"),
    (["--to", "it.yaml", "--group", "heads"], "a .csv takes one of"),
    (["--to", "taken.yaml"], "taken.yaml is there already"),
    ([], "Missing option '--to'"),
])  # fmt: skip
def test_what_can_not_be_exported(home, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.yaml").write_text("mine")
    result = call("export", "one", *arguments, "--folder", home / "runs", code=2)
    assert message in " ".join(result.stderr.split())
    assert (tmp_path / "taken.yaml").read_text() == "mine"


def test_force_writes_over_a_file(home, tmp_path):
    path = tmp_path / "taken.yaml"
    path.write_text("mine")
    call("export", "one", "--to", path, "--force", "--folder", home / "runs")
    assert read_settings(path) == RunStore(home / "runs").open("one").experiment
