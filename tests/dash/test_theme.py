"""The colours: legible in both themes, and one source for css and plots."""

import re
from dataclasses import fields

import pytest

from tlab_dash.theme import (
    DARK,
    DARK_SELECTORS,
    LIGHT,
    THEMES,
    attention_palette,
    contrast,
    css_variable,
    css_variables,
    diverging,
    diverging_colour,
    ink,
    layer_colours,
    luminance,
    reference,
    sequential,
)

both_themes = pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)


@both_themes
def test_parts_and_text_stand_out_from_the_card(theme):
    for part in ("residual", "attention", "feed_forward", "norm", "ghost"):
        assert contrast(getattr(theme, part), theme.surface) >= 3.85, part
    for words in ("text", "muted", "accent", "warning"):
        assert contrast(getattr(theme, words), theme.surface) >= 4.5, words
        assert contrast(getattr(theme, words), theme.background) >= 4.5, words
    assert contrast(theme.on_accent, theme.accent) >= 4.5


@both_themes
def test_ink_is_legible_on_every_colour_that_carries_a_number(theme):
    for fill in sequential(theme) + diverging(theme):
        assert contrast(ink(fill), fill) >= 4.5, fill


@both_themes
def test_css_declares_every_colour_once_a_theme(theme):
    light_rule, dark_rule = re.findall(r"{(.*?)}", css_variables())
    declared = dict(re.findall(r"(--[\w-]+): (#\w{6});", dark_rule if theme.dark else light_rule))
    assert declared == {
        css_variable(field.name): getattr(theme, field.name) for field in fields(theme) if field.name != "name"
    }


def test_dark_rule_comes_last_so_that_it_wins():
    css = css_variables()
    assert all(css.index(selector) > css.index(":root, .tlab-light") for selector in DARK_SELECTORS)
    assert DARK.dark
    assert not LIGHT.dark


def test_reference_falls_back_to_the_theme_asked_for():
    assert reference("feed_forward", DARK) == f"var(--tlab-feed-forward, {DARK.feed_forward})"


@both_themes
def test_diverging_is_the_card_at_zero_and_symmetric(theme):
    palette = diverging(theme)
    assert palette[127] == theme.surface
    assert (palette[0], palette[-1]) == ("#2166AC", "#B35806")
    assert diverging_colour(-7, theme) == palette[0]
    assert diverging_colour(7, theme) == palette[-1]


@both_themes
@pytest.mark.parametrize("layers", [1, 2, 12, 24])
def test_layers_are_told_apart_and_show_on_the_card(theme, layers):
    colours = layer_colours(layers, theme)
    assert len(set(colours)) == layers
    lightness = [luminance(colour) for colour in colours]
    assert lightness == sorted(lightness)
    assert min(contrast(colour, theme.surface) for colour in colours) >= 3


@both_themes
def test_attention_ink_is_one_blue_whose_opacity_is_the_root_of_the_weight(theme):
    palette = attention_palette(theme)
    assert {colour[:7] for colour in palette} == {theme.attention}
    opacity = [int(colour[7:], 16) for colour in palette]
    assert (opacity[0], opacity[-1]) == (0, 255)
    assert opacity[64] == pytest.approx(255 * (64 / 255) ** 0.5, abs=1)
