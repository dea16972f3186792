"""The race of a run and its ghost: whose turn it is, and how the seat carries it out."""

import time

import pytest

from tests.dash.driven import DrivenRun, breaking, settle
from tlab_core.experiment import default_experiment
from tlab_dash import race
from tlab_dash.race import LEG
from tlab_dash.seat import Seat
from tlab_dash.session import Session


def wait(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came to be"
        time.sleep(0.002)


class Noted(DrivenRun):
    """Writes down where it was brought to, in a list that it shares."""

    def advance(self, look=False, **how):
        super().advance(**how)
        self.log.append((self.name, self.step))
        self.looked += [self.step] if look else []


@pytest.fixture
def racers():
    """Two runs, and the list of where each was brought to."""
    log, runs = [], []
    for name in ("run", "ghost"):
        run = Noted(default_experiment())
        run.name, run.log, run.looked = name, log, []
        runs.append(run)
    return *runs, log


@pytest.fixture
def seat(fleet, racers):
    seat = Seat(fleet, DrivenRun)
    seat.stage(racers[0], racers[1])
    wait(lambda: seat.ghost is racers[1])
    yield seat
    seat.close()


def simulated(steps, goal):
    """Yield where all runs stand after each turn."""
    steps = list(steps)
    while (mine := race.turn(steps, goal)) is not None:
        assert mine.until > steps[mine.runner]
        steps[mine.runner] = mine.until
        yield tuple(steps)


def test_two_that_begin_together_are_never_more_than_a_leg_apart():
    seen = list(simulated((0, 0), 310))
    assert max(abs(run - ghost) for run, ghost in seen) == LEG
    assert seen[-1] == (310, 310)
    assert len(seen) == 2 * 13


def test_the_one_that_is_behind_trains_alone_until_it_has_caught_up():
    seen = list(simulated((0, 120), 300))
    assert [ghost for run, ghost in seen if run < 120] == [120] * 4
    assert seen[-1] == (300, 300)
    assert list(simulated((0, 640), 100))[-1] == (100, 640)


def test_one_that_broke_holds_nobody_up():
    assert race.turn((13, 50), 300, out=(True, False)) == (1, 75)
    assert race.turn((13, 300), 300, out=(True, False)) is None


def test_run_and_ghost_train_in_turns_and_then_stop(seat, racers):
    run, ghost, log = racers
    arrived = []
    seat.race(60, then=lambda: arrived.append((run.step, ghost.step)))
    wait(lambda: arrived)
    assert arrived == [(60, 60)]
    assert not seat.training
    assert seat.going is None
    changes = [log[i] for i in range(len(log)) if i + 1 == len(log) or log[i + 1][0] != log[i][0]]
    assert changes == [("run", 25), ("ghost", 25), ("run", 50), ("ghost", 50), ("run", 60), ("ghost", 60)]
    assert ghost.samples[-1].step == 60  # its text is there to be compared with
    assert run.looked == ghost.looked == [60]


def test_both_write_at_the_same_steps(seat, racers):
    run, ghost, _ = racers
    seat.race(120)
    wait(lambda: seat.going is None and not seat.training)
    wait(lambda: seat.text is not None and seat.text.step == 120 and seat.text.done)
    assert [sample.step for sample in ghost.samples] == [50, 100, 120]
    assert [sample.step for sample in run.samples if sample.step > 0] == [50, 100, 120]


def test_a_pause_interrupts_a_race_and_train_goes_on_with_it(seat, racers):
    run, ghost, _ = racers
    run.pause = ghost.pause = 0.003
    seat.race(100)
    wait(lambda: ghost.step > 0)
    seat.pause()
    time.sleep(0.05)
    stood = run.step, ghost.step
    time.sleep(0.05)
    assert (run.step, ghost.step) == stood < (100, 100)
    seat.train()
    wait(lambda: seat.going is None)
    assert (run.step, ghost.step) == (100, 100)


def test_the_race_goes_on_when_one_breaks(seat, racers):
    run, ghost, _ = racers
    run.breaks_at = 10
    seat.race(50)
    wait(lambda: ghost.step == 50 and not seat.training)
    assert run.step == 9


def test_another_run_ends_the_race_and_swapping_does_not(seat, racers):
    run, ghost, _ = racers
    run.pause = ghost.pause = 0.003
    seat.race(200)
    wait(lambda: run.step > 0)
    seat.swap()
    wait(lambda: seat.run is ghost)
    assert seat.going is not None
    seat.stage(DrivenRun(default_experiment()), None)
    wait(lambda: seat.going is None)
    assert not seat.training


def test_the_server_s_limit_of_steps_is_where_a_race_ends(fleet, racers):
    run, ghost, _ = racers
    seat = Seat(fleet, DrivenRun, most_steps=30)
    seat.stage(run, ghost)
    seat.race(300)
    wait(lambda: run.step == ghost.step == 30 and not seat.training)
    seat.close()


def test_a_session_whose_run_broke_in_a_race_can_still_pause_it(fleet):
    session = Session(fleet=fleet, open_run=breaking(breaks_at=5, pause=0.003))
    settle(session, lambda: session.run is not None)
    ghost = DrivenRun(default_experiment())
    ghost.pause = 0.003
    session._seat.stage(session.run, ghost)
    session._seat.race(100)
    settle(session, lambda: session.run.divergence is not None and ghost.step > 20)
    assert session.state == "training"
    session.pause()
    assert session.state == "paused"
    session.train()
    settle(session, lambda: ghost.step == 100 and session.state == "stopped")
    session.close()


def test_a_new_run_races_to_the_ghost_s_step_or_the_end_of_its_schedule():
    assert [race.target(step) for step in (50, 300, 640, 5000)] == [300, 300, 640, 1000]
    assert race.target(640, end=200) == 200
    assert race.target(640, end=2000) == 640


@pytest.fixture
def session(fleet):
    session = Session(fleet=fleet, open_run=breaking(pause=0.0002))
    settle(session, lambda: session.run is not None)
    yield session
    session.close()


def train_to(session, step):
    session.train()
    settle(session, lambda: session.run.step >= step)


def test_a_turned_knob_is_a_race_to_where_the_ghost_came_and_both_go_on_when_asked(session):
    train_to(session, 60)
    first = session.run
    session.change(norm_type="None")
    settle(session, lambda: session.ghost is first and session.run is not first)
    assert (session.race.target, session.state) == (race.NEAREST, "training")
    settle(session, lambda: session.state == "paused")
    assert (session.run.step, first.step, session.race) == (300, 300, None)
    session.continue_both()
    settle(session, lambda: session.run.step == first.step == 600 and session.state == "paused")
    session.train()
    settle(session, lambda: session.run.step > 610)
    assert first.step == 600


def test_a_knob_turned_while_paused_prepares_the_race_that_train_begins(session):
    train_to(session, 60)
    session.pause()
    first = session.run
    session.change(norm_type="None")
    settle(session, lambda: session.ghost is first)
    time.sleep(0.05)
    session.poll()
    assert (session.state, session.run.step, session.race.target) == ("ready", 0, race.NEAREST)
    session.train()
    settle(session, lambda: session.state == "paused" and session.run.step == 300)
    assert first.step == 300


def test_there_is_no_race_without_a_ghost_and_none_after_reset(session):
    session.change(norm_type="None")
    settle(session, lambda: session.run.experiment.architecture.norm_type == "None")
    assert session.race is None
    train_to(session, 60)
    session.reset()
    settle(session, lambda: session.ghost is not None)
    assert session.race is None


def test_rerun_from_step_0_races_the_run_that_was_changed_on_the_way(session):
    train_to(session, 60)
    session.change(learning_rate=0.01)
    first = session.run
    settle(session, lambda: first.marks)
    session.rerun()
    settle(session, lambda: session.ghost is first)
    assert session.run.experiment.training.learning_rate == 0.01
    assert session.run.marks == []
    assert session.race is not None


def test_break_it_races_a_run_of_thirty_times_the_rate_and_undo_brings_the_whole_one_back(session):
    first = session.run  # that never trained, so no other knob would make it the ghost
    session.break_it()
    settle(session, lambda: session.ghost is first and session.state == "training")
    rates = [run.experiment.training.learning_rate for run in (session.run, first)]
    assert rates[0] == 30 * rates[1]
    settle(session, lambda: session.run.step > 30 and first.step > 20)
    session.undo()
    settle(session, lambda: session.run is first)
    assert session.draft.training.learning_rate == rates[1]
    settle(session, lambda: session.run.step == session.ghost.step == 300)


def test_work_aside_waits_while_the_run_trains_and_ends_by_itself(seat, racers):
    run, _, _ = racers
    run.pause, slices = 0.003, []
    seat.train()
    seat.aside(lambda seconds: slices.append(run.step) or len(slices) < 3)
    wait(lambda: run.step > 10)
    assert slices == []
    seat.pause()
    wait(lambda: seat.work is None and slices)
    assert len(slices) == 3


def test_work_aside_that_fails_says_so_and_leaves_the_run_alone(seat, racers):
    def work(seconds):
        raise ValueError("no such thing")

    wait(lambda: seat.run is racers[0])
    seat.aside(work)
    wait(lambda: seat.error)
    assert seat.error == "no such thing"
    assert not seat.broken
    assert seat.work is None
