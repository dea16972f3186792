"""The pages beside the bench: each can be opened, shows all its cards, and follows what is chosen."""

import time
from collections import deque
from types import SimpleNamespace

import pytest

from tlab_core.experiment import default_experiment
from tlab_dash import Lab
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import with_knobs
from tlab_dash.lab import PLOTS
from tlab_dash.live import LivePlot

TINY = with_knobs(default_experiment(), {
    "architecture.hidden_dim": 32, "architecture.num_layers": 2, "architecture.ff_dim": 64, "training.batch_size": 2,
    "training.seq_len": 16,
})


@pytest.fixture(scope="module")
def lab():
    fleet = Fleet(workers=1)
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    lab.session.step_once()
    settle(lab, lambda: lab.session.run.step == 1)
    yield lab
    lab.close()
    fleet.close()


def settle(lab, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        lab.refresh()
        if condition():
            return
        assert time.monotonic() < deadline, "never came to be"
        time.sleep(0.02)


@pytest.mark.parametrize(("name", "titles"), [
    ("training", ["Loss", "Learning rate", "Gradient length", "Update beside weights", "Speed"]),
    ("signal", ["Signal at every place", "Inside layer 1", "How the numbers are spread", "Units switched off"]),
    ("gradients", ["Gradient on the stream", "Gradient at every place", "Gradient at one place",
                   "Last layer beside first"]),
    ("weights", ["All weights", "One matrix through time", "How one matrix's numbers are spread",
                 "In how many directions it works"]),
])
def test_a_page_shows_its_cards(lab, name, titles):
    lab.session.selection.choose(lab.session.run, layer=1)
    lab.shell.on_page(name)
    assert [place["title"] for place in lab._page.places] == titles
    assert all(card.content.figure is not None for card in lab._page._cards)
    columns = sum(place["columns"] * place["rows"] for place in lab._page.places)
    assert columns == 12 * lab._page.rows  # no gap, nothing below the screen


@pytest.fixture
def event_loop(lab, monkeypatch):
    """The steps that a server would take after what was pressed meanwhile, and the views that LivePlots were drawn of."""
    lab.shell.on_page("")
    steps, drawn = deque(), []
    monkeypatch.setattr("tlab_dash.lab.soon", steps.append)
    monkeypatch.setattr("tlab_dash.pages.page.soon", steps.append)
    monkeypatch.setattr("tlab_dash.pages.page.LivePlot",
                        lambda view, *rest: drawn.append(view.name) or LivePlot(view, *rest))
    return SimpleNamespace(steps=steps, drawn=drawn)


def test_of_pages_asked_for_in_a_row_only_the_last_is_drawn(lab, event_loop):
    for name in ("training", "signal", "", "gradients"):
        lab.shell.on_page(name)
    lab.refresh()
    while event_loop.steps:
        event_loop.steps.popleft()()
    assert lab._page.page.name == "gradients"
    assert event_loop.drawn == ["gradient_flow", "gradient_places", "gradient_sites", "gradient_ratio"]


def test_a_page_that_is_left_while_it_is_drawn_is_not_drawn_any_further(lab, event_loop):
    lab.shell.on_page("training")
    for _ in range(3):  # the page, and two of its cards
        event_loop.steps.popleft()()
    board = lab._page
    lab.shell.on_page("gradients")
    assert all(card.content is None for card in board._cards)
    while event_loop.steps:
        lab.session.selection.choose(lab.session.run, layer=0)  # which shows everything anew
        event_loop.steps.popleft()()
    assert event_loop.drawn == [
        "loss", "learning_rate", "gradient_flow", "gradient_places", "gradient_sites", "gradient_ratio"]


def test_the_bench_is_drawn_whole_after_a_page_was_looked_at_meanwhile(event_loop):
    fleet = Fleet(workers=1)
    lab = Lab(TINY, fleet=fleet)
    settle(lab, lambda: lab.session.run is not None)
    event_loop.steps.popleft()()
    lab.shell.on_page("code")
    while event_loop.steps:
        event_loop.steps.popleft()()
    assert 0 < len(lab._plots) < len(PLOTS)
    lab.shell.on_page("")
    while event_loop.steps:
        event_loop.steps.popleft()()
        lab.refresh()
    assert set(lab._plots) == set(PLOTS)
    lab.close()
    fleet.close()


def test_a_measure_that_is_chosen_is_shown_at_once(lab):
    lab.shell.on_page("signal")
    board = lab._page
    board._breadcrumb._handle_msg({"choose": {"part": "measure", "value": "max"}})
    assert board._cards[0].content.columns["measure"]["words"].tolist() == ["largest magnitude"]
    board._breadcrumb._handle_msg({"choose": {"part": "site", "value": "mlp"}})
    assert board._cards[2].content.columns["place"]["words"].tolist() == ["feed-forward"]
    board._breadcrumb._handle_msg({"choose": {"part": "measure", "value": "median"}})  # which is not offered
    assert lab.session.selection.measure == "max"


def test_the_chosen_matrix_is_measured_while_the_page_is_open(lab):
    lab.shell.on_page("weights")
    board = lab._page
    spread = board._cards[2].content
    board._breadcrumb._handle_msg({"choose": {"part": "matrix", "value": "mlp.down.weight"}})
    board._breadcrumb._handle_msg({"choose": {"part": "layer", "value": 0}})
    settle(lab, lambda: len(spread.columns["bars"]["top"]))
    settle(lab, lambda: board._cards[2].note().startswith("Layer 0's feed-forward down: RMS "))
    spread_of_map = board._cards[0].content
    spread_of_map.tap(1.0, spread_of_map.columns["kinds"]["name"].tolist().index("attention.out.weight"))
    settle(lab, lambda: board._cards[2].note().startswith("Layer 1's attention out: RMS "))


def test_a_logarithmic_loss_is_so_on_the_bench_too(lab):
    lab.shell.on_page("training")
    lab._page._breadcrumb._handle_msg({"choose": {"part": "scale", "value": "log"}})
    assert type(lab._page._cards[0].content.figure.y_scale).__name__ == "LogScale"
    lab.shell.on_page("")
    for _ in PLOTS:
        lab._draw_next()
    assert type(lab._plots["loss"].figure.y_scale).__name__ == "LogScale"
    lab.session.selection.choose(lab.session.run, scale="even")
    settle(lab, lambda: type(lab._plots["loss"].figure.y_scale).__name__ == "LinearScale")
