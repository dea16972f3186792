"""The weights page: all parameters at a glance, and one of them looked into, against history and analysis."""

from types import SimpleNamespace

import holoviews as hv
import numpy as np
import pytest

from tests.dash.fakes import WEIGHTS, add_record, fake_run
from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.run import LiveRun
from tlab_dash import views
from tlab_dash.live import LivePlot
from tlab_dash.selection import MEASURES, WEIGHT_MEASURES, Selection
from tlab_dash.views import heat
from tlab_dash.views.measured import MEASURING
from tlab_dash.views.wording import MEASURE_WORDS, WEIGHT_MEASURE_WORDS, is_vector, whole_words


@pytest.fixture
def run():
    return fake_run(layers=3, heads=2, positions=8, records=4)


def pinned(**chosen):
    return Selection(pinned=True, **chosen)


def parameters(run, step=-1):
    return run.recorder.group("parameters").isel(step=step)


# All weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", WEIGHT_MEASURES)
def test_each_cell_is_one_parameter_of_one_layer(run, measure):
    columns = views.weight_map.columns(run, pinned(weight_measure=measure))
    recorded = parameters(run)[measure]
    assert columns["kinds"]["name"].tolist() == ["token_embedding.weight", *WEIGHTS]
    for kind, name in enumerate(WEIGHTS, start=1):
        for layer in range(3):
            expected = recorded.sel(parameter=f"blocks.{layer}.{name}")
            assert 10 ** columns["map"][heat.LEVEL][kind, layer] == pytest.approx(float(expected), rel=1e-5)
    # What belongs to no layer is one bar.
    table = float(recorded.sel(parameter="token_embedding.weight"))
    np.testing.assert_allclose(10 ** columns["map"][heat.LEVEL][0], [table] * 3, rtol=1e-5)
    hv.render(views.weight_map(run, pinned(weight_measure=measure)), backend="bokeh")


def test_numbers_stand_in_the_cells_where_there_is_room(run):
    columns = views.weight_map.columns(run, pinned())
    written = [part for part in ("on_dark", "on_bright", "on_card") if len(columns[part]["words"])]
    cells = {(kind, layer): words for part in written for layer, kind, words in zip(*columns[part].values(), strict=True)}
    assert len(cells) == 1 + 4 * 3
    assert cells[0, 1] == f"{float(parameters(run)['weight_rms'][0]):.2g}"
    wide = views.weight_map.columns(fake_run(layers=24, heads=1, positions=4, records=1), pinned())
    assert not any(len(wide[part]["words"]) for part in ("on_dark", "on_bright", "on_card"))


def test_what_has_not_been_measured_or_is_zero_is_said_so():
    fresh = fake_run(layers=1, heads=1, positions=4, records=1)
    assert set(views.weight_map.columns(fresh, pinned(weight_measure="update_ratio"))["on_card"]["words"]) == {"none"}
    assert set(views.weight_map.columns(fresh, pinned(weight_measure="distance"))["on_card"]["words"]) == {"0"}


def test_ink_is_white_on_dark_and_black_on_bright(run):
    run.recorder.append("parameters", 99, {
        name: np.geomspace(1e-3, 1, 13).astype(np.float32) for name in run.recorder.group("parameters").data_vars})
    columns = views.weight_map.columns(run, pinned())
    level = columns["map"][heat.LEVEL]

    def levels(part):
        return level[columns[part]["kind"].astype(int), columns[part]["layer"].astype(int)]

    assert levels("on_dark").max() < levels("on_bright").min()


def test_a_tap_chooses_layer_and_matrix(run):
    columns = views.weight_map.columns(run, pinned(layer=1, matrix="mlp.down.weight"))
    assert [float(edge[0]) for edge in columns["chosen"].values()] == [0.5, 3.5, 1.5, 4.5]
    assert views.weight_map.pick(columns, 2.2, 1.9) == {"matrix": "attention.qkv.weight", "layer": 2}
    assert views.weight_map.pick(columns, 2.2, 0.1) == {"matrix": "token_embedding.weight"}
    assert views.weight_map.pick(columns, 3.2, 0.1) is None
    selection = Selection()
    selection.choose(run, **views.weight_map.pick(columns, 2.2, 1.9))
    assert selection.parameter(run) == "blocks.2.attention.qkv.weight"
    selection.choose(run, matrix="token_embedding.weight")
    chosen = views.weight_map.columns(run, selection)["chosen"]
    assert [float(edge[0]) for edge in chosen.values()] == [-0.5, -0.5, 2.5, 0.5]


def test_an_earlier_step_is_shown_as_it_was(run):
    columns = views.weight_map.columns(run, pinned(step=7))
    np.testing.assert_allclose(10 ** columns["map"][heat.LEVEL][0, 0], parameters(run, 1)["weight_rms"][0], 1e-5)


# One of them through time ----------------------------------------------------------------------------------------------


def test_the_history_of_the_chosen_measure(run):
    selection = pinned(layer=2, matrix="mlp.down.weight", weight_measure="update_ratio")
    columns = views.weight_history.columns(run, selection, fake_run(layers=1, heads=1, positions=4, records=3))
    recorded = run.recorder.group("parameters")["update_ratio"].sel(parameter="blocks.2.mlp.down.weight")
    np.testing.assert_array_equal(columns["size"]["step"], [5, 10, 15])  # at step 0 there was no update
    np.testing.assert_allclose(columns["size"]["size"], recorded[1:])
    assert not len(columns["ghost"]["size"])  # it has no layer 2
    assert views.weight_history.note(columns) == f"Layer 2's feed-forward down: {float(recorded[-1]):.2g}."
    bottom, top = views.weight_history.limits(columns)[1]
    assert 0 < bottom < top
    assert views.weight_history.limits(views.weight_history.columns(run, pinned()))[1][0] == 0


def test_before_training_the_history_is_one_dot_and_the_note_says_what_comes():
    run, start = fake_run(layers=3, heads=2, positions=8, records=1), pinned(layer=2, matrix="mlp.down.weight")
    columns = views.weight_history.columns(run, start)
    size = float(run.recorder.group("parameters")["weight_rms"].sel(parameter="blocks.2.mlp.down.weight")[0])
    assert (columns["dot"]["step"].tolist(), columns["dot"]["size"].tolist()) == ([0], [pytest.approx(size)])
    note = f"Layer 2's feed-forward down: {size:.2g} so far. Training adds to it."
    assert views.weight_history.note(columns) == note
    updates = views.weight_history.columns(run, pinned(layer=2, matrix="mlp.down.weight", weight_measure="update_ratio"))
    assert views.weight_history.note(updates) == "Layer 2's feed-forward down: measured from the first update on."
    add_record(run, np.random.default_rng(0), 1)
    assert not len(views.weight_history.columns(run, start)["dot"]["size"])


def test_a_ghost_with_that_parameter_is_shown(run):
    ghost = fake_run(layers=3, heads=2, positions=8, records=6, seed=1)
    columns = views.weight_history.columns(run, pinned(), ghost)
    np.testing.assert_array_equal(columns["ghost"]["step"], np.arange(0, 30, 5))


# Into one of them -------------------------------------------------------------------------------------------------------


def live(**knobs):
    architecture = Architecture(num_layers=2, hidden_dim=16, num_heads=2, **knobs)
    training = Training(batch_size=2, seq_len=16, executor="serial", shards=1)
    return LiveRun(Experiment(architecture=architecture, training=training, corpus="stories"))


@pytest.fixture(scope="module")
def real():
    run, ghost = live(), live(residual_type="Post-LN")
    for each in (run, ghost):
        each.advance(steps=3)
        each.analyse("weights", parameter="blocks.1.mlp.up.weight")
    return SimpleNamespace(run=run, ghost=ghost, weights=run.model.parameters["blocks.1.mlp.up.weight"].copy())


CHOSEN = {"layer": 1, "matrix": "mlp.up.weight"}


def test_the_bars_are_the_matrixs_numbers(real):
    columns = views.weight_spread.columns(real.run, pinned(**CHOSEN), real.ghost)
    bars = columns["bars"]
    assert ((bars["right"] - bars["left"]) * bars["top"]).sum() == pytest.approx(1)
    middle = 20
    inside = (real.weights >= bars["left"][middle]) & (real.weights < bars["right"][middle])
    area = bars["top"][middle] * (bars["right"] - bars["left"])[middle]
    assert area == pytest.approx(inside.mean(), abs=2 / real.weights.size)
    for part in ("start", "ghost"):
        density, value = columns[part]["density"], columns[part]["value"]
        assert (density[::2] * (value[1::2] - value[::2])).sum() == pytest.approx(1)
    note = views.weight_spread.note(columns)
    assert note.startswith(f"Layer 1's feed-forward up: RMS {np.sqrt(np.mean(real.weights**2)):.2g}, ")
    (left, right), (bottom, top) = views.weight_spread.limits(columns)
    assert left <= real.weights.min() < real.weights.max() <= right
    assert bottom == 0
    assert top > bars["top"].max()


def test_the_spectrum_is_the_matrixs(real):
    columns = views.singular_values.columns(real.run, pinned(**CHOSEN), real.ghost)
    values = np.linalg.svd(real.weights.astype(float), compute_uv=False)
    np.testing.assert_allclose(columns["now"]["stretch"], values, rtol=1e-6)
    share = values / values.sum()
    rank = np.exp(-(share * np.log(share)).sum())
    assert columns["rank"]["direction"] == pytest.approx([rank])
    assert views.singular_values.note(columns).startswith(f"Layer 1's feed-forward up: effective rank {rank:.0f} of 16, ")
    assert columns["ghost"]["direction"].tolist() == columns["now"]["direction"].tolist()


def test_another_matrix_is_awaited_and_the_ghosts_is_that_of_the_run(real):
    selection = pinned(layer=0, matrix="mlp.up.weight")
    for view in (views.weight_spread, views.singular_values):
        columns = view.columns(real.run, selection, real.ghost)
        assert all(not len(next(iter(columns[part].values()))) for part in view.drawn(columns))
        assert view.note(columns) == MEASURING
        assert view.needs(real.run, selection) == {"weights": {"parameter": "blocks.0.mlp.up.weight"}}
        assert np.isfinite(view.limits(columns)).all()


def test_past_steps_have_the_newest_weights_and_say_so(real):
    columns = views.singular_values.columns(real.run, pinned(step=1, **CHOSEN))
    assert views.singular_values.note(columns).startswith("Measured at step 3; past steps were not kept.")


def test_a_row_of_numbers_and_a_matrix_that_broke_have_no_spectrum():
    run = live()
    run.analyse("weights", parameter="blocks.0.norm1.weight")
    columns = views.singular_values.columns(run, pinned(layer=0, matrix="norm1.weight"))
    assert views.singular_values.note(columns) == "Layer 0's norm 1, scale is one row of numbers, which has no directions."
    run.model.parameters["blocks.0.mlp.up.weight"][0, 0] = np.nan
    run.analyse("weights", parameter="blocks.0.mlp.up.weight")
    for view in (views.singular_values, views.weight_spread):
        columns = view.columns(run, pinned(layer=0, matrix="mlp.up.weight"))
        assert np.isfinite(view.limits(columns)).all()
        hv.render(view.element(columns), backend="bokeh")
    broken = views.singular_values.columns(run, pinned(layer=0, matrix="mlp.up.weight"))
    assert "not finite" in views.singular_values.note(broken)


def test_a_measure_that_comes_is_written_into_the_drawn_figure(real):
    session = SimpleNamespace(run=real.run, ghost=real.ghost, selection=pinned(layer=0, matrix="mlp.up.weight"))
    plot = LivePlot(views.weight_spread, session)
    figure = plot.figure
    legend = {item.label.value: item for item in figure.legend[0].items}
    assert not any(item.visible for item in legend.values())
    session.selection.choose(real.run, **CHOSEN)
    plot.refresh()
    assert plot.figure is figure
    assert sum(plot.sources["bars"].data["top"]) > 0
    assert all(item.visible for item in legend.values())


# Words ------------------------------------------------------------------------------------------------------------------


def test_every_parameter_has_words_of_its_own():
    model = live(residual_type="Sandwich", norm_type="LayerNorm", qk_norm=True, pos_encoding_type="Learned",
                 tie_embeddings=False).model
    names = list(model.parameters)
    words = [whole_words(name) for name in names]
    assert len(set(words)) == len(words)
    assert not [told for told in words if "." in told or "_" in told]
    for name in names:
        assert is_vector(name) == (model.parameters[name].ndim == 1), name


def test_there_are_words_for_every_measure():
    assert tuple(MEASURE_WORDS) == MEASURES
    assert tuple(WEIGHT_MEASURE_WORDS) == WEIGHT_MEASURES


def test_the_map_follows_the_run_without_being_drawn_anew(run):
    session = SimpleNamespace(run=run, ghost=None, selection=pinned())
    plot = LivePlot(views.weight_map, session)
    figure = plot.figure
    add_record(run, np.random.default_rng(7), 4)
    plot.refresh()
    assert plot.figure is figure
    np.testing.assert_allclose(
        10 ** plot.sources["map"].data["image"][0][0, 0], parameters(run)["weight_rms"][0], rtol=1e-5)
