"""A lesson in a tab: its steps, its runs in the seat, what is measured, and that everything comes back."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.dash.driven import DrivenRun, settle
from tlab_core.experiment import default_experiment
from tlab_core.lessons import LESSONS, SEEDS, Lesson, LessonRun, Number, Paper, Prediction, Repair
from tlab_core.lessons.base import judged
from tlab_core.limits import Limits
from tlab_core.registry import Registry, UnknownNameError
from tlab_dash.fleet import Fleet
from tlab_dash.lessons.taking import MENDED
from tlab_dash.lessons.words import leaf
from tlab_dash.session import Session

STEPS = 30
BUILT = []


class Learner(DrivenRun):
    """Has learned more the more layers it has."""

    pause = 0.0

    def __init__(self, experiment):
        super().__init__(experiment)
        BUILT.append(self)

    @property
    def learned(self):
        return self.step * self.experiment.architecture.num_layers


def measure(runs):
    assert {run.step for run in runs.values()} == {STEPS}
    return {key: float(run.learned) for key, run in runs.items()}


def judge(measured):
    return judged(measured, lambda numbers: "two" if numbers["two"] > numbers["one"] else "same", "two", "It was measured.")


RUNS = {
    "one": LessonRun("One layer", {"architecture.num_layers": 1}),
    "two": LessonRun("Two layers", {"architecture.num_layers": 2}),
    "three": LessonRun("Three layers", {"architecture.num_layers": 3}),
    "wide": LessonRun("Eight heads", {"architecture.num_heads": 8}),
}
LESSON = Lesson(
    name="depth", title="Does depth help?", look="Which one is longer?",
    prediction=Prediction("Who learns more?", {"two": "Two layers", "same": "About the same"}), expected="two",
    base=default_experiment(), runs=RUNS, steps=STEPS, views=("loss",),
    numbers={key: Number(f"learned, {run.label}", ".0f") for key, run in RUNS.items()}, headline="two", measure=measure,
    judge=judge, take_away="Depth helps.", effect="depth helps",
    paper=Paper("Author & Other", 2020, "On Depth", "https://example.org", "section 1", "They measured it."), seconds=1.0,
    repair=Repair("Give it a third layer.", "one", "three", (("one", "three"),), ("three",)),
)  # fmt: skip
ALONE = replace(LESSON, name="alone", runs={"one": RUNS["one"]}, numbers={"one": LESSON.numbers["one"]}, headline="one",
                repair=None, judge=lambda measured: judged(measured, lambda numbers: "same", "two", "It was measured."))


@pytest.fixture
def session(monkeypatch):
    lessons = Registry("lesson")
    for lesson in (LESSON, ALONE):
        lessons.register(lesson.name)(lesson)
    monkeypatch.setattr("tlab_dash.session.LESSONS", lessons)
    fleet = Fleet(slice_seconds=0.02)
    BUILT.clear()
    session = Session(fleet=fleet, open_run=Learner)
    settle(session, lambda: session.run is not None)
    yield session
    session.close()
    fleet.close()


def begun(session, name="depth", answer="two"):
    session.take_lesson(name)
    taking = session.lesson
    settle(session, lambda: taking.doing == "ready")
    if answer:
        taking.predict(answer)
    return taking


def taken(session, name="depth", answer="two"):
    taking = begun(session, name, answer)
    taking.run()
    settle(session, lambda: taking.doing == "done")
    return taking


def test_both_models_are_on_show_before_anything_trains(session):
    taking = begun(session)
    settle(session, lambda: session.run is taking.runs["one"])
    assert session.ghost is taking.runs["two"]
    assert (session.run.step, session.ghost.step) == (0, 0)
    assert session.experiment.architecture.num_layers == 1  # the knobs are the run's
    assert taking.step == "look"


def test_nothing_runs_without_an_answer(session):
    taking = begun(session, answer=None)
    taking.run()
    session.train()
    assert (taking.doing, taking.step) == ("ready", "predict")
    assert session.state == "ready"
    taking.predict("no such answer")
    assert taking.answer is None


def test_train_runs_the_lesson_once_there_is_an_answer(session):
    taking = begun(session)
    session.train()
    settle(session, lambda: taking.doing == "done")
    assert taking.measured


def test_steps_with_numbers_open_when_there_are_some(session):
    taking = begun(session)
    assert [step for step in taking.steps if taking.may(step)] == ["look", "predict", "fresh"]
    taking.go("keep")
    assert taking.step == "look"
    taking.run()
    assert taking.step == "race"
    settle(session, lambda: taking.doing == "done")
    assert taking.step == "reveal"  # it turned by itself
    assert all(taking.may(step) for step in taking.steps)
    assert len(taking.steps) == 8


def test_the_runs_race_and_then_the_numbers_are_those_of_every_run(session):
    taking = begun(session)
    seen = []
    taking.run()
    settle(session, lambda: seen.append((session.run, session.ghost)) or taking.doing == "done")
    assert taking.measured == ({"one": 30.0, "two": 60.0, "three": 90.0, "wide": 120.0},)
    assert taking.verdict.outcome == "two"
    assert taking.verdict.sentence == "It was measured. One seed was run, and it agrees with the paper."
    assert {run.experiment.training.seed for run in taking.runs.values()} == {SEEDS[0]}
    settle(session, lambda: session.run is taking.runs["one"])  # the two that raced are back
    assert session.ghost is taking.runs["two"]
    assert session.state == "paused"


def test_what_would_give_the_repair_away_trains_out_of_sight(session):
    taking = begun(session)
    on_bench = set()
    put = session._seat.put
    session._seat.put = lambda run, ghost: on_bench.add(taking.key_of(run)) or put(run, ghost)
    taking.run()
    settle(session, lambda: taking.doing == "done")
    assert on_bench == {"one", "two", "wide"} - {"two"}  # two is there as the ghost
    assert taking.runs["three"].step == STEPS


def test_a_guess_stands_once_the_runs_have_begun(session):
    taking = taken(session, answer="same")
    taking.predict("two")
    assert taking.answer == "same"


def test_a_run_that_was_trained_too_far_is_made_anew(session):
    taking = begun(session)
    first = taking.runs["one"]
    first.step = STEPS + 5
    taking.run()
    settle(session, lambda: taking.doing == "done")
    assert taking.runs["one"] is not first


def test_the_repaired_run_races_against_the_one_it_mends(session, monkeypatch):
    taking = taken(session)
    monkeypatch.setattr(Learner, "pause", 0.002)
    taking.repair()
    assert not taking.repairing  # the slider comes first
    taking.turn_up(True)
    taking.repair()
    settle(session, lambda: MENDED in taking.runs and session.run is taking.runs[MENDED])
    assert taking.label_of(MENDED) == "Three layers"
    assert "three" not in taking.numbers  # not before the run is there
    settle(session, lambda: taking.mended and session.run is taking.runs["three"])
    assert session.ghost is taking.runs["one"]
    assert session.run.experiment.architecture.num_layers == 3
    assert taking.measured == ({"one": 30.0, "two": 60.0, "three": 90.0, "wide": 120.0},)
    assert set(taking.runs) == set(RUNS)


def test_what_would_give_the_repair_away_is_held_back_until_it_was_made(session):
    taking = taken(session)
    assert list(taking.numbers) == ["one", "two", "wide"]
    assert taking.open_to_all == ("one", "two", "wide")
    taking.show("three")
    settle(session, lambda: session.run is taking.runs["one"])
    taking.turn_up(True)
    taking.repair()
    settle(session, lambda: taking.mended)
    assert list(taking.numbers) == ["one", "two", "three", "wide"]
    assert taking.open_to_all == tuple(RUNS)


def test_a_repair_after_a_check_keeps_what_the_other_seeds_measured(session):
    taking = taken(session)
    taking.check()
    settle(session, lambda: not taking.checking)
    before = taking.measured
    taking.turn_up(True)
    taking.repair()
    settle(session, lambda: taking.mended)
    assert taking.measured == before
    assert (taking.verdict.agree, taking.verdict.of) == (3, 3)


def test_what_the_runs_write_is_kept_where_the_lesson_has_examples(session):
    object.__setattr__(ALONE, "examples", lambda runs: {"after 30 steps": f"learned {runs['one'].learned}"})
    try:
        taking = taken(session, "alone")
    finally:
        object.__setattr__(ALONE, "examples", None)
    assert taking.examples == {"after 30 steps": "learned 30"}


def test_a_repair_after_the_bench_trained_on_measures_at_the_lesson_s_step(session):
    taking = taken(session)
    settle(session, lambda: session.run is taking.runs["one"])
    session.train()
    settle(session, lambda: session.run.step > STEPS)
    session.pause()
    taking.turn_up(True)
    taking.repair()
    settle(session, lambda: taking.mended)
    assert taking.measured[0] == {"one": 30.0, "two": 60.0, "three": 90.0, "wide": 120.0}
    assert taking.trouble == ""


def test_the_check_runs_the_other_seeds_out_of_sight(session):
    taking = taken(session)
    settle(session, lambda: session.run is taking.runs["one"])
    on_show, built = session.run, len(BUILT)
    taking.check()
    settle(session, lambda: not taking.checking)
    assert session.run is on_show
    assert [run.experiment.training.seed for run in BUILT[built:]] == [1] * 4 + [2] * 4
    assert len(taking.measured) == len(SEEDS)
    assert (taking.verdict.agree, taking.verdict.of) == (3, 3)
    taking.check()
    assert not taking.checking  # there is no seed left


def test_a_check_that_was_stopped_goes_on_with_the_next_seed(session, monkeypatch):
    taking = taken(session)
    monkeypatch.setattr(Learner, "pause", 0.002)
    taking.check()
    settle(session, lambda: len(taking.measured) == 2)
    taking.stop_check()
    settle(session, lambda: not taking.checking)
    assert len(taking.measured) == 2
    built = len(BUILT)
    taking.check()
    settle(session, lambda: not taking.checking)
    assert {run.experiment.training.seed for run in BUILT[built:]} == {2}
    assert len(taking.measured) == 3


def test_an_effect_that_is_not_there_is_told_the_same_way(session):
    taking = taken(session, "alone")
    assert taking.verdict.sentence == "It was measured. One seed was run, and it does not agree with the paper."
    assert taking.step == "reveal"


def test_one_run_is_a_lesson_too(session):
    taking = taken(session, "alone")
    settle(session, lambda: session.run is taking.runs["one"])
    assert session.ghost is None
    assert taking.measured == ({"one": 30.0},)
    assert "repair" not in taking.steps
    taking.check()
    settle(session, lambda: not taking.checking)
    assert len(taking.measured) == 3


def test_leaving_brings_the_run_its_ghost_and_the_knobs_back(session):
    session.train()
    settle(session, lambda: session.run.step >= 60)
    first = session.run
    session.change(num_layers=6)
    settle(session, lambda: session.run is not first and session.run.step > 3)
    mine, ghost = session.run, session.ghost
    begun(session)
    step = mine.step
    assert session.state != "training"
    session.train()
    settle(session, lambda: session.run.step > 0)
    session.leave_lesson()
    settle(session, lambda: session.run is mine)
    assert session.ghost is ghost is first
    assert session.draft.architecture.num_layers == session.experiment.architecture.num_layers == 6
    assert (session.state, mine.step) == ("paused", step)
    assert session.lesson is None


def test_one_lesson_after_the_other_still_comes_back_to_the_first_run(session):
    mine = session.run
    begun(session)
    other = begun(session, "alone")
    settle(session, lambda: session.run is other.runs["one"])
    session.leave_lesson()
    settle(session, lambda: session.run is mine)
    settle(session, lambda: other.runs == {})


def test_leaving_in_the_middle_of_a_check_ends_it(session, monkeypatch):
    taking = taken(session)
    monkeypatch.setattr(Learner, "pause", 0.002)
    taking.check()
    settle(session, lambda: taking.behind is not None)
    session.leave_lesson()
    settle(session, lambda: session._seat.work is None and session.run is BUILT[0])
    assert len(taking.measured) == 1


def test_other_runs_on_the_bench_are_noticed_and_the_lesson_s_brought_back(session, monkeypatch):
    monkeypatch.setattr(Learner, "pause", 0.002)
    taking = begun(session)
    taking.run()
    settle(session, lambda: session.run.step > 3)
    session.reset()
    settle(session, lambda: not taking.is_on_stage(session.run) and not session.building)
    assert taking.doing == "racing"
    taking.back_on_stage()
    settle(session, lambda: taking.doing == "done")
    assert taking.measured[0]["one"] == 30.0


def test_any_run_can_be_looked_at_afterwards(session):
    taking = taken(session)
    taking.show("wide")
    settle(session, lambda: session.run is taking.runs["wide"])
    assert session.ghost is taking.runs["one"]


def test_a_pause_holds_the_race_and_train_goes_on(session, monkeypatch):
    monkeypatch.setattr(Learner, "pause", 0.002)
    taking = begun(session)
    taking.run()
    settle(session, lambda: taking.runs["two"].step > 3)
    session.pause()
    settle(session, lambda: session.state == "paused")
    assert taking.doing == "racing"
    session.train()
    settle(session, lambda: taking.doing == "done")


def test_what_goes_wrong_is_said_and_the_lesson_can_be_left(session, monkeypatch):
    mine = session.run

    def fails(runs):
        raise ValueError("no numbers here")

    object.__setattr__(LESSON, "measure", fails)
    try:
        taking = begun(session)
        taking.run()
        settle(session, lambda: taking.trouble)
    finally:
        object.__setattr__(LESSON, "measure", measure)
    assert taking.trouble == "no numbers here"
    assert taking.doing == "ready"
    assert session.message == ""
    session.leave_lesson()
    settle(session, lambda: session.run is mine)


def test_a_lesson_that_a_server_has_no_room_for_says_so_and_begins_nothing(fleet, monkeypatch):
    session = Session(fleet=fleet, open_run=Learner, limits=Limits(steps=20))
    settle(session, lambda: session.run is not None)
    mine = session.run
    monkeypatch.setattr("tlab_dash.session.LESSONS", LESSONS)
    session.take_lesson("norm-first")
    taking = session.lesson
    assert taking.refused == "This server has no room for this lesson: runs end at step 20 here."
    assert [step for step in taking.steps if taking.may(step)] == ["look"]
    shown = leaf(taking, session)
    assert [block["text"] for block in shown["blocks"]] == [taking.refused]
    assert (shown["next"], shown["announce"]) == ("", taking.refused)
    session.step_once()
    settle(session, lambda: mine.step == 1)  # the bench is one's own
    session.train()
    settle(session, lambda: mine.step == 20)
    session.leave_lesson()
    settle(session, lambda: session.lesson is None)
    assert session.run is mine
    session.close()


def test_a_name_that_is_no_lesson_s_names_the_nearest(session):
    with pytest.raises(UnknownNameError, match="depth"):
        session.take_lesson("dept")
    assert session.lesson is None


def test_a_lesson_ends_a_trial_of_seeds_whose_place_its_own_check_needs(session):
    stopped = []
    session.trial = SimpleNamespace(stop=lambda: stopped.append(True))
    session.take_lesson("depth")
    assert stopped == [True]
    assert session.trial is None
