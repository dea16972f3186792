import gc

import pytest

from tests.dash.driven import DrivenRun, settle
from tlab_core.experiment import default_experiment
from tlab_core.lessons import LESSONS
from tlab_dash.coming_back import PATIENCE, BrowserTabs
from tlab_dash.seat import GHOST_STEPS
from tlab_dash.session import Session


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tabs(clock):
    return BrowserTabs(clock)


@pytest.fixture
def opened(fleet):
    """Return a function that opens a session with a run, as each page has one."""
    sessions = []

    def one():
        session = Session(fleet=fleet, open_run=DrivenRun)
        settle(session, lambda: session.run is not None)
        sessions.append(session)
        return session

    yield one
    for session in sessions:
        session.close()


def trained(session, step=GHOST_STEPS):
    session.train()
    settle(session, lambda: session.run.step >= step)
    return session


def test_a_page_that_is_loaded_again_goes_on_with_the_run_the_ghost_the_knobs_and_what_was_looked_at(tabs, opened):
    old = trained(opened())
    first = old.run
    old.change(norm_type="RMSNorm" if old.experiment.architecture.norm_type != "RMSNorm" else "LayerNorm")
    settle(old, lambda: old.run is not first)
    old.pause()
    old.change(num_heads=7)  # which doesn't go with the width, and so waits
    old.selection.param.update(layer=2, head=1, pinned=True)
    run, draft = old.run, old.draft
    assert tabs.show("a tab", old, lambda: False) is None
    new = opened()
    assert tabs.show("a tab", new, lambda: True).is_over()
    assert new.poll()
    assert (new.run, new.ghost, new.draft, new.experiment) == (run, first, draft, run.experiment)
    assert [problem.knob for problem in new.problems] == ["architecture.num_heads"]
    assert (new.selection.layer, new.selection.head, new.selection.pinned) == (2, 1, True)
    assert old.closed
    assert not old.poll()
    assert old.run is None
    before = new.run.step
    new.step_once()
    settle(new, lambda: run.step > before)


def test_a_run_that_was_training_trains_on_and_the_page_before_has_no_say_in_it(tabs, opened):
    old, new = trained(opened()), opened()
    run = old.run
    tabs.show("a tab", old, lambda: False)
    assert tabs.show("a tab", new, lambda: True).is_over()
    assert new.poll()
    assert new.state == "training"
    old.close()  # as the server does, seconds later
    step = run.step
    settle(new, lambda: run.step > step + 20)
    new.pause()
    assert (new.run, new.state) == (run, "paused")


def test_what_a_tab_still_shows_is_left_to_it(tabs, opened):
    """A tab can be copied, with its name; and a busy server hears late that one has left a page."""
    old, new = trained(opened()), opened()
    is_there = True
    tabs.show("a tab", old, lambda: is_there)
    coming = tabs.show("a tab", new, lambda: True)
    assert not coming.is_over()
    assert new.run is not old.run
    is_there, run = False, old.run
    assert coming.is_over()
    assert new.poll()
    assert new.run is run


def test_it_is_waited_for_a_few_seconds(tabs, opened, clock):
    old, new = trained(opened()), opened()
    tabs.show("a tab", old, lambda: True)
    coming = tabs.show("a tab", new, lambda: True)
    clock.now += PATIENCE - 0.1
    assert not coming.is_over()
    clock.now += 0.2
    assert coming.is_over()
    assert not old.closed
    assert new.run is not old.run


def begin_to_train(session):
    session.step_once()
    settle(session, lambda: session.run.step == 1)


@pytest.mark.parametrize("begun", [begin_to_train, lambda session: session.take_lesson(LESSONS.names()[0])])
def test_what_was_begun_on_the_new_page_is_not_taken_away(tabs, opened, begun):
    old, new = trained(opened()), opened()
    there = [True]
    tabs.show("a tab", old, lambda: there[0])
    coming = tabs.show("a tab", new, lambda: True)
    begun(new)
    there[0] = False
    assert coming.is_over()
    assert not old.closed
    assert new.run is not old.run


def test_a_lesson_that_was_on_has_ended_and_the_run_from_before_it_comes_back(tabs, opened):
    old = trained(opened())
    old.pause()
    run = old.run
    old.take_lesson("temperature")
    tabs.show("a tab", old, lambda: False)
    new = opened()
    assert tabs.show("a tab", new, lambda: True).is_over()
    assert (old.lesson, new.lesson) == (None, None)
    new.take_lesson("temperature")  # as the page's address says
    settle(new, lambda: new.run is not run and new.lesson.doing == "ready")
    new.leave_lesson()
    settle(new, lambda: new.run is run)
    assert new.experiment == default_experiment()


def test_names_that_are_new_or_of_a_page_that_is_gone_bring_nothing(tabs, opened):
    old = opened()
    assert tabs.show("a tab", old, lambda: False) is None
    assert tabs.show("a tab", old, lambda: False) is None  # the same page
    assert tabs.show("another", opened(), lambda: True) is None
    old.close()
    assert tabs.show("a tab", opened(), lambda: True).is_over()


def test_no_session_is_held_by_its_tabs_name(tabs):
    class Page:
        pass

    page = Page()
    tabs.show("a tab", page, lambda: False)
    del page
    gc.collect()
    assert tabs.show("a tab", Page(), lambda: True) is None
