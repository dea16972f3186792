"""Snapshots: what is left out, what is refused, how large they become, and the command that writes them."""

import errno
import re
from copy import copy
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.core.tiny_runs import trainer_of
from tests.dash.fakes import fake_run
from tests.dash.kept_runs import keep_runs
from tests.dash.snapshots import blocks, index, noisy, small
from tlab_core import LiveRun
from tlab_core.cli.main import tlab
from tlab_core.run import Sample
from tlab_dash.lab import Lab
from tlab_dash.snapshot import SnapshotError, file, page, runs_of, snapshot, snapshot_bytes

pytestmark = pytest.mark.slow  # each makes whole files


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = small(tmp_path_factory.mktemp("one"))
    run.sample("the ", 20)
    return run


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return small(tmp_path_factory.mktemp("other"), layers=1, heads=2, steps=12, architecture={"norm_type": "LayerNorm"})


@pytest.fixture(scope="module")
def made(run):
    return snapshot_bytes({"the run": run})


def lab_without_model(**more):
    session = {"run": None, "ghost": None, "closed": False, "message": "", "problems": [], "poll": lambda: True, **more}
    return SimpleNamespace(session=SimpleNamespace(**session))


# What is left out, what is refused -----------------------------------------------------------------------------------


def test_fewer_steps_are_evenly_spread_and_said(run):
    made = snapshot_bytes({"run": run}, steps=3)
    assert index(made)["stops"] == [0, 15, 30]
    assert made.left_out == ("It shows 3 of the 7 recorded steps; all with tlab snapshot --steps 7.",)
    assert b"It shows 3 of the 7 recorded steps; all with" in made.html
    assert index(snapshot_bytes({"run": run}, steps=1))["stops"] == [30]
    assert snapshot_bytes({"run": run}).left_out == ()


def test_a_short_run_recorded_at_every_step_is_shown_whole(tmp_path):
    made = snapshot_bytes({"run": small(tmp_path, layers=1, heads=1, steps=20, statistics_every=1)})
    assert index(made)["stops"] == list(range(21))
    assert made.left_out == ()
    command = {option.name: option.default for option in tlab.commands["snapshot"].params}
    assert command["steps"] == page.STEPS
    assert command["megabytes"] == page.MEGABYTES


def test_a_file_that_would_be_too_large_shows_fewer_steps(run, made):
    allowed = len(made.html) / 1e6 - 0.004
    thinned = snapshot_bytes({"run": run}, megabytes=allowed)
    assert len(thinned.html) <= 1e6 * allowed
    shown = index(thinned)["stops"]
    assert shown[0] == 0
    assert shown[-1] == 30
    assert thinned.left_out == (f"It shows {len(shown)} of the 7 recorded steps, to keep the file small.",)


def test_what_does_not_fit_at_all_is_refused(run):
    with pytest.raises(SnapshotError, match=r"one step of this run takes 0\.\d MB, and the file may have 0.01 MB"):
        snapshot_bytes({"run": run}, megabytes=0.01)


def test_texts_that_are_left_out_are_said(run):
    chatty = LiveRun(run.experiment)
    chatty.samples += [Sample(step, "the ", "cat") for step in range(30)]
    made = snapshot_bytes({"chatty": chatty})
    assert made.left_out == ("Of the 30 texts that chatty wrote, it shows 12.",)
    assert made.html.count(b"<li data-step=") == 12


def test_a_run_that_stopped_earlier_shows_its_last_record(run, other):
    made = snapshot_bytes({"a": run, "b": other})
    assert index(made)["stops"] == [0, 5, 10, 15, 20, 25, 30]
    assert index(made)["runs"][1]["steps"] == [0, 5, 10, 10, 10, 10, 10]
    assert index(made)["chosen"]["layer"] == 0  # which both have
    assert {"run-1-step-10"} == {name for name in blocks(made) if name.startswith("run-1-step-1")}


@pytest.mark.parametrize(("options", "message"), [
    ({"runs": {}}, "a snapshot shows 1 to 8 runs, and 0 came. Train one first."),
    ({"steps": 0}, "steps is 0: it must be a whole number from 1 on."),
    ({"steps": 2.5}, "steps is 2.5"),
    ({"megabytes": 0}, "megabytes is 0: it must be above 0."),
    ({"steps": True}, "steps is True"),
    ({"title": 5}, "title = 5 is not allowed: it must be a text."),
    ({"notes": None}, "notes = None is not allowed: it must be a text."),
    ({"notes": "x" * 200_001}, "the notes have 200,001 characters, and at most 200,000 are taken."),
])
def test_what_cannot_be_is_refused(run, options, message):
    with pytest.raises(SnapshotError, match=re.escape(message)):
        snapshot_bytes(**{"runs": {"run": run}, **options})


def test_nine_runs_and_empty_runs_are_refused(run):
    with pytest.raises(SnapshotError, match="1 to 8 runs, and 9 came"):
        snapshot_bytes(dict.fromkeys("abcdefghi", run))
    with pytest.raises(SnapshotError, match="nothing of 'empty' is on record yet: train it first"):
        snapshot_bytes({"empty": fake_run(records=0)})


@pytest.mark.parametrize(("given", "message"), [
    (None, "None is no run: a snapshot shows a LiveRun or a saved run, several in a list or a dict, or a Lab."),
    ("first", "'first' is no run: .* Open it first"),
    ({1: None}, "a run is named 1: its name must be a text"),
    ({"a": 5}, "this int is no run"),
    (lab_without_model(closed=True), "this lab was closed"),
    (lab_without_model(message="No memory."), "this lab has no model: No memory"),
    (lab_without_model(), "this lab has not built its first model in 0 seconds"),
])
def test_what_is_no_run_is_refused(given, message, monkeypatch):
    monkeypatch.setattr("tlab_dash.snapshot.given.FIRST_MODEL", 0)
    with pytest.raises(SnapshotError, match=message):
        runs_of(given)


def test_of_a_trainer_there_is_no_snapshot():
    with pytest.raises(SnapshotError, match="this Trainer is no run: .* train a LiveRun"):
        runs_of(trainer_of())


def test_runs_are_taken_from_a_lab_a_list_or_one(run, other):
    lab = SimpleNamespace(session=SimpleNamespace(run=run, ghost=other))
    assert runs_of(lab) == {"now": run, "ghost": other}
    assert runs_of(SimpleNamespace(session=SimpleNamespace(run=run, ghost=None))) == {"now": run}
    assert runs_of([run, other]) == {"run 1": run, "run 2": other}
    assert runs_of(run) == {"the run": run}
    same, too = copy(run), copy(run)
    same.name = too.name = "same"
    with pytest.raises(SnapshotError, match="two runs have the name 'same'"):
        runs_of([same, too])


def test_a_run_given_twice_is_shown_once_and_that_is_said(run, tmp_path, kept_runs):
    made = snapshot([run, run], tmp_path / "x.html", steps=1)
    assert made.left_out[0] == "What is given twice is shown once."
    assert len(index(made)["runs"]) == 1
    twice = [kept_runs.open("fast 0") for _ in range(2)]
    assert len(index(snapshot(twice, tmp_path / "x.html", steps=1))["runs"]) == 1
    done = call("snapshot", "fast 0", "fast 0", "-o", tmp_path / "y.html", "--folder", kept_runs.folder)
    assert "Note: What is given twice is shown once." in done.output
    assert snapshot({"a": run, "b": run}, tmp_path / "x.html", steps=7).left_out == ()


def test_a_lab_that_was_never_shown_builds_its_model(tmp_path, run):
    lab = Lab(run.experiment)
    try:
        made = snapshot(lab, tmp_path / "lab.html")
    finally:
        lab.close()
    assert index(made)["stops"] == [0]


def test_a_file_is_written(run, tmp_path):
    written = snapshot(run, tmp_path / "run.html", title="Mine")
    assert (tmp_path / "run.html").read_bytes() == written.html
    assert b"<title>Mine</title>" in written.html
    assert repr(written) == "Snapshot(left_out=())"


def test_what_cannot_be_written_to_is_said(run, tmp_path, monkeypatch):
    with pytest.raises(SnapshotError, match=r"is a folder: name a file in it, such as '.*run\.html'"):
        snapshot(run, tmp_path)
    for name in ("x.pdf", "x", "x.png"):
        with pytest.raises(SnapshotError, match=rf"{name}' does not end in \.html: .* Name it '.*/x\.html'"):
            snapshot(run, tmp_path / name)
    for path in (None, 3):
        with pytest.raises(TypeError, match=f"path = {path} is not allowed: it must be the name of a file"):
            snapshot(run, path)
    with pytest.raises(TypeError, match=r"unknown keyword 'titel': allowed are .*\. Did you mean 'title'\?"):
        snapshot(run, tmp_path / "x.html", titel="Mine")
    assert not list(tmp_path.iterdir())
    with pytest.raises(SnapshotError, match=r"there is no folder '.*none' to write 'run\.html' to: make it first"):
        snapshot(run, tmp_path / "none" / "run.html")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file, "write_whole", full)
    with pytest.raises(SnapshotError, match=r"run\.html' can't be written: the disk is full\."):
        snapshot(run, tmp_path / "run.html")


# Sizes -------------------------------------------------------------------------------------------------------------


def test_six_layers_of_eight_heads_stay_below_4_mb():
    made = snapshot_bytes({"noise": noisy(6, 8, 64, 20)})
    assert len(index(made)["stops"]) == 20
    assert made.left_out == ()
    assert len(made.html) < 4e6


@pytest.mark.slow
def test_twelve_layers_of_sixteen_heads_stay_below_12_mb():
    made = snapshot_bytes({"noise": noisy(12, 16, 128, 20)})
    assert len(made.html) < 12e6
    shown = len(index(made)["stops"])
    assert 4 <= shown < 20
    assert made.left_out == (f"It shows {shown} of the 20 recorded steps, to keep the file small.",)


# The command ---------------------------------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(tlab, [str(argument) for argument in arguments])


def test_the_command_writes_runs_side_by_side(kept_runs, tmp_path):
    notes = tmp_path / "notes.md"
    notes.write_text("# Hypothesis\n\nFaster is *better*.")
    path = tmp_path / "two.html"
    done = call("snapshot", "slow 0", "fast 0", "-o", path, "--title", "Rates", "--notes", notes, "--steps", 3,
                "--folder", kept_runs.folder)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Note: It shows 3 of the 7 recorded steps; all with tlab snapshot --steps 7." in done.output
    assert f"Wrote {path} ({path.stat().st_size:,} bytes)." in done.output
    html = path.read_text()
    assert "<h1>Rates</h1>" in html
    assert "<em>better</em>" in html
    assert '<th scope="row">≠ Learning rate</th><td>0.001</td><td>0.01</td>' in html


def test_the_command_refuses(kept_runs, tmp_path):
    path = tmp_path / "run.html"
    path.write_text("mine")
    done = call("snapshot", "fast 0", "-o", tmp_path / "run.pdf", "--folder", kept_runs.folder)
    assert done.exit_code == 2
    assert "does not end in .html" in done.output
    done = call("snapshot", "fast 0", "-o", path, "--folder", kept_runs.folder)
    assert done.exit_code == 2
    assert "is there already. Take another name, or --force" in done.output
    assert path.read_text() == "mine"
    done = call("snapshot", "fats 0", "-o", tmp_path / "x.html", "--folder", kept_runs.folder)
    assert done.exit_code == 1
    assert "fast 0" in done.output
    done = call("snapshot", "fast 0", "-o", path, "--force", "--megabytes", 0.01, "--folder", kept_runs.folder)
    assert done.exit_code == 2
    assert "Allow it more" in done.output
    (tmp_path / "notes.md").write_bytes(b"\xff")
    done = call("snapshot", "fast 0", "-o", path, "--force", "--notes", tmp_path / "notes.md", "--folder", kept_runs.folder)
    assert done.exit_code == 2
    assert "is not UTF-8 text" in done.output


def test_the_runs_own_notes_are_taken(tmp_path):
    store = keep_runs(tmp_path, steps=5)
    store.annotate("slow 0", note="It *crawls*.")
    store.annotate("fast 0", note="It *runs*.")
    where = ("-o", tmp_path / "x.html", "--force", "--folder", store.folder)
    assert call("snapshot", "slow 0", *where).exit_code == 0
    assert "<p>It <em>crawls</em>.</p>" in (tmp_path / "x.html").read_text()
    assert call("snapshot", "slow 0", "fast 0", *where).exit_code == 0
    assert "<h2>fast 0</h2>\n<p>It <em>runs</em>.</p>" in (tmp_path / "x.html").read_text()
