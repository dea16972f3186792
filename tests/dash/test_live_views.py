"""Views for a notebook: of a run or a Trainer, with keywords, and live while it trains."""

import dataclasses
import gc
import threading
import weakref

import numpy as np
import panel as pn
import pytest
from panel.io import state
from pyviz_comms import Comm

from tests.dash.snapshots import small
from tlab_core import CharacterTokenizer, Trainer, TrainerRun, Training, Transformer
from tlab_core.registry import UnknownNameError
from tlab_dash import Lab, live_views, notebook, notebooks, views
from tlab_dash.selection import Selection
from tlab_dash.theme import DARK
from tlab_dash.views import VIEWS

TEXT = "the cat sat on the mat and the dog sat on the log " * 20


def trainer_of(tokenizer=None):
    tokenizer = tokenizer or CharacterTokenizer.from_text(TEXT)
    model = Transformer(vocab_size=tokenizer.vocab_size, hidden_dim=12, num_layers=2, num_heads=3, max_seq_len=16)
    training = Training(batch_size=4, seq_len=16, warmup_steps=0, statistics_every=1, executor="serial")
    return Trainer(model, tokenizer.encode(TEXT), training)


@pytest.fixture
def run(tmp_path):
    return small(tmp_path, steps=5)


@pytest.fixture
def unhurried(monkeypatch):
    """Have every record shown at once, however long a refresh takes."""
    monkeypatch.setattr(live_views, "PACE", 0.0)
    monkeypatch.setattr(live_views, "DRAWING", 0.0)
    monkeypatch.setattr(live_views, "SHARE", 1e9)


def shown(live):
    """Put views on show, as a layout does; return their row."""
    row = live.__panel__()
    row.get_root()
    return row


def losses(row):
    return row._plots[0].sources["train"].data["loss"]


def test_what_a_view_measures_is_of_the_newest_model_when_a_cell_ends_and_soon_after():
    trainer = trainer_of()
    live = views.live(trainer, "singular_values")
    (taken,) = live.looked_at.run.analyses
    for _ in trainer.run(steps=3):
        pass
    live._catch_up()
    assert live.looked_at.run.analyses[taken].attrs["step"] == 3
    for _ in trainer.run(steps=2):
        pass
    live._next_look, live._coming = float("inf"), False
    live._when_free()
    assert live._behind  # it will be measured when it is time
    live._next_look = 0.0
    live._when_free()
    assert live.looked_at.run.analyses[taken].attrs["step"] == 5
    assert not live._behind


# Once drawn ----------------------------------------------------------------------------------------------------------


def test_a_trainer_is_shown_as_a_run_is():
    trainer = trainer_of()
    for _ in trainer.run(steps=7):
        pass
    columns = views.loss.columns(TrainerRun(trainer), Selection())
    assert len(views.loss(trainer)) == len(views.loss.drawn(columns))
    np.testing.assert_array_equal(columns["train"]["loss"], trainer.history["train"]["loss"])
    assert {"uniform", "unigram", "bigram"} <= TrainerRun(trainer).baselines.keys()


def test_tokens_go_by_their_numbers_unless_a_tokenizer_names_them():
    tokenizer = CharacterTokenizer.from_text(TEXT)
    trainer = trainer_of(tokenizer)
    numbers, letters = TrainerRun(trainer).probe_tokens, TrainerRun(trainer, tokenizer).probe_tokens
    assert [tokenizer.characters[int(number)] for number in numbers] == letters
    with pytest.raises(ValueError, match="give the tokenizer that encoded the text"):
        TrainerRun(trainer, CharacterTokenizer.from_text("ab"))


def test_keywords_say_what_is_looked_at(run):
    asked = views.attention(run, layer=1, head=2, step=0)
    same = views.attention(run, Selection(layer=1, head=2, step=0, pinned=True))
    for one, other in zip(asked, same, strict=True):
        for name in one.dimensions(label=True):
            np.testing.assert_array_equal(one.dimension_values(name), other.dimension_values(name))


@pytest.mark.parametrize(("keywords", "message"), [
    ({"layr": 1}, "unknown keyword 'layr'.*Did you mean 'layer'"),
    ({"layer": 2}, "this run has 2, from 0 to 1"),
    ({"head": -1}, "this run has 3, from 0 to 2"),
    ({"layer": np.int64(99)}, "this run has 2, from 0 to 1"),
    ({"head": "x"}, "head = .x. is not allowed: it must be a whole number"),
    ({"layer": True}, "layer = True is not allowed: it must be a whole number"),
    ({"step": 10_000}, "step = 10000 is not allowed: this run's steps are 0 to .*\\. Without a step the newest is shown"),
    ({"step": False}, "step = False is not allowed: this run's steps are 0 to"),
    ({"theme": "drak"}, "unknown theme 'drak'.*Did you mean 'dark'"),
])
def test_what_cannot_be_looked_at_is_refused(run, keywords, message):
    with pytest.raises((TypeError, ValueError, UnknownNameError), match=message):
        views.attention(run, **keywords)


def test_what_is_no_run_is_refused():
    with pytest.raises(TypeError, match="^'first' can't be shown: a view needs a run"):
        views.loss("first")
    with pytest.raises(TypeError, match="^this DataTree can't be shown: .* give the run itself"):
        views.loss(trainer_of().history)
    with pytest.raises(TypeError, match="^this Transformer can't be shown: .* train it with a Trainer"):
        views.loss(trainer_of().model)
    with pytest.raises(TypeError, match="it must be an Experiment"):
        Lab("first")


def test_a_lab_that_was_closed_says_so():
    lab = Lab()
    lab.close()
    with pytest.raises(RuntimeError, match="this lab was closed: make another"):
        lab.__panel__()


def test_a_copy_of_a_view_takes_a_name_of_its_own():
    before = VIEWS.so_far()
    with pytest.raises(ValueError, match=r"view 'loss' is registered already by tlab_dash\.views\.loss\.loss"):
        dataclasses.replace(views.loss, caption="Mine")
    try:
        for _ in range(2):  # a cell may be run again
            mine = dataclasses.replace(views.loss, name="my_loss", caption="Mine")
        assert VIEWS.get("my_loss") is mine
    finally:
        VIEWS.restore(before)


def test_a_script_is_no_notebook():
    with pytest.raises(RuntimeError, match="this is none"):
        notebook()


# Live ------------------------------------------------------------------------------------------------------------------


def test_pictures_follow_a_loop_over_a_trainer(unhurried):
    trainer = trainer_of()
    row = shown(views.live(trainer, "loss"))
    for record in trainer.run(steps=5):
        assert len(losses(row)) == record.step
        assert losses(row)[-1] == pytest.approx(record.loss)


def test_pictures_follow_a_run_that_trains_in_a_thread(run, unhurried):
    row = shown(views.live(run, "loss"))
    thread = threading.Thread(target=run.advance, kwargs={"steps": 4})
    thread.start()
    thread.join()
    assert len(losses(row)) == run.step == 9


def test_training_is_not_held_up_by_pictures(run, monkeypatch):
    monkeypatch.setattr(live_views, "PACE", 1e9)
    row = shown(views.live(run, "loss"))
    row.shown.refresh()
    before = len(losses(row))
    run.advance(steps=4)
    assert len(losses(row)) == before
    row.shown.refresh()
    assert len(losses(row)) == run.step


def test_one_choice_turns_all_pictures(run, unhurried):
    row = shown(views.live(run, "heads", "attention", layer=0, head=0))
    heads, attention = row._plots
    first = attention.sources["map"].data["image"][0].copy()
    frame = heads.columns["frames"]
    heads.tap(*((frame[low][2] + frame[high][2]) / 2 for low, high in (("left", "right"), ("bottom", "top"))))
    assert row.shown.selection.head == 2
    assert not np.array_equal(attention.sources["map"].data["image"][0], first, equal_nan=True)
    assert "head 2" in row._titles[1].text


def test_what_the_browser_says_waits_for_what_is_being_sent_to_it(run, monkeypatch):
    row = shown(views.live(run, "loss"))
    heard = []
    monkeypatch.setattr(pn.Column, "_on_msg", lambda row, *message: heard.append(message), raising=False)
    browser = threading.Thread(target=row._on_msg, args=("root", "manager", "message"))
    with notebooks.WRITING:
        browser.start()
        browser.join(0.2)
        assert heard == []
    browser.join(5)
    assert heard == [("root", "manager", "message")]


def test_a_browser_that_has_said_something_has_drawn_it(run, monkeypatch):
    row = views.live(run, "loss").__panel__()
    assert not row.is_drawn  # it is in no output
    monkeypatch.setattr(pn.Column, "_on_msg", lambda *message: None, raising=False)
    ref = row.get_root(comm=Comm("one")).ref["id"]
    monkeypatch.setitem(state._views, ref, (row, None, None, Comm("one")))
    assert not row.is_drawn
    row._on_msg(ref, "manager", "message")
    assert row.is_drawn


def test_names_and_views_and_their_order(run):
    live = views.live(run, views.qk, "loss", theme="dark")
    assert [view.name for view in live.views] == ["qk", "loss"]
    assert live.theme is DARK
    with pytest.raises(UnknownNameError, match="Did you mean 'heads'"):
        views.live(run, "haeds")
    with pytest.raises(TypeError, match="is no view"):
        views.live(run, 3)
    with pytest.raises(ValueError, match="Did you mean 'layer'"):
        views.live(run, "qk", selects=("layr",))


def test_what_was_stopped_stays_as_it_is(run, unhurried):
    row = shown(views.live(run, "loss"))
    row.shown.refresh()
    row.shown.stop()
    run.advance(steps=3)
    assert len(losses(row)) == 5


def test_what_nobody_holds_goes_and_costs_nothing(run):
    there = weakref.ref(views.live(run, "loss"))
    gc.collect()
    assert there() is None
    run.advance(steps=1)
