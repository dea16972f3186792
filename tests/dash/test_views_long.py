"""The page of long texts: its plots and sentences against the measure that they show."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.dash.fake_analyses import MAKERS, TRAINED, analyse
from tests.dash.fakes import fake_run
from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.run import LiveRun
from tlab_dash import views
from tlab_dash.live import LivePlot
from tlab_dash.selection import Selection
from tlab_dash.views.long_loss import FACTOR, long_needs
from tlab_dash.views.measured import MEASURING

SCORES = {"qk_mean": views.long_qk_mean, "qk_std": views.long_qk_std, "qk_max": views.long_qk_max}
LONG = [views.long_loss, *SCORES.values()]
each_long = pytest.mark.parametrize("view", LONG, ids=lambda view: view.name)


@pytest.fixture
def session():
    run = fake_run(layers=3, heads=2, positions=12, records=3)
    selection = Selection()
    selection.choose(run, layer=1)
    return SimpleNamespace(run=run, ghost=None, selection=selection)


def measure(run, **made):
    """Measure `run`; `made` is how it is to come out."""
    maker = MAKERS["long_context"]
    try:
        MAKERS["long_context"] = lambda run, **options: maker(run, **options, **made)
        for name, options in long_needs(run, Selection()).items():
            return analyse(run, name, **options)
    finally:
        MAKERS["long_context"] = maker


def shown(view, session):
    return view.columns(session.run, session.selection, session.ghost)


@each_long
def test_until_it_is_measured_the_parts_are_empty(view, session):
    columns = shown(view, session)
    assert all(not len(column) for part in view.drawn(columns) for column in columns[part].values())
    assert view.note(columns) == MEASURING
    assert np.isfinite(view.limits(columns)).all()


@each_long
def test_what_was_measured_is_written_into_the_drawn_figure(view, session):
    session.ghost = fake_run(layers=2, heads=1, positions=12, records=2)
    plot = LivePlot(view, session)
    figure = plot.figure
    measure(session.run)
    measure(session.ghost, beyond=3.0)
    plot.refresh()
    assert plot.figure is figure
    fresh = LivePlot(view, session)
    for part, source in plot.sources.items():
        assert set(source.data) == set(fresh.sources[part].data)
        assert len({len(column) for column in source.data.values()}) == 1, part
        for name, column in source.data.items():
            np.testing.assert_array_equal(np.asarray(column), np.asarray(fresh.sources[part].data[name]))


def test_the_bars_say_what_they_are(session):
    measure(session.run)
    (legend,) = LivePlot(views.long_loss, session).figure.legend
    assert "± one standard error" in [item.label.value for item in legend.items if item.visible]


def test_the_loss_is_by_position_with_its_error(session):
    found = measure(session.run)
    columns = shown(views.long_loss, session)
    np.testing.assert_array_equal(columns["now"]["position"], found["position"])
    np.testing.assert_array_equal(columns["now"]["loss"], found["loss"])
    np.testing.assert_allclose(columns["errors"]["top"] - columns["errors"]["loss"], 0.02)
    assert columns["trained"]["position"].tolist() == [TRAINED - 0.5]
    assert columns["trained_name"]["words"].tolist() == [f" trained on {TRAINED}"]
    assert not len(columns["ghost"]["loss"])


@pytest.mark.parametrize(("beyond", "said"), [
    (2.1, "Past 16 characters the loss is 0.90 higher (2.10 against 1.20 at 8 to 16)."),
    (3.4, "Past 16 characters the loss is 2.2 higher (3.40 against 1.20 at 8 to 16)."),
    (1.1, "Past 16 characters the loss is 0.10 lower (1.10 against 1.20 at 8 to 16)."),
    (1.24, "Past 16 characters the loss is 1.24, and 1.20 at 8 to 16: too close to call."),
    (np.nan, "Past 16 characters the loss is no longer a finite number."),
])
def test_the_note_compares_with_the_second_half_of_what_was_trained(session, beyond, said):
    measure(session.run, beyond=beyond)
    assert views.long_loss.note(shown(views.long_loss, session)) == said


def test_a_gap_within_two_standard_errors_is_too_close_to_call(session):
    found = measure(session.run, beyond=1.3)
    found["loss_error"].values[:] = 0.05  # of both sides: 0.07 of the difference
    assert "too close to call" in views.long_loss.note(shown(views.long_loss, session))
    found["loss_error"].values[:] = 0.03
    assert "0.10 higher" in views.long_loss.note(shown(views.long_loss, session))


def test_the_note_says_why_a_text_ends_early(session):
    measure(session.run, limit="The table of learned positions ends at 64 characters.")
    assert views.long_loss.note(shown(views.long_loss, session)).endswith("ends at 64 characters.")


@pytest.mark.parametrize("variable", SCORES)
def test_each_layer_is_a_line_and_the_chosen_one_bold(session, variable):
    found, view = measure(session.run), SCORES[variable]
    columns = shown(view, session)
    lines, scores, position = columns["lines"], found[variable].values, found["position"].values
    for layer in range(3):
        mine = lines["layer"] == layer
        np.testing.assert_array_equal(lines["score"][mine], scores[layer, :-1])
        np.testing.assert_array_equal(lines["top"][mine], scores[layer, 1:])
        np.testing.assert_array_equal(lines["end"][mine], position[1:])
    np.testing.assert_array_equal(columns["chosen"]["score"], scores[1])
    assert columns["names"]["name"].tolist()[0] == " layer 1"
    assert sorted(columns["names"]["name"].tolist()) == [" 0", " 2", " layer 1"]


def test_a_tap_chooses_the_nearest_line(session):
    found = measure(session.run)
    columns = shown(views.long_qk_std, session)
    at = float(found["position"].values[5])
    assert views.long_qk_std.pick(columns, at + 2, float(found["qk_std"].values[2, 5])) == {"layer": 2}
    assert views.long_qk_std.pick(columns, -5.0, 1.0) is None


def test_the_ghosts_layer_is_shown_where_it_has_one(session):
    session.ghost = fake_run(layers=1, heads=1, positions=12, records=2)
    measure(session.run)
    measure(session.ghost)
    assert not len(shown(views.long_qk_std, session)["ghost"]["score"])
    session.selection.choose(session.run, layer=0)
    assert len(shown(views.long_qk_std, session)["ghost"]["score"])


def test_numbers_that_broke_leave_finite_axes(session):
    found = measure(session.run)
    for name in ("loss", "qk_mean", "qk_std", "qk_max"):
        found[name].values[...] = np.nan
    for view in LONG:
        columns = shown(view, session)
        assert np.isfinite(view.limits(columns)).all()
        assert "finite" in view.note(columns)


@pytest.mark.parametrize("encoding", ["RoPE", "Learned"])
def test_a_real_run_can_take_it(encoding):
    run = LiveRun(Experiment(
        architecture=Architecture(num_layers=2, hidden_dim=16, num_heads=2, pos_encoding_type=encoding, max_seq_len=40),
        training=Training(batch_size=2, seq_len=16, executor="serial", shards=1), corpus="stories"))
    run.analyse("long_context", factor=FACTOR)
    columns = views.long_loss.columns(run, Selection())
    note = views.long_loss.note(columns)
    assert note.startswith("Past 16 characters")
    assert note.endswith("learned positions ends at 40 characters.") == (encoding == "Learned")
    assert columns["now"]["position"][-1] > (16 if encoding == "Learned" else 100)
