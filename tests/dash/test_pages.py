"""The pages beside the bench: each can be opened, shows all its cards, and follows what is chosen."""

import time

import pytest

from tlab_core.experiment import default_experiment
from tlab_dash import Lab
from tlab_dash.fleet import Fleet
from tlab_dash.knob_names import with_knobs
from tlab_dash.lab import PLOTS

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
