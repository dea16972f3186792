"""When a session's seat writes, how, and which of its texts are kept."""

import time
from itertools import pairwise
from types import SimpleNamespace

import pytest

from tests.dash.driven import DrivenRun, breaking, settle
from tlab_core.experiment import default_experiment
from tlab_core.generation import Choice, GenerationError
from tlab_dash.knob_names import with_knobs
from tlab_dash.scribe import LENGTH, LONG_WRITING_SHARE, SHARED_WRITING_SHARE, WRITING_SHARE, Request
from tlab_dash.seat import Seat
from tlab_dash.session import Session


def test_a_new_temperature_writes_at_once_though_paused(session):
    settle(session, lambda: session.text is not None and session.text.done)
    session.write(temperature=1.5)
    settle(session, lambda: session.text is not None and session.text.text == "1.5")
    assert session.run.step == 0


def test_write_again_uses_other_dice(session):
    settle(session, lambda: session.text is not None and session.text.done)
    session.write(again=True)
    settle(session, lambda: len({seed for _, _, seed in session.run.requests}) == 2)


def test_a_prompt_with_unknown_characters_is_refused_by_name_and_nothing_is_lost(session):
    prompt = session.prompt
    session.write(prompt="Ω day")
    assert "Ω" in session.prompt_message
    assert session.prompt == prompt
    session.write(prompt="One")
    assert (session.prompt, session.prompt_message) == ("One", "")
    settle(session, lambda: session.text is not None and session.text.prompt == "One")


def test_the_texts_at_the_start_and_at_step_100_are_kept_and_others_ever_further_apart(session):
    settle(session, lambda: len(session.run.samples) == 1)
    session.train()

    def steps(beyond):
        return [sample.step for sample in session.run.samples if sample.step > beyond]

    settle(session, lambda: len(steps(160)) > 2)
    assert steps(-1)[0] == 0
    assert any(100 <= step <= 160 for step in steps(-1))  # within a slice of the hundredth
    after = steps(160)
    assert all(later >= 1.1 * step for step, later in pairwise(after))


def test_train_pressed_in_the_middle_of_the_first_text_does_not_lose_it(fleet):
    session = Session(fleet=fleet, open_run=breaking(writing_pause=0.2))
    settle(session, lambda: session.run is not None)
    time.sleep(0.05)  # it is writing by now
    session.train()
    settle(session, lambda: session.run.step > 5)
    assert [sample.step for sample in session.run.samples] == [0]
    session.close()


@pytest.mark.parametrize(("runs", "length", "share"), [
    (1, LENGTH, WRITING_SHARE), (10, LENGTH, SHARED_WRITING_SHARE),
    (1, 400, LONG_WRITING_SHARE), (10, 400, LONG_WRITING_SHARE),
])
def test_writing_takes_its_share_of_the_time_that_a_run_gets_while_training(monkeypatch, runs, length, share):
    clock, writing = 0.0, 0.0
    for name in ("seat", "scribe"):
        monkeypatch.setattr(f"tlab_dash.{name}.time", SimpleNamespace(monotonic=lambda: clock))

    class Timed(DrivenRun):
        def advance(self, **how):
            nonlocal clock
            clock, self.step = clock + 0.1, self.step + 1

        def write_choices(self, *how):
            nonlocal clock, writing
            clock, writing = clock + 0.04, writing + 0.04
            yield Choice("e", 0.5, ())

    seat = Seat(SimpleNamespace(wake=lambda seat: None, waiting=lambda seat: (0, runs)), Timed)
    seat.write(Request(length=length))
    seat.open(with_knobs(default_experiment(), {"training.steps": 100_000}))
    seat.train()
    while clock < 1000:
        seat.slice(0.1)
    assert 0.8 * share / runs < writing / clock < 1.1 * share / runs


def test_how_a_text_is_drawn_reaches_the_model_and_what_can_not_be_is_refused(session):
    settle(session, lambda: session.text is not None and session.text.done)
    session.write(top_k=3, top_p=0.5, seed=7, length=5)
    assert session.request == Request("", 0.8, 7, 5, 3, 0.5)
    settle(session, lambda: session.run.drawn[-1] == (5, 7, 3, 0.5))
    with pytest.raises(GenerationError, match="top_k = 0 is not allowed"):
        session.write(top_k=0)
    with pytest.raises(TypeError, match="colour"):
        session.write(colour="red")
    assert session.request.top_k == 3


def test_a_text_comes_with_what_the_model_thought_of_each_character(session):
    settle(session, lambda: session.text is not None and session.text.done)
    assert "".join(choice.token for choice in session.text.choices) == session.text.text == "0.8"


def test_of_a_longer_text_as_much_is_kept_as_of_any(fleet):
    session = Session(fleet=fleet, open_run=breaking(written="so " * 200))
    session.write(length=600)
    settle(session, lambda: session.text is not None and session.text.done)
    assert (session.text.text, session.run.samples[0].text) == ("so " * 200, "so " * (LENGTH // 3))
    session.close()
