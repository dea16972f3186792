"""How every plot looks: type, hairlines, no toolbar, and no legend entry for what is not there."""

from __future__ import annotations

from collections.abc import Callable

from bokeh.core.properties import value
from bokeh.models import CustomJSTicker, CustomJSTickFormatter, GlyphRenderer, LegendItem, NoOverlap

from tlab_dash.theme import Theme

FONT = "Inter, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
TICK_SIZE, LABEL_SIZE = "11px", "12px"

# 1, 2, 5, 10 ... while that leaves room between names, then powers of ten, then every so-manyth power.
_LOG_TICKS = """
const low = Math.log10(cb_data.range.min), high = Math.log10(cb_data.range.max), ticks = []
const every = Math.max(1, Math.ceil((high - low) / 6)), mantissas = high - low < 2.5 ? [1, 2, 5] : [1]
for (let power = Math.floor(low); power <= Math.ceil(high); power++)
  if (power % every == 0) for (const m of mantissas) ticks.push(m * 10 ** power)
return ticks
"""


def frame(theme: Theme, **options) -> dict:
    """Return the options of an overlay: what all plots share, and what this one asks for."""
    return {
        "responsive": True,
        "min_height": 80,
        "toolbar": None,
        "default_tools": [],
        "show_grid": True,
        "gridstyle": {"grid_line_color": theme.line, "grid_line_width": 1, "xgrid_line_color": None},
        "legend_position": "top",
        "legend_opts": {
            "background_fill_alpha": 0, "border_line_alpha": 0, "padding": 0, "margin": 2, "spacing": 12,
            "glyph_width": 22, "glyph_height": 14, "label_standoff": 5, "label_text_color": theme.text,
            "label_text_font": FONT, "label_text_font_size": TICK_SIZE, "label_height": 14,
        },
        "hooks": [_dress(theme)],
    } | options


def text(theme: Theme, **options) -> dict:
    """Return the options of labels inside a plot."""
    return {
        "text_font": value(FONT), "text_font_size": TICK_SIZE, "text_color": theme.muted,
        "text_align": "left", "text_baseline": "middle",
    } | options


def on_card(theme: Theme) -> dict:
    """Return the option that puts labels on the card's colour, so that no line strikes them through.

    A label's ground is higher than its letters. Where labels may come close, the grounds are a part of their own, labels
    with `text_alpha=0`, drawn before all letters.
    """

    def hook(plot, element):
        plot.handles["glyph"].update(background_fill_color=theme.surface, background_fill_alpha=0.85)

    return {"hooks": [hook]}


def card(theme: Theme) -> Callable:
    """Return a hook that lays a plot on a card of the theme's colour, where the page around it may have any."""

    def hook(plot, element):
        plot.state.update(background_fill_color=theme.surface, background_fill_alpha=1, border_fill_color=theme.surface,
                          border_fill_alpha=1)  # fmt: skip

    return hook


def log_ticker() -> CustomJSTicker:
    """Return a ticker for a logarithmic axis that names round numbers and never crowds them."""
    return CustomJSTicker(major_code=_LOG_TICKS)


def log_axis(axis: str) -> dict:
    """Return the options that make an axis, "x" or "y", logarithmic."""
    return {f"log{axis}": True, f"{axis}ticks": log_ticker(), f"{axis}formatter": short_numbers()}


def short_numbers() -> CustomJSTickFormatter:
    """Return a formatter of ticks in up to three digits: 0.0003 and not 0.00030000000000000003, 1e10 and not ten zeros."""
    return CustomJSTickFormatter(code="const short = Number(tick.toPrecision(3)), size = Math.abs(tick);"
                                      " return size >= 1e9 ? short.toExponential().replace('+', '')"
                                      " : size >= 1e4 ? tick.toLocaleString('en') : short.toString()")


def legend_items(figure) -> list[tuple[LegendItem, list[GlyphRenderer]]]:
    """Return the items of a figure's legend, each with the parts that it names."""
    return [(item, list(item.renderers)) for legend in figure.legend for item in legend.items]


def hide_empty_legend_items(items: list[tuple[LegendItem, list[GlyphRenderer]]]) -> None:
    """Show only the legend's items of parts that have rows."""
    for item, parts in items:
        visible = any(len(next(iter(part.data_source.data.values()))) > 0 for part in parts)
        if item.visible != visible:
            item.visible = visible


def _dress(theme: Theme):
    def hook(plot, element):
        figure = plot.state
        # Clear, so that the card shows through whatever its colour.
        figure.background_fill_alpha = figure.border_fill_alpha = 0
        figure.outline_line_color = None
        figure.min_border = 4
        # Half of "10,000", the name at the end of an axis.
        figure.min_border_right = 20 if any(axis.visible for axis in figure.below) else 12
        figure.title.update(
            text_font=FONT, text_font_size=TICK_SIZE, text_font_style="normal", text_color=theme.muted, standoff=2)
        # panel-material-ui sets type in em; without this an em is 16 px, a paragraph's size and not a plot's.
        figure.styles = {"--bokeh-font-size": LABEL_SIZE}
        for axis in figure.axis:
            axis.axis_line_color = axis.major_tick_line_color = theme.line
            axis.minor_tick_line_color = None
            axis.major_tick_in = 0
            axis.major_tick_out = 4
            axis.major_label_text_color = theme.muted
            axis.axis_label_text_color = theme.muted
            axis.major_label_text_font = axis.axis_label_text_font = FONT
            axis.major_label_text_font_size = TICK_SIZE
            axis.axis_label_text_font_size = LABEL_SIZE
            axis.axis_label_text_font_style = "normal"
            axis.axis_label_standoff = 4
            axis.major_label_policy = NoOverlap(min_distance=2)  # a name without room is left out
        for legend in figure.legend:
            legend.items = legend.items[::-1]  # what is drawn last, on top, comes first
        hide_empty_legend_items(legend_items(figure))

    return hook
