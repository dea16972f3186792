"""The neuron page: its plots and cards against the measure that they show."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.fake_analyses import MAKERS, analyse
from tests.dash.fakes import fake_run
from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.run import LiveRun
from tlab_dash import views
from tlab_dash.live import LivePlot
from tlab_dash.neuron_cards import SHADES, Excites, Writes, shade
from tlab_dash.selection import Selection
from tlab_dash.trail import PARTS
from tlab_dash.views.measured import MEASURING
from tlab_dash.views.units import neuron_needs


@pytest.fixture
def session():
    run = fake_run(layers=3, heads=2, positions=12, records=3)
    selection = Selection()
    selection.choose(run, layer=1, position=5)
    return SimpleNamespace(run=run, ghost=None, selection=selection, experiment=run.experiment)


def measure(session, run=None):
    run = run or session.run
    for name, options in neuron_needs(run, session.selection).items():
        analyse(run, name, **options)


def shown(view, session):
    return view.columns(session.run, session.selection, session.ghost)


# What has to be measured ---------------------------------------------------------------------------------------------


def test_the_chosen_layer_unit_and_character_are_measured(session):
    assert neuron_needs(session.run, session.selection) == {"neuron": {"layer": 1, "unit": None, "position": 5}}
    session.selection.choose(session.run, unit=7)
    assert neuron_needs(session.run, session.selection)["neuron"]["unit"] == 7


def test_a_unit_that_a_run_lacks_gives_way_to_the_one_that_varies_most(session):
    session.selection.choose(session.run, unit=60)
    small = fake_run(layers=1, heads=1, positions=4, records=1)
    assert small.experiment.architecture.resolved_ff_dim < 60
    assert neuron_needs(small, session.selection) == {"neuron": {"layer": 0, "unit": None, "position": 3}}
    assert PARTS["unit"].at(small, session.selection) == ""
    assert PARTS["unit"].at(session.run, session.selection) == 60


def test_a_real_run_can_take_it():
    run = LiveRun(Experiment(
        architecture=Architecture(num_layers=1, hidden_dim=16, num_heads=2),
        training=Training(batch_size=2, seq_len=16, executor="serial", shards=1), corpus="stories"))
    found = run.analyse("neuron", **neuron_needs(run, Selection())["neuron"])
    columns = views.units.columns(run, Selection())
    np.testing.assert_array_equal(columns["stems"]["size"], np.sort(found["unit_std"].values)[::-1])
    assert columns["stems"]["unit"][0] == found.attrs["unit"]
    for view in (views.units, views.unit_histogram):
        assert view.note(view.columns(run, Selection())).startswith(("Unit", "Above", "Over"))


# The units of a layer ------------------------------------------------------------------------------------------------


def test_until_it_is_measured_the_parts_are_empty_and_the_note_says_so(session):
    for view in (views.units, views.unit_histogram):
        columns = shown(view, session)
        assert all(not len(column) for part in view.drawn(columns) for column in columns[part].values())
        assert view.note(columns) == MEASURING


def test_units_are_sorted_by_how_much_they_vary(session):
    measure(session)
    found, columns = session.run.analyses["neuron"], shown(views.units, session)
    sizes = found["unit_std"].values
    np.testing.assert_array_equal(columns["stems"]["size"], np.sort(sizes)[::-1])
    np.testing.assert_array_equal(sizes[columns["stems"]["unit"]], columns["stems"]["size"])
    assert columns["chosen"]["rank"].tolist() == [0]
    assert columns["name"]["name"].tolist() == [f"   unit {len(sizes) - 2}"]


def test_units_are_sorted_by_activation_at_the_chosen_character(session):
    session.selection.choose(session.run, unit=4)
    session.selection.choose(session.run, order="character")
    measure(session)
    columns = shown(views.units, session)
    sizes = session.run.analyses["neuron"]["unit_at_position"].values
    np.testing.assert_array_equal(columns["stems"]["size"], np.sort(sizes)[::-1])
    rank = int(np.flatnonzero(np.argsort(-sizes, kind="stable") == 4)[0])
    assert columns["chosen"]["rank"].tolist() == [rank]
    assert f"the chosen one is number {rank + 1}" in views.units.note(columns)
    assert f"the most active at “{session.run.probe_tokens[5]}”" in views.units.note(columns)
    assert views.units.limits(columns)[1][0] < sizes.min()


def test_a_tap_chooses_the_unit_under_it(session):
    measure(session)
    columns = shown(views.units, session)
    assert views.units.pick(columns, 2.4, 0.0) == {"unit": int(columns["stems"]["unit"][2])}
    assert views.units.pick(columns, -3.0, 0.0) is None
    assert views.units.pick(columns, 1e6, 0.0) is None
    session.run.analyses = {}
    assert views.units.pick(shown(views.units, session), 2.0, 0.0) is None


def test_units_that_broke_come_last(session, monkeypatch):
    made = MAKERS["neuron"]

    def broken(run, **options):
        found = made(run, **options)
        found["unit_std"].values[::2] = np.nan
        return found

    monkeypatch.setitem(MAKERS, "neuron", broken)
    measure(session)
    columns = shown(views.units, session)
    half = len(columns["stems"]["size"]) // 2
    assert np.isfinite(columns["stems"]["size"][:half]).all()
    assert np.isnan(columns["stems"]["size"][half:]).all()
    assert np.isfinite(views.units.limits(columns)).all()


def test_the_ghosts_units_have_their_own_order(session):
    session.ghost = fake_run(layers=2, heads=1, positions=12, records=3)
    measure(session)
    measure(session, session.ghost)
    columns = shown(views.units, session)
    sizes = session.ghost.analyses["neuron"]["unit_std"].values
    np.testing.assert_array_equal(columns["ghost"]["size"], np.sort(sizes)[::-1])


# The histogram -------------------------------------------------------------------------------------------------------


def test_bars_are_the_bins_with_characters_and_the_mark_is_the_chosen_one(session):
    measure(session)
    columns = shown(views.unit_histogram, session)
    assert columns["bars"]["left"].tolist() == [-1, 1, 2]
    assert columns["bars"]["top"].tolist() == [3, 40, 7]
    assert columns["mark"]["activation"].tolist() == [2.0]
    assert columns["mark_name"]["name"].tolist()[0].endswith(" 2.00")
    note = views.unit_histogram.note(columns).replace("\N{NO-BREAK SPACE}", " ")
    assert note == "Above 2.00 at 14 % of 50 characters; its largest is 3.00."


def test_a_unit_that_never_changes_is_called_so(session, monkeypatch):
    made = MAKERS["neuron"]

    def dead(run, **options):
        found = made(run, **options)
        found["unit_std"].values[:] = 0.0
        return found

    monkeypatch.setitem(MAKERS, "neuron", dead)
    measure(session)
    assert "the same at all 50 characters" in views.unit_histogram.note(shown(views.unit_histogram, session))


@pytest.mark.parametrize("view", [views.units, views.unit_histogram], ids=lambda view: view.name)
def test_what_was_measured_is_written_into_the_drawn_figure(view, session):
    plot = LivePlot(view, session)
    figure = plot.figure
    measure(session)
    plot.refresh()
    assert plot.figure is figure
    fresh = LivePlot(view, session)
    for part, source in plot.sources.items():
        assert set(source.data) == set(fresh.sources[part].data)
        assert len({len(column) for column in source.data.values()}) == 1
        for name, column in source.data.items():
            np.testing.assert_array_equal(np.asarray(column), np.asarray(fresh.sources[part].data[name]))


@pytest.mark.parametrize("view", [views.units, views.unit_histogram], ids=lambda view: view.name)
def test_whoever_looks_back_is_told_of_which_step_the_measure_is(view, session):
    measure(session)
    session.selection.step = 5
    assert view.note(shown(view, session)).startswith("Measured at step 10; past steps were not kept.")
    session.selection.step = 10
    assert "past steps" not in view.note(shown(view, session))


# The cards -----------------------------------------------------------------------------------------------------------


def test_the_texts_are_coloured_by_the_unit(session):
    measure(session)
    card = Excites(session).shown
    found = session.run.analyses["neuron"]
    largest = max(np.abs(found["probe_activation"]).max(), np.abs(found["passage_activation"]).max()).item()
    assert card["probe"]["shades"] == [shade(value, largest) for value in found["probe_activation"].values]
    assert max(card["probe"]["shades"]) == SHADES
    assert min(card["probe"]["shades"]) < 0
    assert card["at"] == 5
    assert "".join(card["passages"][0]["characters"]) == "<b>&amp;⏎␣"  # as it came: the page puts it there as text
    assert card["passages"][0]["peak"] == 4
    assert card["passages"][0]["largest"] == "3.00"


def test_the_lists_are_what_the_unit_adds_to_scores(session):
    measure(session)
    card = Writes(session).shown
    assert [(row["name"], row["change"], row["share"]) for row in card["raised"]] == [
        ("“a”", "+0.50", 0.5), ("“b”", "+0.25", 0.25), ("“<”", "+0.10", 0.1)]
    assert [row["name"] for row in card["lowered"]] == ["a space", "a new line", "“z”"]
    assert card["lowered"][0] == {"name": "a space", "change": "−1.00", "share": 1.0}


@pytest.mark.parametrize("card", [Excites, Writes])
def test_a_card_says_that_it_is_waiting(card, session):
    assert card(session).shown == {"remark": MEASURING}


def test_a_click_on_the_text_chooses_a_character(session):
    card = Excites(session)
    session.touch = lambda: None
    card._handle_msg({"position": 3})
    assert session.selection.position == 3
    for wrong in (-1, "4", None, True, 2.5):
        card._handle_msg({"position": wrong})
    assert session.selection.position == 3


def test_numbers_that_broke_have_no_colour():
    assert [shade(value, 2.0) for value in (np.nan, np.inf, -np.inf)] == [0, 0, 0]
