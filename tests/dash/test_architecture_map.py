"""The architecture map: the SVG says how the blocks are wired and what was measured, and the page part keeps it so."""

import re
from itertools import pairwise
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.dash.fakes import fake_run
from tlab_core.activations import ACTIVATIONS
from tlab_core.config import Architecture
from tlab_core.norms import NORMS, RMSNorm
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS
from tlab_dash.architecture_map import (
    ArchitectureMap,
    MapValues,
    Scale,
    changed_parts,
    drawing,
    map_values,
    paint,
    unavailable,
)
from tlab_dash.architecture_map.colouring import ratio_position
from tlab_dash.architecture_map.geometry import ROAD_X
from tlab_dash.architecture_map.wiring import Wiring
from tlab_dash.theme import DARK, LIGHT, contrast

SVG = "{http://www.w3.org/2000/svg}"


def architecture(**knobs) -> Architecture:
    return Architecture(vocab_size=40, **knobs)


def parsed(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


def draw(values=None, statistic="gradient", *, shown=None, **knobs) -> ElementTree.Element:
    return parsed(drawing(architecture(**knobs), values, statistic, **(shown or {})))


def parts(root) -> dict[str, ElementTree.Element]:
    found = [element for element in root.iter() if "data-key" in element.attrib]
    keys = [element.get("data-key") for element in found]
    assert len(set(keys)) == len(keys), "a part is drawn twice"
    return dict(zip(keys, found, strict=True))


def of_class(element, name: str) -> list[ElementTree.Element]:
    return [child for child in element.iter() if name in child.get("class", "").split()]


def centre(element) -> tuple[float, float]:
    """The centre of a bead."""
    (shape,) = of_class(element, "norm")
    x, y, width, height = (float(shape.get(side)) for side in ("x", "y", "width", "height"))
    return x + width / 2, y + height / 2


def number_of(element) -> str:
    (number,) = of_class(element, "number")
    return number.text or ""


def values_for(layers: int, factor: float = 1.0) -> MapValues:
    names = [f"residual.{d}" for d in range(2 * layers + 1)]
    names += [f"blocks.{i}.{branch}" for i in range(layers) for branch in ("attention", "mlp")]
    gradient = {name: factor * 0.001 * 1.7**k for k, name in enumerate(names)}
    return MapValues(5, {name: 2.0 + k for k, name in enumerate(names)}, gradient)


# Wiring --------------------------------------------------------------------------------------------------------------


def test_norm_stands_where_the_layout_puts_it():
    pre, post, sandwich = (parts(draw(residual_type=layout)) for layout in ("Pre-LN", "Post-LN", "Sandwich"))
    for bead in ("blocks.1.norm1", "blocks.1.norm2"):
        assert centre(post[bead])[0] == ROAD_X
        assert centre(pre[bead])[0] > ROAD_X + 20
        assert centre(sandwich[bead])[0] > ROAD_X + 20
    assert not any("post_norm" in key for key in pre.keys() | post.keys())
    for branch in ("1", "2"):
        before, after = centre(sandwich[f"blocks.1.norm{branch}"]), centre(sandwich[f"blocks.1.post_norm{branch}"])
        assert before[0] == after[0]
        assert before[1] < after[1]


def test_a_norm_on_the_road_interrupts_it_and_one_beside_leaves_it_whole():
    def gaps(layout):
        found = parts(draw(residual_type=layout, hidden_dim=256))
        roads = [of_class(found[f"residual.{d}"], "residual")[0] for d in range(9)]
        edges = [(float(road.get("y")), float(road.get("y")) + float(road.get("height"))) for road in roads]
        sums = sorted(float(of_class(part, "disc")[0].get("cy")) for key, part in found.items() if key.startswith("sum."))
        return [below[0] - above[1] for above, below in pairwise(edges)], sums

    whole, sums = gaps("Pre-LN")
    broken, _ = gaps("Post-LN")
    assert len(sums) == 8
    assert max(whole) < min(broken), "the road is interrupted by more than the ⊕ it always has"


def test_only_layouts_without_a_norm_on_the_road_have_a_final_norm():
    assert "final_norm" in parts(draw(residual_type="Pre-LN"))
    assert "final_norm" in parts(draw(residual_type="Sandwich"))
    assert "final_norm" not in parts(draw(residual_type="Post-LN"))


def test_norms_differ_by_their_ticks():
    def ticks(norm):
        (tick,) = of_class(parts(draw(norm_type=norm))["blocks.0.norm1"], "tick")
        return tick.get("d").count("M")

    assert ticks("LayerNorm") == 2
    assert ticks("RMSNorm") == 1
    assert not of_class(draw(norm_type="None"), "norm")


def test_an_unknown_norm_is_a_bead_with_its_initial():
    @NORMS.register("ZNorm")
    class ZNorm(RMSNorm):
        pass

    try:
        root = draw(norm_type="ZNorm")
    finally:
        del NORMS._components["ZNorm"]
    (initial,) = of_class(parts(root)["blocks.0.norm1"], "initial")
    assert initial.text == "Z"


@pytest.mark.parametrize("heads", [1, 2, 4, 8, 16])
def test_a_tile_for_each_head(heads):
    for layer in range(4):
        box = parts(draw(num_heads=heads))[f"blocks.{layer}.attention"]
        tiles = of_class(box, "tile")
        assert len(tiles) == heads
        (outer,) = of_class(box, "fill")
        middle = float(outer.get("y")) + float(outer.get("height")) / 2
        tops = [float(tile.get("y")) for tile in tiles]
        assert (min(tops) + max(tops) + float(tiles[0].get("height"))) / 2 == pytest.approx(middle, abs=0.02)


def test_road_is_thicker_the_wider_the_model():
    widths = [
        float(of_class(parts(draw(hidden_dim=width))["residual.3"], "residual")[0].get("width"))
        for width in (64, 128, 256, 512)
    ]
    assert widths == sorted(set(widths))


def test_position_joins_where_it_acts():
    def attention(position):
        picture = parts(draw(pos_encoding_type=position))["blocks.0.attention"]
        return len(of_class(picture, "thin")), len(of_class(picture, "wedge"))

    for position in ("Sinusoidal", "Learned"):
        found = parts(draw(pos_encoding_type=position))
        assert of_class(found["position"], "disc"), "joins at a ⊕"
        assert attention(position) == (0, 0)
    assert "position" not in parts(draw(pos_encoding_type="RoPE"))
    assert attention("RoPE") == (1, 0)  # a dial
    assert attention("ALiBi") == (0, 1)  # a ramp
    empty = parts(draw(pos_encoding_type="None"))["position"]
    assert of_class(empty, "socket")
    assert not of_class(empty, "disc")
    assert attention("None") == (0, 0)


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_feed_forward_shows_the_curve_that_training_computes(name):
    part = parts(draw(activation_type=name))["blocks.0.mlp"]
    (frame,) = of_class(part, "frame")
    curve = next(path for path in of_class(part, "stroke") if path.get("d").count("L") > 20)
    points = np.array([[float(n) for n in point.split()] for point in curve.get("d")[1:].split("L")])
    drawn = -(points[:, 1] - points[:, 1].max())  # upwards
    expected = ACTIVATIONS.get(name).curve(np.linspace(-3, 3, len(points)))
    expected = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(drawn / np.ptp(drawn), expected, atol=0.02)
    assert points[:, 1].min() > float(frame.get("y"))
    assert points[:, 1].max() < float(frame.get("y")) + float(frame.get("height"))
    assert bool(of_class(part, "pipe")) == ACTIVATIONS.get(name).gated


def test_tied_tables_are_linked():
    assert "tie" in parts(draw(tie_embeddings=True))
    assert "tie" not in parts(draw(tie_embeddings=False))


def test_qk_norm_shows_in_every_attention_box():
    assert not of_class(parts(draw())["blocks.2.attention"], "on-box")
    assert of_class(parts(draw(qk_norm=True))["blocks.2.attention"], "on-box")


@pytest.mark.parametrize("norm", NORMS.names())
@pytest.mark.parametrize("layout", RESIDUALS.names())
@pytest.mark.parametrize("position", POSITIONS.names())
def test_every_wiring_draws_exactly_its_parts(norm, layout, position):
    knobs = {"norm_type": norm, "residual_type": layout, "pos_encoding_type": position}
    drawn = {key for key in parts(draw(**knobs)) if not key.startswith(("layer.", "side.", "sum.", "tie"))}
    assert drawn == Wiring.of(architecture(**knobs)).parts().keys()


# Fitting in ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", RESIDUALS.names())
@pytest.mark.parametrize("layers", [2, 4, 6, 7, 9, 12])
def test_up_to_twelve_layers_fit_the_column_in_order(layers, layout):
    root = draw(num_layers=layers, residual_type=layout, shown={"selected": 1})
    assert root.get("viewBox") == "0 0 344 820"
    bands = [of_class(group, "band")[0] for group in root.iter() if "data-layer" in group.attrib]
    edges = [(float(band.get("y")), float(band.get("y")) + float(band.get("height"))) for band in bands]
    assert len(edges) == layers
    assert all(above[1] <= below[0] + 0.02 for above, below in pairwise(edges))
    heights = [bottom - top for top, bottom in edges]
    assert min(heights) >= 31.9
    if layers <= 6:
        assert min(heights) >= 94
    else:
        assert [height >= 94 for height in heights] == [layer == 1 for layer in range(layers)]
    for rectangle in root.iter(f"{SVG}rect"):
        x, y, width, height = (float(rectangle.get(side, 0)) for side in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= 344
        assert 0 <= y <= y + height <= 820


@pytest.mark.parametrize("layout", RESIDUALS.names())
@pytest.mark.parametrize(("layers", "selected"), [(2, 0), (4, 2), (6, 1), (9, 4), (12, 5), (12, 0)])
def test_no_value_is_printed_across_the_selected_band_or_another_value(layers, selected, layout):
    root = draw(values_for(layers), num_layers=layers, residual_type=layout, hidden_dim=512, shown={"selected": selected})
    (band,) = (of_class(layer, "band")[0] for layer in of_class(root, "selected"))
    edges = (float(band.get("y")), float(band.get("y")) + float(band.get("height")))
    baselines = sorted(float(number.get("y")) for number in of_class(root, "beside"))
    assert len(baselines) == (2 * layers if layers <= 6 else layers + 1) + 1
    assert not [(y, edge) for y in baselines for edge in edges if y - 9 < edge < y + 2]
    assert min(below - above for above, below in pairwise(baselines)) >= 11


def test_more_layers_than_fit_make_a_taller_drawing_that_scales():
    root = draw(num_layers=60)
    assert float(root.get("viewBox").split()[3]) > 820
    assert len([group for group in root.iter() if "data-layer" in group.attrib]) == 60


def test_phone_rows_are_a_fingertip_high_and_the_height_follows():
    root = draw(shown={"compact": True, "height": None, "selected": 2})
    heights = [float(of_class(group, "band")[0].get("height")) for group in root.iter() if "data-layer" in group.attrib]
    assert heights == [44, 44, 120, 44]
    assert float(root.get("height")) < 500


# Numbers and colours -------------------------------------------------------------------------------------------------


def test_numbers_printed_are_the_run_s_newest():
    run = fake_run(layers=3)
    values = map_values(run)
    residual, layers = run.recorder.group("residual"), run.recorder.group("layers")
    assert values.step == int(residual.step[-1])
    for statistic, variable in (("gradient", "gradient_rms"), ("signal", "rms")):
        found = parts(draw(values, statistic, num_layers=3))
        for depth in range(7):
            assert number_of(found[f"residual.{depth}"]) == f"{float(residual[variable][-1, depth]):.3g}"
        for layer in range(3):
            for branch in ("attention", "mlp"):
                measured = float(layers[variable].sel(site=branch)[-1, layer])
                assert number_of(found[f"blocks.{layer}.{branch}"]) == f"{measured:.3g}"


def test_values_of_an_earlier_step_and_of_nothing_yet():
    run = fake_run(layers=2, records=3, every=5)
    assert map_values(run, step=7).step == 5
    assert map_values(run, step=7).gradient != map_values(run).gradient
    assert map_values(fake_run(layers=2, records=0)) is None


def test_arrows_go_down_with_the_signal_and_up_with_the_gradient():
    def tip_below(statistic):
        arrow = of_class(parts(draw(values_for(4), statistic))["residual.2"], "arrow")[0]
        ys = [float(point.split()[1]) for point in arrow.get("d")[1:].split("L")]
        return ys[1] > ys[0]

    assert tip_below("signal")
    assert not tip_below("gradient")
    assert not tip_below("ratio")


def test_scale_only_widens():
    first = Scale.around([0.01, 0.5])
    assert (first.low, first.high) == pytest.approx((-2, np.log10(0.5)))
    inside = first.widened([0.1])
    assert inside == first
    wider = first.widened([0.0001, 0.2, float("inf"), 0.0])
    assert (wider.low, wider.high) == pytest.approx((-4, np.log10(0.5)))
    alike = Scale.around([0.02, 0.021])
    assert alike.high - alike.low == pytest.approx(1), "differences too small to matter stay small"
    assert Scale.around([0.0]) is None


def test_legend_shows_the_ends_of_the_scale_and_of_which_step_it_is():
    root = draw(MapValues(1250, {}, {"residual.0": 0.018, "residual.1": 1.25}), shown={"scale": Scale(-3, -2)})
    ends = {text.get("data-end"): text.text for text in root.iter() if "data-end" in text.attrib}
    assert ends == {"low": "0.001", "high": "1.25", "step": "step 1,250"}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("statistic", ["gradient", "signal", "ratio"])
def test_ink_is_legible_on_what_it_is_printed_on(statistic, theme):
    ghost = MapValues(5, {}, {key: value / 40 * (3 + k) for k, (key, value) in enumerate(values_for(6).gradient.items())})
    root = draw(values_for(6), statistic, num_layers=6, shown={"ghost_values": ghost, "theme": theme})
    coloured = 0
    for key, part in parts(root).items():
        for fill in of_class(part, "fill"):
            colour, ink = fill.get("style").removeprefix("fill:"), part.get("style").removeprefix("color:")
            assert contrast(ink, colour) >= 4.5, key
            coloured += 1
    assert coloured == 6 * 2 + 13


def test_ratio_is_symmetric_clipped_and_only_of_what_both_have():
    assert ratio_position(1) == 0
    assert ratio_position(4) == pytest.approx(0.5) == -ratio_position(0.25)
    assert (ratio_position(100), ratio_position(0.001), ratio_position(0)) == (1, -1, -1)
    now = MapValues(5, {}, {"residual.0": 0.018, "residual.1": 0.5, "residual.2": 0.5})
    ghost = MapValues(5, {}, {"residual.0": 0.002, "residual.1": 0.0})
    painted = paint(1, now, "ratio", ghost_values=ghost).parts
    assert painted["residual.0"][2] == "9×"
    assert painted["residual.1"][2] == painted["residual.2"][2] == ""


def test_statistic_that_does_not_exist_and_one_that_cannot_be_shown_yet():
    with pytest.raises(ValueError, match=r"unknown statistic 'loss' .* allowed are 'gradient', 'signal', 'ratio'"):
        draw(statistic="loss")
    assert "No ghost" in unavailable("ratio", values_for(1), None)
    assert unavailable("gradient", values_for(1), None) == ""
    assert "Nothing has been measured" in unavailable("signal", None, None)


def test_without_values_the_card_shows_through_and_nothing_is_printed():
    for key, part in parts(draw()).items():
        assert all(number.text is None for number in of_class(part, "number")), key
        assert all("--tlab-surface" in fill.get("style") for fill in of_class(part, "fill")), key


# Use -----------------------------------------------------------------------------------------------------------------


def test_layers_are_buttons_that_say_what_they_show():
    root = draw(values_for(4), shown={"selected": 2})
    layers = [group for group in root.iter() if "data-layer" in group.attrib]
    assert [layer.get("data-layer") for layer in layers] == ["0", "1", "2", "3"]
    assert {(layer.get("role"), layer.get("tabindex")) for layer in layers} == {("button", "0")}
    assert [layer.get("aria-pressed") for layer in layers] == ["false", "false", "true", "false"]
    attention = number_of(parts(root)["blocks.2.attention"])
    assert layers[2].get("aria-label").startswith(f"Layer 2: gradient of attention {attention}, feed-forward ")


def test_text_is_escaped():
    stand_in = SimpleNamespace(
        num_layers=2, num_heads=2, hidden_dim=8, resolved_ff_dim=8, vocab_size="<b>&", norm_type="RMSNorm",
        residual_type="Pre-LN", activation_type="ReLU", pos_encoding_type="RoPE", tie_embeddings=True, qk_norm=False,
    )
    markup = drawing(stand_in)
    assert "<b>" not in markup
    assert "a score for each of <b>&" in [text.text for text in parsed(markup).iter(f"{SVG}text")]


def test_stands_alone_and_takes_the_page_s_colours():
    markup = drawing(architecture(), theme=DARK)
    assert not re.findall(r"(?:href|src|url|@import)[ (=]", markup)
    assert f"var(--tlab-attention, {DARK.attention})" in markup
    assert "$" not in markup, "every colour in the style sheet is filled in"


def test_changed_parts_are_those_that_look_different():
    before = architecture(num_layers=2)
    assert changed_parts(before, architecture(num_layers=2)) == set()
    assert changed_parts(before, architecture(num_layers=2, activation_type="ReLU")) == {"blocks.0.mlp", "blocks.1.mlp"}
    assert changed_parts(before, architecture(num_layers=2, residual_type="Post-LN")) == {
        f"blocks.{layer}.norm{branch}" for layer in (0, 1) for branch in (1, 2)
    }
    deeper = changed_parts(before, architecture(num_layers=3))
    assert {"blocks.2.attention", "blocks.2.norm1", "residual.6"} <= deeper
    assert not any(key.startswith(("blocks.0", "blocks.1")) for key in deeper)


def test_changed_and_broken_parts_are_marked():
    marked = parts(draw(shown={"changed": {"blocks.1.norm2", "position"}, "broken": "blocks.3.attention"}))
    assert [key for key, part in marked.items() if "changed" in part.get("class", "").split()] == ["blocks.1.norm2"]
    assert [key for key, part in marked.items() if "broken" in part.get("class", "").split()] == ["blocks.3.attention"]


# The part of the page ------------------------------------------------------------------------------------------------


def test_new_numbers_repaint_and_a_new_wiring_redraws():
    shown, plain = ArchitectureMap(), architecture()
    shown.update(plain, values_for(4))
    first = shown.svg
    shown.update(plain, values_for(4, 1.5))
    assert shown.svg == first, "numbers alone never replace the drawing"
    assert shown.paint["parts"]["residual.0"][2] == "0.0015"
    shown.update(architecture(residual_type="Post-LN"), values_for(4, 1.5))
    assert shown.svg != first
    found = parts(parsed(shown.svg))
    assert {key for key, part in found.items() if "changed" in part.get("class", "").split()} == {
        f"blocks.{layer}.norm{branch}" for layer in range(4) for branch in (1, 2)
    }


def test_scale_widens_within_a_run_and_starts_anew_with_the_next():
    shown, plain = ArchitectureMap(), architecture()
    shown.update(plain, values_for(4))
    shown.update(plain, values_for(4, 100))
    low, high = shown.paint["legend"]["low"], shown.paint["legend"]["high"]
    assert low == "0.001"
    shown.update(plain, values_for(4))
    assert shown.paint["legend"] == {"low": low, "high": high, "step": "step 5"}
    shown.update(plain, values_for(4, 100), new_run=True)
    assert shown.paint["legend"] == {"low": "0.1", "high": high, "step": "step 5"}


def test_selection_and_statistic_redraw_what_is_there():
    shown = ArchitectureMap()
    shown.selected = 1  # before there is anything to draw
    assert shown.svg == ""
    shown.update(architecture(), values_for(4))
    shown.selected = 3
    assert 'data-layer="3" role="button" tabindex="0" aria-pressed="true"' in shown.svg
    shown.statistic = "signal"
    assert ">Signal<" in shown.svg
    shown.update(architecture(num_layers=2), values_for(2))
    assert 'data-layer="1" role="button" tabindex="0" aria-pressed="true"' in shown.svg, "clamped to what there is"
