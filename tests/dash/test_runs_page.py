"""The runs page: what is found, in which order, what can be done with a run, and that nothing else is."""

import json
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.kept_runs import RATES
from tlab_core import LiveRun
from tlab_core.experiment import default_experiment
from tlab_core.runs import RunError, RunInfo, RunStore
from tlab_dash import Lab
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import with_knobs
from tlab_dash.run_details import LAST_STEP, RunDetails
from tlab_dash.runs_list import PAGE, RunsList, arranged, unusual
from tlab_dash.runs_page import RunsPage
from tlab_dash.selection import Selection
from tlab_dash.theme import DARK

SETTINGS = default_experiment().to_dict()
DEEP = with_knobs(default_experiment(), {"architecture.num_layers": 8, "architecture.residual_type": "Post-LN"}).to_dict()
INFOS = [
    RunInfo("first", step=200, loss=1.5, settings=SETTINGS, written="2026-01-01T00:00:00+00:00",
            tags=("warm-up", "class of 26")),
    RunInfo("Second", step=50, loss=2.5, settings=DEEP, written="2026-01-03T00:00:00+00:00", note="too deep to learn"),
    RunInfo("third", step=300, loss=None, settings=SETTINGS, written="2026-01-02T00:00:00+00:00"),
    RunInfo("broken", problem="commit.json is not JSON"),
]


@pytest.fixture
def store(kept_runs, tmp_path):
    """A folder of its own, since tests write into it."""
    shutil.copytree(kept_runs.folder, tmp_path / "runs")
    return RunStore(tmp_path / "runs")


@pytest.fixture
def page(store):
    session = SimpleNamespace(run=None, ghost=None, started=[], resumed=[])
    session.start = session.started.append
    session.resume = lambda where, name: session.resumed.append((where, name))
    page = RunsPage(session, lambda: session.started.append("left"), store)
    page.open()
    return page


def names(infos):
    return [info.name for info in infos]


def shown(page):
    return [row["name"] for row in page.runs.listing["rows"]]


@pytest.mark.parametrize(("query", "found"), [
    ("", {"first", "Second", "third", "broken"}),
    ("SEC", {"Second"}),
    ("warm-up", {"first"}),
    ("class 26", {"first"}),
    ("deep learn", {"Second"}),
    ("post-ln", {"Second"}),
    ("rmsnorm", {"first", "Second", "third"}),
    ("layers 8", {"Second"}),
    ("num_layers=8", {"Second"}),
    ("architecture.num_layers=4", {"first", "third"}),
    ("num_layers=88", set()),
    ("first second", set()),
])  # fmt: skip
def test_words_find_name_tag_note_and_setting(query, found):
    assert set(names(arranged(INFOS, query))) == found


@pytest.mark.parametrize(("sort", "descending", "order"), [
    ("name", False, ["first", "Second", "third", "broken"]),
    ("name", True, ["third", "Second", "first", "broken"]),
    ("date", True, ["Second", "third", "first", "broken"]),
    ("steps", True, ["third", "first", "Second", "broken"]),
    ("loss", False, ["first", "Second", "third", "broken"]),
    ("loss", True, ["Second", "first", "third", "broken"]),
])  # fmt: skip
def test_sorting_leaves_what_is_unknown_at_the_end(sort, descending, order):
    assert names(arranged(INFOS, "", sort, descending)) == order


def test_settings_are_told_in_the_pages_words():
    assert unusual(SETTINGS) == "as on the first page"
    assert unusual(DEEP) == "Layers 8, Residual layout Post-LN"


def test_settings_out_of_a_hostile_file_do_no_harm():
    parts = {"architecture": {"num_layers": "<script>" * 50, "unheard_of": 1}, "training": 7}
    settings = {**parts, "corpus": ["a"], "x": {"y": {}}}
    info = RunInfo("odd", settings=settings)
    assert arranged([info], "script") == [info]
    assert len(unusual(settings)) < 120


def test_a_press_on_a_column_sorts_and_a_second_turns_it_round(page):
    page.runs.on_sort("name")
    assert shown(page) == ["fast 0", "fast 1", "slow 0", "slow 1"]
    page.runs.on_sort("name")
    assert shown(page) == ["slow 1", "slow 0", "fast 1", "fast 0"]
    page.runs.on_sort("no such column")
    assert shown(page) == ["slow 1", "slow 0", "fast 1", "fast 0"]


def test_a_thousand_runs_are_shown_a_page_at_a_time(store):
    for number in range(1000):
        folder = store.folder / f"run {number:04}"
        folder.mkdir()
        for name in ("commit.json", "meta.json"):
            (folder / name).symlink_to(store.folder / "slow 0" / name)
    runs = RunsList(store)
    runs.refresh()
    assert len(runs.listing["rows"]) == PAGE
    assert (runs.listing["found"], runs.listing["pages"]) == (1004, 21)
    runs.on_sort("name")
    runs.on_page(20)
    assert [row["name"] for row in runs.listing["rows"]][-1] == "slow 1"
    assert len(runs.listing["rows"]) == 4
    runs.on_page(99)
    assert runs.listing["page"] == 20
    runs.on_search("run 0123")
    assert [row["name"] for row in runs.listing["rows"]] == ["run 0123"]
    assert len(json.dumps(runs.listing)) < 2000


def test_tags_and_note_are_kept_as_they_were_typed(page, store):
    hostile = "<img src=x onerror=alert(1)>"
    page.runs.on_tags({"name": "slow 0", "text": f" warm-up ,{hostile},, warm-up"})
    page.runs.on_note({"name": "slow 0", "text": f"  {hostile} “ü” \n"})
    info = next(info for info in store.list() if info.name == "slow 0")
    assert info.tags == ("warm-up", hostile)
    assert info.note == f"{hostile} “ü”"
    row = next(row for row in page.runs.listing["rows"] if row["name"] == "slow 0")
    assert (row["tags"], row["note"]) == (f"warm-up, {hostile}", info.note)
    page.runs.on_search("onerror")
    assert shown(page) == ["slow 0"]
    page.runs.on_note({"name": "../../etc", "text": "no"})
    assert page.runs.listing["message"] == ""


def test_what_can_not_be_written_is_said(page, store):
    shutil.rmtree(store.folder / "slow 1")
    page.runs.on_note({"name": "slow 1", "text": "gone"})
    assert "there is no run 'slow 1'" in page.runs.listing["message"]


def test_delete_can_be_undone_one_by_one(page, store):
    page.runs.on_tick("slow 0")
    for name in ("slow 0", "fast 1"):
        page.runs.on_delete(name)
    assert set(names(store.list())) == set(shown(page)) == {"slow 1", "fast 0"}
    assert page.runs.listing["undo"] == "Deleted “fast 1”."
    assert page.runs.ticked == []
    page.runs.on_undo(True)
    assert set(shown(page)) == {"slow 1", "fast 0", "fast 1"}
    page.runs.on_undo(True)
    assert set(names(store.list())) == set(shown(page)) == {"slow 0", "slow 1", "fast 0", "fast 1"}
    assert page.runs.listing["undo"] == ""
    page.runs.on_undo(True)


def test_a_run_that_is_being_written_stays(page, store):
    run, writer, _ = store.resume("slow 0")
    page.runs.on_delete("slow 0")
    assert "slow 0" in shown(page)
    assert "slow 0" in page.runs.listing["message"]
    writer.close()
    run.trainer.close()


def test_a_run_that_can_not_be_read_is_listed_with_its_problem(page, store):
    (store.folder / "fast 0" / "commit.json").write_text("{")
    page.runs.on_refresh(True)
    row = next(row for row in page.runs.listing["rows"] if row["name"] == "fast 0")
    assert "not JSON" in row["problem"]
    page.runs.on_open("fast 0")
    assert page.runs.opened is None
    page.runs.on_delete("fast 0")
    assert "fast 0" not in shown(page)


def test_ticks_are_counted_and_survive_search(page):
    page.runs.on_tick("fast 0")
    page.runs.on_tick("slow 1")
    page.runs.on_search("slow")
    assert page.runs.ticked == ["fast 0", "slow 1"]
    assert page.ticked == 2
    page.runs.on_tick("fast 0")
    assert page.runs.ticked == ["slow 1"]
    page.runs.on_untick(True)
    assert page.ticked == 0


def test_a_run_that_lost_a_file_is_marked_and_can_be_looked_at(page, store):
    run = LiveRun(store.open("fast 1").experiment)
    with store.create(run, "later"):
        run.advance(steps=3)
    (store.folder / "later" / "settings.yaml").unlink()
    page.runs.refresh()
    states = {row["name"]: row["state"] for row in page.runs.listing["rows"]}
    assert states.pop("later").startswith("damaged: ")
    assert set(states.values()) == {""}
    assert "mean of the last 20 steps" in page.runs.listing["loss_words"]
    page.runs.on_open("later")
    assert "settings.yaml can't be read: No such file" in page.run.details["message"]
    facts = dict(page.run.details["facts"])
    assert facts["Steps"] == "3"
    assert facts["Unseen text"].endswith(" nats, at step 0")


def test_an_opened_run_tells_what_was_recorded(page, store):
    page.runs.on_open("fast 1")
    run = store.open("fast 1")
    assert page.looking
    details = page.run.details
    facts = dict(details["facts"])
    losses = run.recorder.group("train").variables["loss"].values
    assert facts["Steps"] == "30"
    assert facts["Characters read"] == f"{30 * 4 * 8:,}"
    assert facts["Training loss"].startswith(f"{losses[-20:].mean():.3f} nats")
    unseen = run.recorder.group("validation").variables
    lowest = int(np.argmin(unseen["loss"].values))
    loss, step = unseen["loss"].values[lowest], unseen["step"].values[lowest]
    assert facts["Lowest on unseen text"] == f"{loss:.3f} nats, at step {step:,}"
    assert [sample["prompt"] for sample in details["samples"]] == ["the "]
    assert ["Learning rate", "0.01"] in details["unusual"]
    assert ["Norm", "RMSNorm"] in details["usual"]
    assert len(details["unusual"]) + len(details["usual"]) > 30
    drawn = page.run._plots["curves"].columns["train"]
    assert np.array_equal(drawn["loss"], losses)
    page.dress(DARK)
    page.run.on_act("close")
    assert not page.looking
    assert page.run.details == {}


def test_a_new_run_can_be_begun_and_an_old_one_gone_on_with(page, store):
    session = page._session
    page.runs.on_open("slow 1")
    page.run.on_act("start")
    experiment, left = session.started
    assert left == "left"
    assert experiment.to_dict() == store.open("slow 1").experiment.to_dict()
    assert experiment.training.learning_rate == RATES["slow"]
    page.run.on_act("resume")
    assert session.resumed == [(store, "slow 1")]
    page.run.on_act("format the disk")


def test_what_stands_in_the_way_of_going_on_is_said_beside_the_run(page, store):
    page.runs.on_open("slow 1")
    shutil.rmtree(store.folder / "slow 1")
    page.run.on_act("start")
    assert "there is no run 'slow 1'" in page.run.details["message"]
    assert page._session.started == []


def test_a_damaged_run_is_said_to_be(store):
    (store.folder / "slow 0" / "tokenizer.json").write_text("[]")
    details = RunDetails(store, lambda *_: None, lambda *_: None)
    details.look_at("slow 0")
    assert "tokenizer" in details.details["message"]
    details.look_at("slow 1")
    assert details.details["message"] == ""


def test_a_run_is_renamed_wherever_it_is_named(page, store):
    page.runs.on_tick("fast 0")
    page.runs.on_tick("slow 0")
    page.runs.on_open("slow 0")
    page.run.on_rename("  the slow one ")
    assert set(names(store.list())) == set(shown(page)) == {"the slow one", "slow 1", "fast 0", "fast 1"}
    assert page.runs.ticked == ["fast 0", "the slow one"]
    assert page.run.details["name"] == page.runs.opened == "the slow one"
    assert page.run.details["message"] == ""
    page.runs.on_note({"name": "the slow one", "text": "found under its new name"})
    assert store.open("the slow one").meta["note"] == "found under its new name"
    page.run.on_rename("the slow one")
    assert page.run.details["message"] == ""


@pytest.mark.parametrize("new", ["fast 1", "a/b", "../up", "", ".hidden", "con", "x" * 81, "<b>"])
def test_a_name_that_can_not_be_had_is_refused_in_the_stores_words(page, store, new):
    page.runs.on_open("slow 0")
    page.run.on_rename(new)
    with pytest.raises(RunError) as refused:
        store.rename("slow 0", new)
    assert page.run.details["message"] == str(refused.value)
    assert page.run.details["name"] == "slow 0"
    assert set(names(store.list())) == {"slow 0", "slow 1", "fast 0", "fast 1"}


def test_a_run_that_is_being_written_keeps_its_name(page, store):
    run, writer, _ = store.resume("slow 0")
    page.runs.on_open("slow 0")
    page.run.on_rename("other")
    assert "'slow 0' is being written by another trainer" in page.run.details["message"]
    writer.close()
    run.trainer.close()
    page.run.on_rename("other")
    assert page.run.details["name"] == "other"


def test_the_slider_moves_the_pictures_through_what_was_recorded(page, store):
    page.runs.on_open("fast 1")
    details, run = page.run, store.open("fast 1")
    steps = run.recorder.group("residual").variables["step"].values
    assert details.time.place["words"] == LAST_STEP
    assert details.looking["step"] == 30
    for view in details.looking["views"]:
        details.on_look({"name": "view", "value": view["value"]})
        figure = details._plots["picture"].figure
        details.time.on_stop({"at": 2, "question": 1})
        picture = details._plots["picture"]
        chosen = {"layer": details.looking["layer"], "head": details.looking["head"], "pinned": True}
        expected = picture.view.columns(run, Selection(step=int(steps[2]), **chosen), None)
        for part, table in expected.items():
            for column, values in table.items():
                np.testing.assert_array_equal(picture.columns[part][column], values, err_msg=f"{part}.{column}")
        assert details._plots["curves"].columns["shown"]["step"].tolist() == [steps[2]]
        assert details.looking["step"] == steps[2] < 30
        assert details.time.place["at"] == 2
        details.time.on_now(True)
        assert details.looking["step"] == 30
        assert picture.figure is figure or picture.view.fixed


def test_another_run_is_shown_at_its_last_step(page):
    page.runs.on_open("fast 1")
    page.run.time.on_stop({"at": 1, "question": 1})
    page.runs.on_open("slow 0")
    assert page.run.looking["step"] == 30
    assert not len(page.run._plots["curves"].columns["shown"]["step"])
    page.run.on_act("close")
    assert page.run.looking == {}
    page.run.time.on_stop({"at": 1, "question": 2})  # on its way when the run was closed
    assert page.run.time.place["last"] == 0


def test_pictures_that_are_none_are_passed_over(page):
    page.runs.on_open("fast 1")
    before = page.run.looking
    for name, value in [("view", "loss"), ("view", "<b>"), ("layer", "-1"), ("head", "x"), ("step", "3"), ("run", "it")]:
        page.run.on_look({"name": name, "value": value})
    assert page.run.looking == before
    page.run.on_look({"name": "head", "value": "99"})
    assert page.run.looking["head"] == 1


def test_damage_that_only_one_picture_meets_is_said_and_the_others_are_drawn(page, store):
    (next((store.folder / "fast 1" / "history.zarr" / "residual" / "rms").glob("c.*"))).unlink()
    page.runs.on_open("fast 1")
    assert page.run.details["message"] == ""
    page.run.on_look({"name": "view", "value": "signal"})
    assert "missing: records 0 and on are lost" in page.run.details["message"]
    page.run.on_look({"name": "view", "value": "attention"})
    page.run.time.on_stop({"at": 1, "question": 1})
    assert page.run.looking["view"] == "attention"
    assert len(page.run.picture.objects) == 1


def test_what_was_changed_on_the_way_is_told(page, store):
    settings = store.folder / "slow 0" / "settings.yaml"
    settings.write_text(settings.read_text().replace("learning_rate: 0.001", "learning_rate: 0.002"))
    run, writer, _ = store.resume("slow 0")
    writer.close()
    run.trainer.close()
    page.runs.on_open("slow 0")
    assert page.run.details["changed"] == [["After step 30", "Learning rate 0.001 became 0.002"]]
    assert page.run._plots["curves"].columns["mark_names"]["name"].tolist() == [" learning rate 0.002"]


@pytest.fixture
def lab(store, monkeypatch):
    """A lab whose folder of runs is the store."""
    monkeypatch.setenv("TLAB_RUNS", str(store.folder))
    fleet = Fleet(workers=1)
    lab = Lab(store.open("fast 0").experiment, fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    yield lab
    lab.close()
    fleet.close()


def settle(lab, condition, seconds=30):
    deadline = time.monotonic() + seconds
    lab.refresh()
    while not condition():
        assert time.monotonic() < deadline, "never came to be"
        time.sleep(0.01)
        lab.refresh()


def test_nothing_of_the_page_is_made_before_it_is_opened(lab, store):
    assert lab._runs is None
    lab.shell.on_page("runs")
    made = lab._runs
    assert set(shown(made)) == set(names(store.list()))
    lab.shell.on_page("")
    lab.shell.on_page("runs")
    assert lab._runs is made
    assert len(lab._runs_box) == 1


def test_pictures_of_the_bench_wait_while_they_are_covered(lab):
    lab.shell.on_page("runs")
    before = lab._drawn_step
    lab.session.step_once()
    settle(lab, lambda: lab.run_bar.status["step"] == 1)
    assert lab._drawn_step == before
    lab.shell.on_page("")
    settle(lab, lambda: lab._drawn_step == 1)


def test_going_on_with_a_run_makes_it_the_labs(lab, store):
    lab.shell.on_page("runs")
    lab._runs.runs.on_open("slow 1")
    lab._runs.run.on_act("resume")
    settle(lab, lambda: lab.session.run is not None and lab.session.run.step > 33)
    assert lab.session.experiment.training.learning_rate == RATES["slow"]
    kept = store.open("slow 1").recorder.group("train").variables["loss"].values
    assert np.array_equal(lab.session.run.recorder.group("train").variables["loss"].values[:30], kept[:30])
    lab.session.pause()
    settle(lab, lambda: lab.session.kept["name"] == "slow 1")
    lab._runs.runs.on_refresh(True)
    lab._runs.runs.on_delete("slow 1")
    assert "slow 1" in lab._runs.runs.listing["message"]


def test_a_runs_settings_make_a_new_run(lab, store):
    lab.shell.on_page("runs")
    lab._runs.runs.on_open("slow 1")
    lab._runs.run.on_act("start")
    settle(lab, lambda: lab.session.experiment.training.learning_rate == RATES["slow"] and not lab.session.building)
    settle(lab, lambda: lab.session.run.experiment.architecture.seed == 1)
    assert lab.session.run.step == 0
    assert lab.session.kept["name"] == ""


def test_an_empty_folder_is_no_error(tmp_path):
    runs = RunsList(RunStore(tmp_path / "nowhere"))
    runs.refresh()
    assert runs.listing["rows"] == []
    assert runs.listing["total"] == 0
    assert not (tmp_path / "nowhere").exists()
