"""What the plots show: their elements' data, dimensions and units against the run's records."""

import holoviews as hv
import numpy as np
import pytest

from tests.dash.fakes import add_record, fake_run
from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.run import LiveRun, Mark
from tlab_dash import views
from tlab_dash.live import drawn
from tlab_dash.selection import Selection
from tlab_dash.theme import DARK, LIGHT
from tlab_dash.views import tokens
from tlab_dash.views.heads import SHORT, role, tiles_across
from tlab_dash.views.roles import KEY, ROLES
from tlab_dash.views.series import MOST_POINTS, WINDOW, moving_average, thinned

VIEWS = [view for _, view in views.VIEWS.items()]
MAY_BE_EMPTY = {
    (view, part) for view in ("weight_map", "head_scores", "qk_scores") for part in ("on_dark", "on_bright", "on_card")
} | {("qk", "names_before"), ("qk", "names_after"),  # numbers by what they stand on, names by the side with room
     ("weight_history", "dot")} | {  # a line of one point
         # Nothing that one has not defined is drawn: test_extending.py defines some.
         ("own_statistic", part) for part in ("lines", "chosen", "ghost", "names")}
each_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


@pytest.fixture
def run():
    return fake_run(layers=3, heads=4, positions=16, records=4)


def pinned(run, **chosen):
    selection = Selection()
    selection.choose(run, **chosen)
    return selection


def record(run, group, variable):
    return run.recorder.group(group)[variable].values[-1]


def element(overlay, kind, index=0) -> hv.Element:
    return [item for item in overlay if type(item) is kind][index]


# All views ---------------------------------------------------------------------------------------------------------


def test_the_first_page_has_its_views():
    assert {"loss", "signal", "layer_statistics", "heads", "attention", "qk"} <= {view.name for view in VIEWS}


@each_view
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("records", [1, 4])
@pytest.mark.parametrize("with_ghost", [False, True])
def test_each_part_is_drawn_from_its_own_columns(view, theme, records, with_ghost):
    run = fake_run(layers=2, heads=2, positions=10, records=records)
    ghost = fake_run(layers=3, heads=1, positions=12, records=6, residual_type="Sandwich") if with_ghost else None
    columns = view.columns(run, Selection(), ghost)
    overlay = view.element(columns, theme)
    assert len(overlay) == len(view.drawn(columns))
    for part, item in zip(view.drawn(columns), overlay, strict=True):
        for name, column in columns[part].items():
            flat = item.dimension_values(name, flat=column.ndim == 1, expanded=column.ndim == 2 or column.size == len(item))
            np.testing.assert_array_equal(flat, column, err_msg=f"{view.name}.{part}.{name}")


@each_view
def test_a_run_that_broke_can_still_be_drawn(view, run):
    broken = {
        name: np.full(variable.shape[1:], np.nan, np.float32)
        for name, variable in run.recorder.group("heads").data_vars.items()
    }
    run.recorder.append("heads", 20, broken)
    run.recorder.append("attention", 20, {"weight": np.full((3, 4, 16, 16), np.nan, np.float32)})
    run.recorder.append("qk_histograms", 20, {"count": np.zeros_like(record(run, "qk_histograms", "count"))})
    run.recorder.append("train", 16, {
        "loss": np.inf, "learning_rate": 1e-3, "grad_norm": np.inf, "tokens": 1, "seconds": 1.0})
    left, right = view.limits(view.columns(run, Selection()))[0]
    assert np.isfinite([left, right]).all()
    hv.render(view(run), backend="bokeh")


@each_view
def test_captions_are_short_and_say_something(view):
    assert 5 <= len(view.caption.split()) <= 20
    assert view.caption.endswith(".")


@each_view
def test_calling_a_view_draws_the_newest_step(view, run):
    assert isinstance(view(run), hv.Overlay)


@pytest.fixture(scope="module")
def real_run():
    architecture = Architecture(num_layers=2, hidden_dim=16, num_heads=2, residual_type="Sandwich")
    training = Training(batch_size=2, seq_len=16, statistics_every=3, eval_every=3, executor="serial", shards=1)
    run = LiveRun(Experiment(architecture=architecture, training=training, corpus="stories"))
    run.advance(steps=6)
    run.adjust(weight_decay=0.05)  # so that there is a mark on its loss
    return run


@each_view
def test_a_real_run_has_what_the_view_reads(view, real_run):
    selection = Selection(step=5)
    for name, options in (view.needs(real_run, selection) if view.needs else {}).items():
        real_run.analyse(name, **options)
    columns = view.columns(real_run, selection, ghost=real_run)
    for part in view.drawn(columns):
        for name, column in columns[part].items():
            assert column.size or (view.name, part) in MAY_BE_EMPTY, f"{part}.{name}"
            if column.dtype.kind == "f" and column.ndim == 1:  # in a picture, NaN is nothing
                assert np.isfinite(column).all(), f"{part}.{name}"
    hv.render(view.element(columns), backend="bokeh")


def test_a_real_runs_probe_text_can_be_shaded(real_run):
    assert views.probe_text(real_run, Selection()).count("data-position=") == len(real_run.probe_tokens)


# Loss --------------------------------------------------------------------------------------------------------------


def test_loss_shows_each_step_and_what_guessing_would_lose(run):
    columns = views.loss.columns(run, Selection())
    train = run.recorder.group("train")
    np.testing.assert_array_equal(columns["train"]["step"], train["step"])
    np.testing.assert_array_equal(columns["train"]["loss"], train["loss"])
    np.testing.assert_array_equal(columns["validation"]["loss"], run.recorder.group("validation")["loss"])
    assert list(columns["baseline_names"]["name"]) == ["any letter 3.69", "letter counts 2.87", "letter pairs 2.00"]
    np.testing.assert_array_equal(columns["baselines"]["loss"], [3.69, 2.87, 2.0])


def test_before_training_one_dot_stands_among_the_baselines():
    columns = views.loss.columns(fake_run(records=1), Selection())
    assert len(columns["validation"]["loss"]) == 1
    assert not len(columns["train"]["loss"])
    assert not len(columns["ghost"]["loss"])
    (left, right), (bottom, top) = views.loss.limits(columns)
    assert left <= 0 < right
    assert bottom == 0
    assert top > columns["validation"]["loss"][0]


def test_the_ghost_is_the_average_of_the_other_run(run):
    ghost = fake_run(records=9, seed=4)
    columns = views.loss.columns(run, Selection(), ghost)
    np.testing.assert_array_equal(columns["ghost"]["loss"], views.loss.columns(ghost, Selection())["average"]["loss"])


def test_loss_is_in_nats(run):
    curve = element(views.loss(run), hv.Curve)
    assert curve.get_dimension("loss").unit == "nats"
    assert curve.kdims[0].name == "step"


def test_the_average_looks_back_a_quarter_and_at_most_the_window():
    loss = np.random.default_rng(0).normal(2, 1, 300)
    average = moving_average(np.arange(1, 301), loss)["loss"]
    assert average[0] == pytest.approx(loss[0])
    assert average[11] == pytest.approx(loss[9:12].mean())
    assert average[299] == pytest.approx(loss[300 - WINDOW :].mean())


def test_a_long_curve_is_thinned_but_keeps_its_extremes():
    step, loss = np.arange(1, 50_001), np.random.default_rng(0).normal(2, 0.1, 50_000)
    loss[31_234], loss[7] = 9.0, -3.0
    kept = thinned(step, loss)
    assert MOST_POINTS / 2 <= len(kept["step"]) <= MOST_POINTS * 1.1
    assert (np.diff(kept["step"]) >= 0).all()
    assert kept["loss"].max() == 9.0
    assert kept["step"][kept["loss"].argmax()] == 31_235
    assert kept["loss"].min() == -3.0
    average = moving_average(step, loss)
    assert len(average["step"]) <= MOST_POINTS
    assert average["step"][-1] == 50_000


def test_an_exploding_loss_does_not_wipe_out_the_average_after_it():
    loss = np.concatenate([np.full(20, 1e24), np.full(40, 8.5)])
    assert moving_average(np.arange(1, 61), loss)["loss"][-1] == pytest.approx(8.5)


def test_a_setting_that_was_changed_on_the_way_is_marked(run):
    assert not len(views.loss.columns(run, Selection())["marks"]["step"])
    run.marks = [Mark(120, "training.learning_rate", 0.003, 0.01), Mark(130, "training.grad_clip", 1.0, None)]
    columns = views.loss.columns(run, Selection())
    assert columns["marks"]["step"].tolist() == columns["marks"]["end"].tolist() == [120, 130]
    assert columns["mark_names"]["name"].tolist() == [" learning rate 0.01", " gradient clip off"]
    assert element(views.loss(run), hv.Segments) is not None


def test_an_exploding_loss_leaves_at_the_top(run):
    run.recorder.append("validation", 100, {"loss": 1e6})
    top = views.loss.limits(views.loss.columns(run, Selection()))[1][1]
    assert 3.69 < top < 10


def test_the_names_of_the_baselines_never_overprint(run):
    names = views.loss.columns(run, Selection())["baseline_names"]
    assert names["loss"].tolist() == [3.69, 2.87, 2.0]  # on an axis with room each stands on its line
    run.recorder.append("train", 16, {
        "loss": 1e6, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 1, "seconds": 1.0})
    for scale in ("even", "log"):
        columns = views.loss.columns(run, Selection(scale=scale))
        axis = np.array(views.loss.axes(columns)[1])
        heights = columns["baseline_names"]["loss"]
        if scale == "log":
            axis, heights = np.log10(axis), np.log10(heights)
        gaps = -np.diff(heights) / (axis[1] - axis[0])
        assert (gaps >= 0.129).all()


def test_no_line_strikes_through_the_names_of_the_baselines(run):
    """They are drawn after the curves that cross them, on the card's colour."""
    columns = views.loss.columns(run, Selection(), ghost=run)
    parts = views.loss.drawn(columns)
    assert all(parts.index(part) < parts.index("baseline_names") for part in ("baselines", "ghost", "train", "average"))
    for theme in (LIGHT, DARK):
        _, handles = drawn(views.loss, columns, theme)
        ground, letters = (handles[part]["glyph"] for part in ("baseline_grounds", "baseline_names"))
        assert (ground.background_fill_color, ground.background_fill_alpha) == (theme.surface, 0.85)
        assert (ground.text_alpha, letters.text_alpha) == (0, 1)  # no name's ground lies on another's letters
        assert letters.background_fill_color is None


# Signal ------------------------------------------------------------------------------------------------------------


def test_signal_is_the_streams_rms_by_depth(run):
    columns = views.signal.columns(run, pinned(run, layer=1))
    np.testing.assert_array_equal(columns["now"]["rms"], record(run, "residual", "rms"))
    np.testing.assert_array_equal(columns["now"]["depth"], np.arange(7))
    assert columns["chosen"]["left"][0] < 3 < 4 < columns["chosen"]["right"][0]
    assert views.signal.pick(columns, 3.1, 0.2) == views.signal.pick(columns, 4.4, 0.2) == {"layer": 1}
    assert views.signal.pick(columns, 0.2, 0.2) is None


def test_the_signal_axis_spans_at_least_a_factor_of_ten():
    run = fake_run(layers=2, heads=1, positions=4, records=1)
    run.recorder.append("residual", 5, {name: np.full(5, 2.0) for name in run.recorder.group("residual").data_vars})
    (_, _), (bottom, top) = views.signal.limits(views.signal.columns(run, Selection()))
    assert top / bottom == pytest.approx(10)
    assert bottom < 2 < top


def test_the_ghost_is_shown_at_the_same_step(run):
    ghost = fake_run(layers=3, heads=4, positions=16, records=9, seed=2)
    columns = views.signal.columns(run, Selection(), ghost)
    np.testing.assert_array_equal(columns["ghost"]["rms"], ghost.recorder.group("residual")["rms"].sel(step=run.step))
    columns = views.signal.columns(run, Selection(step=7), ghost)
    np.testing.assert_array_equal(columns["now"]["rms"], run.recorder.group("residual")["rms"].sel(step=5))
    np.testing.assert_array_equal(columns["ghost"]["rms"], ghost.recorder.group("residual")["rms"].sel(step=5))


# Inside a layer ----------------------------------------------------------------------------------------------------


def place_values(run, layer):
    columns = views.layer_statistics.columns(run, pinned(run, layer=layer))
    sizes = zip(columns["signal"]["rms"], columns["gradient"]["rms"], strict=True)
    return dict(zip(columns["places"]["name"], sizes, strict=True))


def test_a_layers_places_have_their_own_statistics(run):
    places = place_values(run, layer=2)
    layers, residual = run.recorder.group("layers").isel(step=-1), run.recorder.group("residual").isel(step=-1)
    for name, site in {"norm 1": "norm1", "keys": "k", "attention": "attention", "feed-forward": "mlp"}.items():
        at = layers.sel(layer=2, site=site)
        assert places[name] == (at["rms"], at["gradient_rms"])
    for name, depth in {"stream in": 4, "stream between": 5, "stream out": 6}.items():
        at = residual.sel(depth=depth)
        assert places[name] == (at["rms"], at["gradient_rms"])


def test_only_places_that_exist_are_shown():
    assert "post-norm 1" not in place_values(fake_run(records=2), 0)
    assert "post-norm 1" in place_values(fake_run(records=2, residual_type="Sandwich"), 0)
    # On the road, a norm's output is the stream itself.
    assert not {"norm 1", "norm 2"} & set(place_values(fake_run(records=2, residual_type="Post-LN"), 0))


def test_the_dead_share_is_written_at_the_activation(run):
    columns = views.layer_statistics.columns(run, pinned(run, layer=2))
    assert list(columns["dead"]["note"]) == ["12% dead units"]
    assert columns["places"]["name"][int(columns["dead"]["place"][0])] == "activation"


def test_a_ghost_without_that_layer_is_left_out(run):
    shallow = fake_run(layers=1, heads=1, positions=4, records=2)
    columns = views.layer_statistics.columns(run, pinned(run, layer=2), shallow)
    assert not len(columns["ghost_signal"]["rms"])
    assert len(views.layer_statistics.columns(run, pinned(run, layer=0), shallow)["ghost_signal"]["rms"])


# Heads -------------------------------------------------------------------------------------------------------------


def test_each_heads_map_lies_in_its_tile_with_query_0_at_the_top(run):
    columns = views.heads.columns(run, pinned(run, layer=1))
    maps = record(run, "attention", "weight")[1]
    image = element(views.heads(run, pinned(run, layer=1)), hv.Image)
    side = columns["frames"]["right"][0]
    for head, (left, top) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        assert columns["frames"]["left"][head] == left
        assert columns["frames"]["bottom"][head] == top  # a quad's bottom is its smaller coordinate: the upper edge here
        for query, key in [(0, 0), (5, 4), (15, 2)]:
            cell = image[left + side * (key + 0.5) / 16, top + side * (query + 0.5) / 16]
            assert cell == np.rint(255 * maps[head, query, key])
    (left, right), (bottom, top) = views.heads.limits(columns)
    assert left < right
    assert bottom > top


def test_heads_are_numbered_and_named_by_what_they_do(run):
    names = list(views.heads.columns(run, pinned(run, layer=1))["names"]["name"])
    previous = record(run, "heads", "previous_token")[1]
    assert names[0] == "0 even"
    assert names[1] == f"1 previous\n{previous[1]:.2f}"


def test_a_tap_finds_the_head(run):
    selection = pinned(run, layer=1, head=2)
    columns = views.heads.columns(run, selection)
    assert columns["chosen"]["left"][0] == 0
    assert columns["chosen"]["bottom"][0] == 1
    assert views.heads.pick(columns, 1.4, 0.3) == {"head": 1}
    assert views.heads.pick(columns, 0.4, 1.3) == {"head": 2}
    assert views.heads.pick(columns, 2.4, 0.3) is None
    three = fake_run(layers=1, heads=3, positions=6, records=1)
    assert views.heads.pick(views.heads.columns(three, Selection()), 1.4, 1.4) is None


def test_many_heads_are_pooled_so_that_a_stripe_survives():
    run = fake_run(layers=1, heads=16, positions=128, records=9)
    columns = views.heads.columns(run, pinned(run, head=15))
    assert columns["map"]["weight"].shape[0] < 250
    left, top, side = columns["chosen"]["left"][0], columns["chosen"]["bottom"][0], columns["frames"]["right"][0]
    across, down = columns["map"]["across"], columns["map"]["down"]
    tile = columns["map"]["weight"][np.ix_((down > top) & (down < top + side), (across > left) & (across < left + side))]
    assert tile.shape[0] == tile.shape[1]
    assert (np.diagonal(tile) > 200).all()


@pytest.mark.parametrize(("heads", "across"), [(1, 1), (2, 2), (4, 2), (6, 3), (8, 3), (12, 4), (16, 4)])
def test_tiles_form_a_square(heads, across):
    assert tiles_across(heads) == across


@pytest.mark.parametrize(("scores", "word"), [
    ({"previous_token": 0.39, "first_token": 0.3, "induction": 0.1, "entropy": 1.0}, "previous 0.39"),
    ({"previous_token": 0.1, "first_token": 0.61, "induction": 0.1, "entropy": 1.0}, "first 0.61"),
    ({"previous_token": 0.1, "first_token": 0.1, "induction": 0.45, "entropy": 1.0}, "induction 0.45"),
    ({"previous_token": 0.07, "first_token": 0.07, "induction": 0.0, "entropy": 3.2}, "even"),
    ({"previous_token": 0.07, "first_token": 0.07, "induction": np.nan, "entropy": 1.5}, "mixed"),
    ({"previous_token": np.nan, "first_token": np.nan, "induction": np.nan, "entropy": np.nan}, "broken"),
])
def test_a_role_needs_a_score(scores, word):
    assert role(scores, positions=64) == word


def test_every_name_that_a_head_can_have_is_explained_and_no_other():
    names = {*ROLES.values(), "even", "mixed"}
    assert {name.split()[0] for name, _ in KEY} == names
    for short in SHORT.values():
        assert any(f"(short: {short})" in meaning for _, meaning in KEY)


def test_the_places_inside_a_layer_are_named_on_both_sides_in_turns(run):
    columns = views.layer_statistics.columns(run, pinned(run, layer=1))
    figure, _ = drawn(views.layer_statistics, columns, DARK)
    left, right = figure.left[0], figure.right[0]
    names = list(columns["places"]["name"])
    assert [left.major_label_overrides[place] for place in left.ticker.ticks] == names[::2]
    assert [right.major_label_overrides[place] for place in right.ticker.ticks] == names[1::2]
    assert list(figure.ygrid[0].ticker.ticks) == list(range(len(names)))
    assert left.major_label_text_color == right.major_label_text_color == DARK.muted



# One head ----------------------------------------------------------------------------------------------------------


def test_the_map_has_queries_down_and_keys_across(run):
    image = element(views.attention(run, pinned(run, layer=1, head=3)), hv.Image)
    weight = record(run, "attention", "weight")[1, 3]
    assert [d.name for d in image.dimensions()] == ["key", "query", "weight"]
    assert weight[7, 6] > 0.5 > weight[6, 5] * 0 + weight[7, 5]  # an asymmetrical map, or the next lines prove nothing
    assert image[6, 7] == weight[7, 6]
    assert np.isnan(image[7, 6])
    assert image.get_dimension("weight").range == (0, 1)


def test_the_map_names_its_characters():
    run = fake_run(layers=1, heads=1, positions=9, records=1, text="a b\nc d e f g")
    columns = views.attention.columns(run, pinned(run, position=3))
    assert list(columns["tokens"]["token"]) == list("a b\nc d e")
    assert columns["row"]["bottom"][0] < 3 < columns["row"]["top"][0]
    assert columns["row"]["right"][0] == 3.5
    options = hv.Store.lookup_options("bokeh", views.attention.element(columns), "plot").kwargs
    names = [name for _, name in options["yticks"]]
    assert names == ["a", "␣", "b", "⏎", "c", "␣", "d", "␣", "e"]
    assert options["xticks"] == options["yticks"]


def test_a_tap_chooses_the_query(run):
    columns = views.attention.columns(run, Selection())
    assert views.attention.pick(columns, 2.2, 7.4) == {"position": 7}
    assert views.attention.pick(columns, 2.2, -0.4) == {"position": 0}
    assert views.attention.pick(columns, 2.2, 15.6) is None


def test_a_long_text_names_its_words():
    ticks, words = tokens.axis_ticks("One day Redanu went to the wood and met")
    assert words
    assert ticks[0] == (1.0, "One")
    assert "Redanu" in [name for _, name in ticks]
    assert min(np.diff([place for place, _ in ticks])) >= 39 / 16


def test_a_long_text_without_words_names_every_so_manyth_character():
    ticks, words = tokens.axis_ticks("abcdefgh" * 8)
    assert not words
    assert 10 <= len(ticks) <= tokens.MOST_CHARACTERS
    assert all("abcdefgh"[place % 8] == name for place, name in ticks)


# Q·K ---------------------------------------------------------------------------------------------------------------


def test_qk_bars_hold_every_pair_once(run):
    columns = views.qk.columns(run, pinned(run, layer=1, head=2))
    bars, counts = columns["bars"], record(run, "qk_histograms", "count")[1, 2]
    area = (bars["right"] - bars["left"]) * bars["top"]
    assert area.sum() == pytest.approx(1)
    left = run.recorder.group("qk_histograms")["left"].values
    below = area[bars["right"] <= 0].sum() * counts.sum()
    edge = bars["right"][bars["right"] <= 0].max()
    assert below == pytest.approx(counts[left < edge].sum())
    np.testing.assert_array_equal(bars["left"][1:], bars["right"][:-1])


def test_qk_marks_mean_and_largest(run):
    columns = views.qk.columns(run, pinned(run, layer=1, head=2))
    expected = [record(run, "heads", name)[1, 2] for name in ("qk_mean", "qk_max")]
    np.testing.assert_allclose(columns["marks"]["score"], expected)
    names = [*columns["names_before"]["name"], *columns["names_after"]["name"]]
    assert sorted(names) == sorted([f" mean {expected[0]:.2f} ", f" largest {expected[1]:.2f} "])


@pytest.mark.parametrize(("score", "part", "at"), [(-2.9, "names_after", -2.9), (2.0, "names_before", 2.0),
                                                   (13863.0, "names_before", 3.0), (-500.0, "names_after", -3.0)])
def test_qk_names_stand_within_the_plot_on_the_side_with_more_room(score, part, at):
    run = fake_run(records=1)
    heads = {name: found.values[-1] for name, found in run.recorder.group("heads").data_vars.items()}
    run.recorder.append("heads", 5, heads | {"qk_max": np.full_like(heads["qk_max"], score)})
    columns = views.qk.columns(run, Selection())
    named = zip(columns[part]["name"], columns[part]["score"], strict=True)
    assert [place for name, place in named if "largest" in name] == [pytest.approx(at)]


def test_qk_reaches_to_the_largest_score_where_the_last_bin_holds_all_that_lies_beyond():
    run = fake_run(records=1)
    heads = {name: found.values[-1] for name, found in run.recorder.group("heads").data_vars.items()}
    counts = np.zeros_like(run.recorder.group("qk_histograms")["count"].values[-1])
    counts[..., -1] = counts[..., counts.shape[-1] // 2] = 8
    run.recorder.append("heads", 5, heads | {"qk_max": np.full_like(heads["qk_max"], 2544)})
    run.recorder.append("qk_histograms", 5, {"count": counts})
    columns = views.qk.columns(run, Selection())
    assert views.qk.limits(columns)[0][1] == 2544
    bars = columns["bars"]
    assert ((bars["right"] - bars["left"]) * bars["top"]).sum() == pytest.approx(1)


def test_a_fresh_models_scores_look_near_zero():
    run = fake_run(records=1)
    (left, right), _ = views.qk.limits(views.qk.columns(run, Selection()))
    assert (left, right) == (-3, 3)


def test_qk_outlines_the_ghost_only_where_it_has_such_a_head(run):
    ghost = fake_run(layers=3, heads=1, positions=16, records=4, seed=3)
    assert not len(views.qk.columns(run, pinned(run, head=2), ghost)["ghost"]["score"])
    columns = views.qk.columns(run, pinned(run, layer=1, head=0), ghost)["ghost"]
    area = np.diff(columns["score"])[::2] * columns["density"][::2]
    assert area.sum() == pytest.approx(1)


# Probe text --------------------------------------------------------------------------------------------------------


def test_the_text_is_escaped_and_shaded():
    run = fake_run(layers=1, heads=2, positions=8, records=3, text="<b>&\n x y z")
    html = views.probe_text(run, pinned(run, head=1, position=4))
    assert "<b>" not in html
    assert "&lt;" in html
    assert "&amp;" in html
    assert html.count("data-position=") == 8
    assert html.count("outline:2px") == 1
    assert html.count("comes later") == 3
    weight = record(run, "attention", "weight")[0, 1, 4, 3]
    assert f"background:rgba(0,103,168,{np.sqrt(weight):.2f})" in html
    assert f"weight {weight:.2g}" in html


def test_the_breadcrumb_says_where_one_is():
    run = fake_run(layers=3, heads=4, positions=8, records=1, text="a b c d e f")
    assert views.breadcrumb(run, pinned(run, layer=2, head=3, position=1)) == ("Layer 2", "Head 3", "“␣”")


def test_a_new_record_is_seen_at_once(run):
    before = views.attention.columns(run, pinned(run, layer=1, head=3))
    add_record(run, np.random.default_rng(0), 4)
    after = views.attention.columns(run, pinned(run, layer=1, head=3))
    assert not np.array_equal(before["map"]["weight"], after["map"]["weight"], equal_nan=True)


def test_the_dead_share_is_written_where_no_mark_is(run):
    columns = views.layer_statistics.columns(run, Selection())
    (x,), (at,) = columns["dead"]["rms"], columns["dead"]["place"]
    marks = np.concatenate([columns[part]["rms"][abs(columns[part]["place"] - at) <= 1] for part in ("signal", "gradient")])
    (low, high), _ = views.layer_statistics.limits(columns)
    edges = np.sort(np.log10([low, *marks[np.isfinite(marks)], high]))
    assert np.min(abs(np.log10(marks) - np.log10(x))) == pytest.approx(np.diff(edges).max() / 2)


def test_a_view_has_one_name_and_says_how_it_is_called():
    for name, view in views.VIEWS.items():
        if view.module.startswith("tlab_dash"):
            assert getattr(views, name) is view
            assert name in views.__all__
    assert repr(views.loss).startswith("<the view 'loss': Loss. How surprised")
    assert repr(views.loss).endswith("Of a run: views.loss(run)>")


def test_a_view_that_is_called_lies_on_a_card_of_its_theme_and_one_on_a_page_on_the_pages(real_run):
    for name, theme in {"light": LIGHT, "dark": DARK}.items():
        alone = views.signal(real_run, theme=name)
        for element in (alone, alone * hv.HLine(1.0)):
            figure = hv.render(element, backend="bokeh")
            assert (figure.background_fill_color, figure.border_fill_color) == (theme.surface, theme.surface)
            assert (figure.background_fill_alpha, figure.border_fill_alpha) == (1, 1)
    columns = views.signal.columns(real_run, Selection())
    assert drawn(views.signal, columns, LIGHT)[0].background_fill_alpha == 0
