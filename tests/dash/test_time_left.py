"""How long training still takes, by a clock that the tests turn."""

from types import SimpleNamespace

import pytest

from tests.dash.fakes import fake_run
from tlab_core.experiment import default_experiment
from tlab_core.limits import Limits
from tlab_dash.race import Race
from tlab_dash.time_left import WATCHED, TimeLeft, goal, steps_left


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def watched(pairs):
    """What is said after each (second, steps left), or (second, steps left, goal)."""
    clock = Clock()
    time_left, said = TimeLeft(clock), []
    for clock.now, *left in pairs:
        said.append(time_left.of(*left))
    return said


def test_the_pace_of_the_last_seconds_tells_how_long_it_takes():
    assert watched([(0, 100), (1, 90), (2, 80), (4, 60)]) == [None, None, 8.0, 6.0]


def test_an_older_pace_is_forgotten():
    slow = [(second, 9000 - second) for second in range(10)]
    fast = [(10 + second, 8000 - 100 * second) for second in range(int(WATCHED) + 2)]
    assert watched(slow + fast)[-1] == pytest.approx(fast[-1][1] / 100, rel=0.05)


def test_a_pause_and_a_new_goal_begin_anew():
    assert watched([(0, 100), (2, 80), (3, None), (9, 80), (10, 75)]) == [None, 8.0, None, None, None]
    assert watched([(0, 100), (2, 80), (3, 400), (5, 380)]) == [None, 8.0, None, 38.0]


def test_that_a_race_is_shorter_than_the_schedule_is_no_pace():
    said = watched([(0, 1950, "schedule"), (1, 300, "race"), (2, 295, "race"), (3, 290, "race")])
    assert said == [None, None, None, 58.0]


def test_a_race_and_each_run_that_drops_out_of_it_is_another_goal():
    alone, ghost = session_of(40), session_of(120).run
    racing = SimpleNamespace(**vars(alone) | {"ghost": ghost, "race": Race(300)})
    goals = [goal(alone), goal(racing), goal(SimpleNamespace(**vars(racing) | {"race": Race(600)}))]
    ghost.divergence = object()
    goals.append(goal(racing))
    assert len(set(goals)) == 4
    assert goal(racing) == goals[-1]


def test_a_step_that_takes_long_makes_the_rest_longer():
    said = watched([(0, 10), (2, 9), (4, 9), (6, 9)])
    assert said == [None, 18.0, 36.0, 54.0]


def session_of(step, ghost=None, state="training", race=None, **limits):
    run = fake_run(records=1)
    run.step, run.divergence, run.experiment = step, None, default_experiment()
    return SimpleNamespace(run=run, ghost=ghost, state=state, race=race, limits=Limits(**limits))


def test_training_stops_at_the_end_of_the_schedule_or_where_the_server_ends_runs():
    steps = default_experiment().training.steps
    assert steps_left(session_of(100)) == steps - 100
    assert steps_left(session_of(100, steps=250)) == 150
    assert steps_left(session_of(steps + 5)) is None
    assert steps_left(session_of(100, state="paused")) is None
    assert steps_left(SimpleNamespace(run=None, race=None, state="training")) is None


def test_a_race_ends_when_both_have_arrived():
    ghost = session_of(120).run
    assert steps_left(session_of(40, ghost, race=Race(300))) == 260 + 180
    ghost.divergence = object()
    assert steps_left(session_of(40, ghost, race=Race(300))) == 260
