"""A class on one server: what a page may not ask for, who gets a place, and what becomes of pages nobody looks at."""

import gc
import html
import time
import tracemalloc
from types import SimpleNamespace

import pytest

from tests.dash.driven import DrivenRun, breaking, settle
from tests.dash.fakes import fake_run
from tlab_core.experiment import default_experiment
from tlab_core.limits import LimitError, Limits
from tlab_core.settings import SettingsError
from tlab_dash import limits as server
from tlab_dash import run_bar, sharing, waiting
from tlab_dash.controls import Knobs
from tlab_dash.idle import Idle
from tlab_dash.knob_names import with_knobs
from tlab_dash.limits import Places, plain_page, server_limits, within
from tlab_dash.run_bar import notice
from tlab_dash.serving import serve
from tlab_dash.session import Session
from tlab_dash.waiting import WaitingRoom

FIRST = default_experiment()


@pytest.fixture
def opened(fleet):
    sessions = []

    def open_session(kind=DrivenRun, **limits):
        session = Session(fleet=fleet, open_run=kind, limits=Limits(**limits))
        sessions.append(session)
        settle(session, lambda: session.run is not None or session.message or session.problems)
        return session

    yield open_session
    for session in sessions:
        session.close()


# ---- what a page may not ask for


def test_a_model_that_is_too_large_is_refused_beside_its_knob_and_the_run_stays(opened):
    session = opened(parameters=1_000_000)
    first = session.run
    session.change(num_layers=12)
    (problem,) = session.problems
    assert problem.knob == "architecture.num_layers"
    assert problem.allowed.startswith("models have at most 1,000,000 parameters here")
    assert session.draft.architecture.num_layers == 12
    assert (session.run, session.experiment.architecture.num_layers) == (first, 4)
    session.fix(problem)
    settle(session, lambda: session.run is not first)
    assert session.problems == []
    assert session.run.experiment.architecture.num_layers == problem.fix["architecture.num_layers"]


def test_saved_settings_and_a_longer_schedule_are_held_to_the_limits_too(opened):
    session = opened(parameters=1_000_000, steps=2000)
    first = session.run
    session.start(with_knobs(FIRST, {"architecture.hidden_dim": 512}))
    assert [problem.knob for problem in session.problems] == ["architecture.hidden_dim"]
    session.extend(5000)
    assert session.problems[0].fix == {"training.steps": 2000}
    assert (session.run, session.state) == (first, "ready")
    assert session.experiment.training.steps == 2000


def test_a_run_ends_at_the_last_step_that_it_may_make_and_the_page_says_so(opened):
    session = opened(steps=2000)
    session.run.step = 1990
    session.train()
    settle(session, lambda: session.state == "paused")
    assert session.run.step == 2000
    session.train()  # past the horizon a run would otherwise go on for ever
    settle(session, lambda: session.state == "paused")
    session.step_once()
    settle(session, lambda: not session._seat._commands)
    assert session.run.step == 2000
    assert notice(session) == "Runs end at step 2,000 here."


def test_the_vocabulary_counts_once_the_text_has_decided_it():
    open_run = within(Limits(parameters=1_000_000), lambda experiment: experiment)
    assert open_run(FIRST) is FIRST
    with pytest.raises(SettingsError, match="at most 1,000,000 parameters"):
        open_run(with_knobs(FIRST, {"architecture.hidden_dim": 256}))


def test_a_link_that_asks_for_too_much_gets_a_message(monkeypatch):
    monkeypatch.setattr(sharing, "server_limits", lambda: Limits(parameters=1_000_000))
    assert sharing.experiment_of("a.num_layers=5&v=1")[1] == ""
    asked, trouble = sharing.experiment_of("a.num_layers=12&v=1")
    assert asked is None
    assert trouble.startswith("The link asks for more than this lab gives: models have at most 1,000,000 parameters here")


def test_a_link_that_says_nothing_of_steps_makes_as_many_as_the_server_lets_it(monkeypatch):
    monkeypatch.setattr(sharing, "server_limits", lambda: Limits(steps=60))
    asked, trouble = sharing.experiment_of("a.num_layers=2&v=1")
    assert (asked.architecture.num_layers, asked.training.steps, asked.training.warmup_steps, trouble) == (2, 60, 50, "")
    assert sharing.experiment_of("a.num_layers=2&t.steps=500&v=1")[1] == (
        "The link asks for more than this lab gives: runs end at step 60 here.")


def test_the_server_reads_its_environment_once_and_a_bad_value_is_an_error(monkeypatch):
    server_limits.cache_clear()
    monkeypatch.setenv("TLAB_MAX_STEPS", "5000")
    assert server_limits().steps == 5000
    assert server_limits() is server_limits()
    server_limits.cache_clear()
    monkeypatch.setenv("TLAB_MAX_PARAMETERS", "5")
    with pytest.raises(LimitError, match="leave no room for the run that the lab opens with"):
        server_limits()
    monkeypatch.setenv("TLAB_MAX_STEPS", "five")
    with pytest.raises(LimitError, match="TLAB_MAX_STEPS = 'five' is not allowed"):
        server_limits()
    monkeypatch.undo()
    server_limits.cache_clear()


def test_a_limit_that_can_not_be_used_is_said_on_the_page_and_in_the_log(monkeypatch, caplog):
    monkeypatch.setenv("TLAB_MAX_STEPS", "<five>")
    server_limits.cache_clear()
    pages = []
    monkeypatch.setattr("tlab_dash.serving.plain_page", lambda words: pages.append(plain_page(words)) or pages[0])
    serve()
    assert "can't be opened. TLAB_MAX_STEPS = '<five>' is not allowed: it must be" in html.unescape(pages[0].object)
    assert "<five>" not in pages[0].object
    (record,) = caplog.records
    assert record.getMessage().startswith("TLAB_MAX_STEPS = '<five>' is not allowed: it must be a whole number")
    assert record.exc_info is None
    monkeypatch.undo()
    server_limits.cache_clear()


# ---- places


class Page:
    """Whatever a browser shows."""


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_as_many_pages_are_open_as_there_are_places():
    places = Places()
    pages = [Page() for _ in range(3)]
    assert [places.take(page, 2) for page in pages] == [True, True, False]
    places.leave(pages[0])
    assert places.take(pages[2], 2)
    places.leave(pages[2])
    places.leave(pages[2])
    assert len(places) == 1
    del pages
    gc.collect()
    assert len(places) == 0  # a page that went without a word
    assert all(places.take(page, None) for page in [Page() for _ in range(100)])


def test_a_page_that_its_browser_has_left_has_no_place():
    places, left, stays = Places(), Page(), Page()
    there = [True]
    assert places.take(left, 2, is_there=lambda: there[0])
    assert places.take(stays, 2)
    again = Page()
    assert not places.send(again, 2)
    there[0] = False  # as it loads the page once more
    assert len(places) == 1
    assert places.send(again, 2)
    assert places.take(again, 2)
    assert not places.send(Page(), 2)
    places.leave(left)
    assert len(places) == 2


def test_a_page_that_was_only_sent_has_no_place():
    places, asked, visitor = Places(), Page(), Page()
    assert places.send(asked, 1)  # somebody asks whether the server answers, and no browser comes
    assert len(places) == 0
    assert places.send(visitor, 1)
    assert places.take(visitor, 1)
    assert not places.take(asked, 1)
    assert not places.send(Page(), 1)


def test_no_more_models_are_built_for_nobody_than_a_few():
    places = Places()
    pages = [Page() for _ in range(30)]
    assert sum(places.send(page, 2) for page in pages) == 2 + server.MORE_SENT


def test_who_has_waited_longest_is_called_first_and_nobody_comes_between():
    clock = Clock()
    places, pages = Places(clock), [Page() for _ in range(2)]
    assert all(places.take(page, 2) for page in pages)
    first, second, third = line = [Page() for _ in range(3)]
    for page in line:
        places.wait(page)
    assert [places.before(page) for page in line] == [0, 1, 2]
    assert places.call(first, 2) == ""
    places.leave(pages[0])
    assert not places.send(Page(), 2)  # the place is theirs who wait
    assert places.call(second, 2) == ""
    token = places.call(first, 2)
    assert token
    assert places.before(second) == 0
    assert places.call(second, 2) == ""  # it is kept for the first
    assert not places.send(Page(), 2)
    assert not places.send(Page(), 2, "some other token")
    came = Page()
    assert places.send(came, 2, token)
    assert places.take(came, 2, token)
    assert len(places) == 2
    assert not places.send(Page(), 2, token)  # a token is good for one place
    places.leave(second)  # who closes the page leaves the line
    del second
    assert places.before(third) == 0


def test_a_place_that_nobody_came_for_goes_to_the_next():
    clock = Clock()
    places, first, second = Places(clock), Page(), Page()
    places.wait(first)
    places.wait(second)
    token = places.call(first, 1)
    assert places.call(second, 1) == ""
    clock.now += server.KEPT_SECONDS + 1
    assert places.call(second, 1)
    assert not places.take(Page(), 1, token)


def test_a_token_brings_its_page_and_not_any_number_of_them():
    places, first = Places(), Page()
    places.wait(first)
    token, pages = places.call(first, 1), [Page() for _ in range(5)]
    assert [places.send(page, 1, token) for page in pages] == [True] * server.SENDS + [False] * 2
    assert places.take(pages[0], 1, token)


def test_whoever_gets_no_place_is_told_how_many_are_before(monkeypatch):
    places = Places()
    monkeypatch.setattr(waiting, "PLACES", places)
    page, rooms = Page(), [WaitingRoom(1) for _ in range(3)]
    assert places.take(page, 1)
    sent = []
    for room in rooms:
        monkeypatch.setattr(room, "_send_msg", sent.append)
        places.wait(room)
    for room in rooms:
        room.refresh()
    assert "1 page is open, as many as this lab has room for" in rooms[0].line["full"]
    assert [room.line["before"] for room in rooms] == [
        "You are next.", "1 person is before you.", "2 people are before you."]
    places.leave(page)
    sent.clear()
    rooms[0].refresh()
    (news,) = sent
    came = Page()
    assert places.take(came, 1, news["come"])
    rooms[1].refresh()
    assert rooms[1].line["before"] == "You are next."


# ---- many at once


def test_the_page_says_how_many_runs_share_the_cores(opened, monkeypatch):
    session = opened()
    monkeypatch.setattr(run_bar, "cores", lambda: 2)
    monkeypatch.setattr(session._seat._fleet, "waiting", lambda seat: (3, 12))
    assert notice(session) == ""
    session.train()
    assert notice(session) == "12 runs share 2 cores."
    monkeypatch.setattr(session._seat._fleet, "waiting", lambda seat: (0, 2))
    assert notice(session) == "2 runs share 2 cores."  # alone it would have both
    monkeypatch.setattr(session._seat._fleet, "waiting", lambda seat: (0, 1))
    assert notice(session) == ""


def test_a_new_run_that_waits_says_for_how_many(opened, monkeypatch):
    session = opened()
    monkeypatch.setattr(session._seat._fleet, "waiting", lambda seat: (7, 12))
    session._seat.opening = True
    session.poll()
    assert notice(session) == "Building the model … 7 runs go first."
    assert not session.poll()
    monkeypatch.setattr(session._seat._fleet, "waiting", lambda seat: (6, 12))
    assert session.poll()  # the place is news
    session._seat.opening = False


def test_a_run_that_breaks_leaves_the_others_alone(opened):
    class Exits(DrivenRun):
        def advance(self, **how):
            raise SystemExit("a component that calls exit()")

    broken, gone, healthy = opened(breaking(raises_at=3)), opened(Exits), opened()
    for session in (broken, gone, healthy):
        session.train()
    settle(broken, lambda: broken.state == "stopped")
    settle(gone, lambda: gone.state == "stopped")
    assert broken.message == "the disk is full"
    assert gone.message == "a component that calls exit()"
    step = healthy.run.step
    settle(healthy, lambda: healthy.run.step > step + 50)
    assert (healthy.state, healthy.message) == ("training", "")
    broken.reset()  # and its own page goes on with a new run
    settle(broken, lambda: broken.state == "ready")


# ---- nobody there


def test_a_page_falls_asleep_once_and_a_touch_wakes_it():
    now = [0.0]
    idle = Idle(20, lambda: now[0])
    now[0] = 1199.0
    assert not idle.falls_asleep()
    now[0] = 1201.0
    assert [idle.falls_asleep() for _ in range(3)] == [True, False, False]
    idle.touch()
    now[0] += 1199.0
    assert not idle.falls_asleep()
    now[0] += 2.0
    assert idle.falls_asleep()
    assert Idle(1).words == "Paused after 1 minute without a click. Press Train to go on."
    assert len(Idle(20).words.split()) <= 12


def test_zero_minutes_is_never():
    assert not Idle(0, lambda: 1e12).falls_asleep()


class Closable(DrivenRun):
    """A DrivenRun that counts how often its trainer gave back its buffers."""

    def __init__(self, experiment):
        super().__init__(experiment)
        self.closed = 0
        self.trainer = SimpleNamespace(close=self._close)

    def _close(self):
        self.closed += 1


def test_a_page_that_nobody_touches_pauses_frees_its_memory_and_goes_on_when_asked(opened):
    session = opened(Closable, idle_minutes=20.0)
    now = [0.0]
    session.idle = Idle(20, lambda: now[0])
    session.train()
    settle(session, lambda: session.run.step > 3)
    now[0] = 1199.0
    session.poll()
    assert session.state == "training"
    now[0] = 1201.0
    settle(session, lambda: session.run.closed == 1)
    assert session.state == "paused"
    assert notice(session) == "Paused after 20 minutes without a click. Press Train to go on."
    session.touch()  # the mouse comes back; the words stay until something is pressed
    assert notice(session).startswith("Paused after 20 minutes")
    step = session.run.step
    session.train()
    settle(session, lambda: session.run.step > step)
    assert notice(session) == ""


def test_a_page_at_rest_frees_its_memory_without_a_word(opened):
    session = opened(Closable)
    now = [1e6]
    session.idle = Idle(20, lambda: now[0])
    now[0] += 1201
    settle(session, lambda: session.run.closed == 1)
    assert (session.state, notice(session)) == ("ready", "")


def test_every_message_of_the_page_is_a_touch(opened):
    session = opened()
    now = [0.0]
    session.idle = Idle(20, lambda: now[0])
    now[0] = 1300.0
    session.run.recorder = fake_run(records=1).recorder
    Knobs(session)._handle_msg({"fix": 0})
    assert not session.idle.falls_asleep()


# ---- opened and closed


def open_and_close(fleet, times):
    for _ in range(times):
        session = Session(fleet=fleet, open_run=DrivenRun)
        settle(session, lambda session=session: session.run is not None)
        session.train()
        settle(session, lambda session=session: session.run.step > 0)
        session.close()


def growth(fleet, times):
    """Return by how many bytes and objects the process grows for each page more that was opened and closed."""

    def size():
        while fleet.waiting(None)[1]:  # the last pages were closed in the middle of a slice
            time.sleep(0.005)
        gc.collect()
        return tracemalloc.get_traced_memory()[0], len(gc.get_objects())

    open_and_close(fleet, 5)
    tracemalloc.start()
    try:
        open_and_close(fleet, 3)
        before = size()
        open_and_close(fleet, times)
        after = size()
    finally:
        tracemalloc.stop()
    return [(new - old) / times for new, old in zip(after, before, strict=True)]


def test_pages_that_were_opened_and_closed_leave_nothing_behind(fleet):
    size, objects = growth(fleet, 50)
    assert objects < 2  # a session with its run has hundreds
    assert size < 2000


@pytest.mark.slow
def test_a_thousand_pages_that_were_opened_and_closed_leave_nothing_behind(fleet):
    size, objects = growth(fleet, 1000)
    assert objects < 0.1  # a session with its run has hundreds
    assert size < 100
