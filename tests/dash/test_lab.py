import gc
import time
import weakref
from types import SimpleNamespace

import pytest

from tlab_core.experiment import default_experiment
from tlab_dash import Lab
from tlab_dash.architecture_map import broken_part
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import with_knobs
from tlab_dash.lab import PLOTS
from tlab_dash.theme import DARK, LIGHT

TINY = with_knobs(default_experiment(), {
    "architecture.hidden_dim": 32, "architecture.num_layers": 2, "architecture.ff_dim": 64, "training.batch_size": 2,
    "training.seq_len": 16,
})


@pytest.fixture
def fleet():
    fleet = Fleet(workers=1)
    yield fleet
    fleet.close()


@pytest.fixture
def lab(fleet):
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.text is not None and lab.session.text.done)
    yield lab
    lab.close()


def settle(lab, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        lab.refresh()
        if condition():
            break
        assert time.monotonic() < deadline, "never came to be"
        time.sleep(0.01)
    lab.refresh()  # the condition may have come true after the page was shown
    for _ in PLOTS:  # a server's event loop draws them one after the other
        lab._draw_next()


def crumbs(lab):
    return {part["part"]: part for part in lab.breadcrumb.trail["parts"]}


def test_what_is_drawn_is_marked_while_a_new_run_is_built(lab):
    told = []
    watched = lab.shell.tell
    lab.shell.tell = lambda **state: told.extend([state["building"]] if "building" in state else []) or watched(**state)
    before = lab.session.run
    lab.refresh()
    assert told[-1] is False
    lab.session.change(num_heads=1)
    lab.refresh()
    assert told[-1] is True
    settle(lab, lambda: lab.session.run is not before)
    assert lab.shell.building is False
    assert lab._drawn[0] is lab.session.run


def test_a_bad_address_gets_room_until_something_is_pressed(lab):
    lab.session.trouble = "What is wrong."
    lab.refresh()
    assert lab.shell.trouble is True
    lab.session.train()
    lab.refresh()
    assert lab.shell.trouble is False
    lab.session.pause()


def test_who_comes_when_all_places_were_taken_meanwhile_comes_again(lab, monkeypatch):
    sent = []
    monkeypatch.setattr(lab.shell, "_send_msg", sent.append)
    monkeypatch.setattr("tlab_dash.lab.PLACES", SimpleNamespace(take=lambda *args: False, leave=lambda page: None))
    lab._start_clock()
    assert sent == [{"again": True}]
    assert lab.session.run is None  # nothing trains for it


def test_what_a_page_asks_for_while_it_is_drawn_waits_until_all_of_it_has_come(lab, monkeypatch):
    done = []
    for name in ("on_page", "on_lesson", "on_tab_name"):
        monkeypatch.setattr(lab.shell, name, lambda value, name=name: done.append((name, value)))
    lab.shell.is_coming = True
    for message in ({"tab_name": "a tab"}, {"page": "weights"}, {"lesson": ""}, {"page": "code"}, "nonsense"):
        lab.shell._handle_msg(message)
    assert done == []
    lab.shell.has_come()
    assert done == [("on_tab_name", "a tab"), ("on_page", "code"), ("on_lesson", "")]
    lab.shell._handle_msg({"page": ""})
    assert done[-1] == ("on_page", "")


def test_before_training_every_part_shows_something(lab):
    assert set(lab._plots) == set(PLOTS)
    assert lab.run_bar.status["step"] == 0
    assert lab.run_bar.status["loss"] > 2
    assert [row["kind"] for row in lab.writing.texts] == ["now"]
    assert len(lab.writing.texts[0]["text"]) > 60
    assert lab.changes.sentences == [{"text": "Press Train. Watch the text.", "kind": "plain"}]
    assert lab.probe.markup.count("<span") == len(lab.session.run.probe_tokens)
    assert lab.map.svg.count("data-layer=") == 2
    assert lab.knobs.summary.startswith(f"{lab.session.run.model.parameter_count:,} parameters · about ")


def test_the_page_follows_training(lab):
    lab.run_bar.on_action("train")
    settle(lab, lambda: lab.session.run.step >= 20)
    lab.run_bar.on_action("pause")
    settle(lab, lambda: lab.session.state == "paused")
    time.sleep(0.3)
    lab.refresh()
    run = lab.session.run
    assert lab.run_bar.status["step"] == run.step
    recent = run.recorder.group("train")["loss"].values[-20:]
    assert lab.run_bar.status["loss"] == pytest.approx(recent.mean())
    assert len(lab._plots["loss"].columns) > 0


def test_while_training_the_plots_are_written_to_one_at_a_time_and_all_when_it_pauses(lab, monkeypatch):
    monkeypatch.setattr("tlab_dash.lab.cores", lambda: 2)
    lab.session.train()
    settle(lab, lambda: lab.session.run.step > 2)
    written = []
    for name, plot in lab._plots.items():
        monkeypatch.setattr(plot, "refresh", lambda name=name: written.append(name))
    lab._behind, lab._next_drawing, lab._drawn_step, lab._due = True, 0.0, -1, []
    counts = []
    for _ in PLOTS:
        before = len(written)
        lab.refresh()
        counts.append(len(written) - before)
    assert max(counts) == 1
    assert written == [name for name in lab._plots if name != "layer_statistics"]  # in the tab that is not on show
    lab._drawn_step, lab._due = -1, ["loss"]
    written.clear()
    lab.session.pause()
    settle(lab, lambda: lab.session.state == "paused")
    assert lab._due == []
    assert set(written) == set(lab._plots) - {"layer_statistics"}


def test_nothing_is_sent_when_nothing_is_new(lab, monkeypatch):
    settle(lab, lambda: True)
    monkeypatch.setattr(lab, "show", lambda **how: pytest.fail("the page was refreshed for nothing"))
    lab.refresh()


def test_a_press_on_a_layer_of_the_map_selects_it_and_looks_inside(lab):
    lab.map.pressed = {"layer": 1, "count": 1}
    assert lab.session.selection.resolve(lab.session.run)[0] == 1
    assert crumbs(lab)["layer"]["at"] == 1
    assert lab.shell.tab == "layer_statistics"
    assert lab.shell.titles["heads"] == "Heads of layer 1"
    assert lab.map.selected == 1


def test_the_breadcrumb_chooses_head_and_character_and_escape_lets_go(lab):
    lab.breadcrumb._handle_msg({"choose": {"part": "head", "value": 3}})
    lab.breadcrumb._handle_msg({"choose": {"part": "position", "value": 5}})
    assert lab.session.selection.resolve(lab.session.run)[1:] == (3, 5)
    assert lab.breadcrumb.trail["pinned"]
    lab.shell._handle_msg({"key": "escape"})
    assert not lab.breadcrumb.trail["pinned"]
    assert lab.breadcrumb.trail["note"] == "Following the liveliest head"


def test_the_selection_survives_a_new_run_and_is_clamped(lab):
    lab.breadcrumb._handle_msg({"choose": {"part": "layer", "value": 1}})
    first = lab.session.run
    lab.session.change(num_layers=3)
    settle(lab, lambda: lab.session.run is not first)
    assert crumbs(lab)["layer"]["at"] == 1
    assert crumbs(lab)["layer"]["options"] == [(0, "0"), (1, "1"), (2, "2")]
    assert lab.map.svg.count("data-layer=") == 3


def test_the_theme_reaches_the_plots_the_map_and_the_probe_text(lab):
    lab.shell._handle_msg({"page": "training"})
    plots = [*lab._plots.values(), lab._page._cards[0].content]
    figures = [plot.figure for plot in plots]
    for theme in (DARK, DARK, LIGHT):
        lab.shell._handle_msg({"theme": theme.name})
        assert [plot.figure for plot in plots] == figures  # nothing is drawn anew, which takes seconds beside training
        assert {figure.xaxis[0].axis_label_text_color for figure in figures} == {theme.muted}
        assert lab.map.dark == theme.dark
        assert theme.text in lab.probe.markup


@pytest.mark.parametrize("message", [
    {"theme": "purple"}, {"tab": "nonsense"}, {"statistic": "nonsense"}, {"key": "q"}, {"servable": 1}, ["key"], "key",
])
def test_a_message_that_makes_no_sense_is_ignored(lab, message):
    lab.shell._handle_msg(message)
    assert lab.shell.tab == "signal"
    assert lab.map.statistic == "gradient"


def test_space_trains_and_pauses(lab):
    lab.shell._handle_msg({"key": "space"})
    assert lab.session.state == "training"
    lab.shell._handle_msg({"key": "space"})
    assert lab.session.state in ("ready", "paused")


def test_arrows_move_the_selection_and_brackets_step_through_time(lab):
    lab.session.step_once()
    settle(lab, lambda: lab.session.run.step == 1)
    lab.session.selection.choose(lab.session.run, layer=0, head=1)
    seen = []
    for key in ("down", "down", "right", "left", "left", "left", "up"):
        lab.shell._handle_msg({"key": key})
        seen.append(lab.session.selection.resolve(lab.session.run)[:2])
    assert seen == [(1, 1), (1, 1), (1, 2), (1, 1), (1, 0), (1, 0), (0, 0)]
    assert lab.map.selected == 0
    steps = []
    for key in ("[", "[", "]"):
        lab.shell._handle_msg({"key": key})
        steps.append(lab.session.selection.step)
    assert steps == [0, 0, None]
    assert not lab.time.place["past"]


def test_a_single_step_is_looked_into_and_sweeps_the_map(lab):
    assert lab.map.swept == {}
    lab.session.step_once()
    settle(lab, lambda: lab.map.swept)
    residual = lab.session.run.recorder.group("residual")
    assert list(residual["step"].values) == [0, 1]
    assert lab.map.swept["count"] == 1
    assert float(lab.map.swept["down"]["residual.0"][2]) == pytest.approx(float(residual["rms"][1, 0]), rel=0.01)
    assert float(lab.map.swept["up"]["residual.4"][2]) == pytest.approx(float(residual["gradient_rms"][1, 4]), rel=0.01)
    lab.session.train()
    settle(lab, lambda: lab.session.run.step > 5)
    assert lab.map.swept["count"] == 1


def test_a_phone_gets_a_map_of_rows(lab):
    lab.shell._handle_msg({"narrow": True})
    assert lab.map.compact


def test_a_run_that_breaks_says_where_and_the_page_keeps_working(fleet):
    wild = with_knobs(TINY, {"training.learning_rate": 1000.0, "training.grad_clip": None, "architecture.norm_type": "None",
                             "training.warmup_steps": 0})
    lab = Lab(wild, fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    lab.run_bar.on_action("train")
    settle(lab, lambda: lab.session.state == "stopped")
    assert lab.run_bar.status["state"] == "stopped"
    assert lab.changes.sentences[0]["kind"] == "warning"
    assert lab.changes.sentences[0]["text"] == lab.session.run.divergence.message
    lab.breadcrumb._handle_msg({"choose": {"part": "head", "value": 1}})
    first = lab.session.run
    lab.session.change(learning_rate=0.001)
    settle(lab, lambda: lab.session.run is not first)
    assert lab.session.state == "ready"
    lab.close()


def test_closing_the_page_frees_its_run(lab):
    run = weakref.ref(lab.session.run)
    lab.close()
    deadline = time.monotonic() + 5
    while run() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
    assert run() is None


def test_the_part_that_broke_is_found_from_its_site():
    assert broken_part("blocks.3.post_norm2") == "blocks.3.mlp"
    assert broken_part("blocks.1.q.gradient") == "blocks.1.attention"
    assert broken_part("logits") == "logits"


def test_a_page_is_drawn_when_it_is_opened_and_follows_the_run(lab):
    lab.shell.on_page("training")
    board = lab._page
    plot = board._cards[0].content
    assert board.places[0]["title"] == "Loss"
    lab.session.step_once()
    settle(lab, lambda: lab.run_bar.status["step"] == 1)
    assert len(plot.columns["train"]["step"]) == 1
    drawn = lab._drawn_step
    lab.shell.on_page("")
    assert lab._page is None
    assert board._cards[0].content is None
    assert lab._drawn_step > drawn


def test_only_pages_that_exist_can_be_opened(lab):
    lab.shell.on_page("nonsense")
    assert lab._page is None
