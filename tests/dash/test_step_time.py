"""The time of a step that the knobs promise: learned from measured steps, and steady."""

from types import SimpleNamespace

import numpy as np
import pytest

from tlab_core.cost import estimate
from tlab_core.experiment import default_experiment
from tlab_dash.knob_names import with_knobs
from tlab_dash.step_time import NEWS, StepTime

FIRST = default_experiment()
DEEP = with_knobs(FIRST, {"architecture.num_layers": 8})


class TimedRun(SimpleNamespace):
    """A run whose steps take what they are told to."""

    def __init__(self, experiment=FIRST):
        super().__init__(experiment=experiment, step=0, seconds=[0.0])
        self.recorder = SimpleNamespace(group=lambda name: {"seconds": SimpleNamespace(values=np.array(self.seconds))})

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other

    def train(self, steps, each):
        for _ in range(steps):
            self.seconds.append(self.seconds[-1] + each)
            self.step += 1


def promised(time, draft=FIRST):
    return estimate(draft, time.known(draft)).step_seconds


def test_before_anything_was_measured_it_is_worked_out():
    time = StepTime()
    time.note(None)
    time.note(TimedRun())
    assert time.known(FIRST) is None
    assert promised(time) == estimate(FIRST).step_seconds


def test_what_one_run_took_holds_for_another_draft():
    time, run = StepTime(), TimedRun()
    run.train(30, 0.5)
    time.note(run)
    assert promised(time) == pytest.approx(0.5)
    assert promised(time, DEEP) == pytest.approx(0.5 * estimate(DEEP).step_seconds / estimate(FIRST).step_seconds)


def test_a_busy_second_of_the_machine_does_not_show_and_a_slower_machine_does():
    time, run = StepTime(), TimedRun()
    run.train(30, 0.05)
    time.note(run)
    before = promised(time)
    run.train(20, 0.1)  # something else takes half of it
    time.note(run)
    assert promised(time) == before
    for _ in range(100):
        run.train(20, 0.1)
        time.note(run)
    assert promised(time) == pytest.approx(0.1, rel=NEWS - 1)


def test_steps_that_scatter_leave_what_is_said_at_rest():
    time, run, dice, said = StepTime(), TimedRun(), np.random.default_rng(0), set()
    for _ in range(100):
        run.train(20, 0.05 * dice.uniform(0.75, 1.35))
        time.note(run)
        said.add(promised(time))
    assert len(said) <= 3


def test_a_new_run_begins_with_what_is_known():
    time, run, fresh = StepTime(), TimedRun(), TimedRun(DEEP)
    run.train(30, 0.5)
    time.note(run)
    before = promised(time, DEEP)
    fresh.train(5, 0.01)  # too few to tell
    time.note(fresh)
    assert promised(time, DEEP) == before
