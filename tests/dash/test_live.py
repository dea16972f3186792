"""A live plot is drawn once; afterwards only what has changed is written into its sources."""

from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.core.property.vectorization import Field
from bokeh.document import Document
from bokeh.document.events import ColumnDataChangedEvent
from bokeh.events import Tap
from bokeh.models import HoverTool

from tests.dash.fakes import add_record, fake_run
from tlab_dash import views
from tlab_dash.live import LivePlot
from tlab_dash.selection import Selection
from tlab_dash.theme import DARK, LIGHT

VIEWS = [view for _, view in views.VIEWS.items()]
each_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


@pytest.fixture
def session():
    run = fake_run(layers=3, heads=4, positions=16, records=3)
    return SimpleNamespace(run=run, ghost=None, selection=Selection())


def train(session, record=3):
    add_record(session.run, np.random.default_rng(record), record)


def assert_shows_columns(plot):
    """Every source holds what HoloViews itself would draw from the present columns."""
    fresh = LivePlot(plot.view, plot.session)
    for part, source in plot.sources.items():
        expected = fresh.sources[part].data
        assert set(source.data) == set(expected)
        for name, column in source.data.items():
            mine, theirs = np.array(column), np.array(expected[name])
            if mine.dtype.kind == "f":
                np.testing.assert_allclose(mine, theirs, atol=1e-12, err_msg=f"{part}.{name}")
            else:
                np.testing.assert_array_equal(mine, theirs, err_msg=f"{part}.{name}")
    for axis in ("x_range", "y_range"):
        mine, theirs = getattr(plot.figure, axis), getattr(fresh.figure, axis)
        assert (mine.start, mine.end) == (theirs.start, theirs.end)


@each_view
def test_refresh_writes_the_new_columns_into_the_drawn_figure(view, session):
    plot = LivePlot(view, session)
    figure, models = plot.figure, {model.id for model in plot.figure.references()}
    for record in (3, 4):
        train(session, record)
        plot.refresh()
        assert plot.figure is plot.pane.object is figure
        assert {model.id for model in figure.references()} == models
        assert_shows_columns(plot)


@each_view
def test_another_choice_is_shown_in_the_drawn_figure(view, session):
    plot = LivePlot(view, session)
    figure = plot.figure
    session.selection.choose(session.run, layer=0, head=3, position=5)
    plot.refresh()
    assert plot.figure is figure
    assert_shows_columns(plot)


@each_view
def test_a_ghost_comes_and_goes_without_drawing_anew(view, session):
    plot = LivePlot(view, session)
    figure = plot.figure
    for ghost in (fake_run(layers=3, heads=4, positions=16, records=4, seed=7), None):
        session.ghost = ghost
        plot.refresh()
        assert plot.figure is figure
        assert_shows_columns(plot)
        entries = [item.label.value for legend in figure.legend for item in legend.items if item.visible]
        recorded = not view.needs and view is not views.own_statistic  # of which this run has none
        if recorded and any(item.label.value == "ghost" for legend in figure.legend for item in legend.items):
            assert ("ghost" in entries) == (ghost is not None)


@each_view
def test_a_run_of_another_shape_is_drawn_into_the_same_pane(view, session):
    plot = LivePlot(view, session)
    pane = plot.pane
    session.run = fake_run(layers=5, heads=9, positions=24, records=2, residual_type="Sandwich", text="other text ")
    plot.refresh()
    assert plot.pane is pane
    assert pane.object is plot.figure
    assert_shows_columns(plot)
    train(session, 2)
    plot.refresh()
    assert_shows_columns(plot)


def test_the_first_step_of_a_run_appears_in_the_drawn_figure(session):
    session.run = fake_run(records=1)
    plot = LivePlot(views.loss, session)
    figure = plot.figure
    legend = {item.label.value: item for item in figure.legend[0].items}
    assert [name for name, item in legend.items() if item.visible] == ["unseen text"]
    train(session, 1)
    plot.refresh()
    assert plot.figure is figure
    assert list(plot.sources["train"].data["step"]) == [1, 2, 3, 4, 5]
    assert [name for name, item in legend.items() if item.visible] == ["unseen text", "average", "each step"]


def sent(plot, act):
    """Return which columns of which parts go to the browser while `act` runs."""
    document, events = Document(), []
    document.add_root(plot.figure)
    document.on_change(events.append)
    act()
    parts = {source.id: part for part, source in plot.sources.items()}
    return {parts[event.model.id]: set(event.cols) for event in events if isinstance(event, ColumnDataChangedEvent)}


def test_only_what_changed_is_sent(session):
    plot = LivePlot(views.attention, session)
    layer, head, _ = session.selection.resolve(session.run)
    session.selection.choose(session.run, layer=layer, head=head)
    plot.refresh()
    session.selection.position = 3
    assert set(sent(plot, plot.refresh)) == {"row"}


def test_the_places_of_a_picture_are_not_sent_again_with_its_numbers(session):
    plot = LivePlot(views.attention, session)
    train(session)
    assert sent(plot, plot.refresh)["map"] == {"image"}


@each_view
def test_a_figure_has_no_tool_that_nobody_sees_and_no_glyph_that_nothing_shows(view, session):
    figure = LivePlot(view, session).figure
    assert {type(tool) for tool in figure.toolbar.tools} <= {HoverTool}
    for renderer in figure.renderers:
        assert renderer.glyph is not None
        assert renderer.selection_glyph is renderer.nonselection_glyph is renderer.muted_glyph is None


# Attention's picture -------------------------------------------------------------------------------------------------


def test_query_0_is_at_the_top_and_each_pixel_at_its_query_and_key(session):
    session.selection.choose(session.run, layer=1, head=3)
    plot = LivePlot(views.attention, session)
    train(session)
    plot.refresh()
    data, weight = plot.sources["map"].data, session.run.recorder.group("attention")["weight"].values[-1][1, 3]
    image = data["image"][0]
    # Bokeh draws row 0 of an image at y, the smallest coordinate, and the axis runs downwards.
    assert (data["x"][0], data["y"][0], data["dw"][0], data["dh"][0]) == (-0.5, -0.5, 16, 16)
    assert plot.figure.y_range.start == 15.5
    assert plot.figure.y_range.end == -0.5
    assert image[7, 6] == weight[7, 6] > 0.5
    assert np.isnan(image[6, 7])


def test_attention_is_one_blue_from_0_to_1(session):
    plot = LivePlot(views.attention, session)
    mapper = plot.figure.renderers[0].glyph.color_mapper
    assert (mapper.low, mapper.high) == (0, 1)
    assert {colour[:7] for colour in mapper.palette} == {LIGHT.attention}
    assert mapper.palette[0].endswith("00")
    assert mapper.palette[-1].endswith("FF")


def test_hover_names_query_key_and_weight(session):
    plot = LivePlot(views.attention, session)
    hover = next(tool for tool in plot.figure.toolbar.tools if type(tool).__name__ == "HoverTool")
    assert [label for label, _ in hover.tooltips] == ["character", "reads", "weight"]
    assert hover.formatters["$y"].args["names"][:4] == ["O", "n", "e", "␣"]
    assert "special_vars.y" in hover.formatters["$y"].code
    assert "special_vars.x" in hover.formatters["$x"].code


# Taps ----------------------------------------------------------------------------------------------------------------


def test_a_tap_chooses_and_tells(session):
    plot, heard = LivePlot(views.heads, session), []
    plot.on_tap(lambda picked: heard.append((picked, session.selection.head, session.selection.pinned)))
    plot.figure._trigger_event(Tap(plot.figure, x=0.4, y=1.3))
    assert heard == [({"head": 2}, 2, True)]


def test_a_tap_beside_everything_changes_nothing(session):
    plot, heard = LivePlot(views.heads, session), []
    plot.on_tap(heard.append)
    plot.figure._trigger_event(Tap(plot.figure, x=5.0, y=1.3))
    assert not heard
    assert not session.selection.pinned


def test_taps_still_work_after_drawing_anew(session):
    plot, heard = LivePlot(views.attention, session), []
    plot.on_tap(heard.append)
    plot.dress(DARK)
    plot.figure._trigger_event(Tap(plot.figure, x=2.0, y=9.2))
    assert heard == [{"position": 9}]
    assert session.selection.position == 9


# Themes --------------------------------------------------------------------------------------------------------------


def test_another_theme_changes_the_colours_of_the_figure_that_is_there(session):
    plot = LivePlot(views.signal, session)
    figure = plot.figure
    plot.dress(DARK)
    colours = {getattr(renderer.glyph, "line_color", None) for renderer in plot.figure.renderers}
    assert DARK.residual in colours
    assert LIGHT.residual not in colours
    train(session)
    plot.refresh()
    assert plot.theme is DARK
    assert plot.figure is figure


def test_the_card_shows_through(session):
    figure = LivePlot(views.loss, session).figure
    assert figure.background_fill_alpha == figure.border_fill_alpha == 0
    assert figure.toolbar_location is None


@pytest.mark.parametrize("name", ["loss", "layer_statistics"])
def test_a_legends_samples_have_colours_and_are_shown_where_there_is_something(name, session):
    plot = LivePlot(views.VIEWS.get(name), session)
    items = {item.label.value: item for legend in plot.figure.legend for item in legend.items}
    assert not items["ghost"].visible
    for item in items.values():
        for sample in item.renderers:
            assert sample in plot.figure.renderers
            for colour in (getattr(sample.glyph, part) for part in sample.glyph.dataspecs() if part.endswith("_color")):
                if isinstance(colour, Field):  # a browser that gets what is no colour stops there
                    assert all(isinstance(each, str) for each in sample.data_source.data[colour.field])
    session.ghost = session.run
    plot.refresh()
    assert items["ghost"].visible


def test_a_browser_has_nothing_to_tell_back_of_what_it_was_told(session):
    figure = LivePlot(views.loss, session).figure
    assert [model for model in figure.references() - {figure} if model.syncable] == []
