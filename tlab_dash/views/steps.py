"""What is recorded at each step beside the loss, as a curve: how it is drawn is the same for all of them."""

from __future__ import annotations

from collections.abc import Callable

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.view import Columns, Table

STEP = hv.Dimension("step", label="step")


def recorded(run, group: str, *variables: str) -> tuple[np.ndarray, ...]:
    """Return the steps of a group and some of its variables, from one dataset: the run may be training on."""
    found = run.recorder.group(group).variables
    return tuple(found[name].values for name in ("step", *variables))


def nothing_yet(part: str) -> Callable[[Columns], str]:
    """Return a view's warning while a part has no step: the axes mean nothing then."""
    return lambda columns: "" if len(columns[part]["step"]) else "No step has been trained yet."


def curve(table: Table, name: str, words: str, ink: str, width: float = 2.5, **style) -> hv.Curve:
    """Return a line over steps; `words` stands in the legend."""
    return hv.Curve(table, STEP, hv.Dimension(name), label=words).opts(
        color=ink, line_width=width, **style, backend="bokeh")


def ghost(table: Table, name: str, theme: Theme) -> hv.Curve:
    """Return the line of the run before."""
    return curve(table, name, "ghost", theme.ghost, 2, line_dash="dashed")


def upright(table: Table, name: str, theme: Theme) -> hv.Segments:
    """Return the line at the step that is looked back at."""
    return hv.Segments(table, [STEP, hv.Dimension(name), "end", "top"]).opts(
        color=theme.residual, line_width=1.5, backend="bokeh")


def level(columns: Columns, name: str, theme: Theme) -> list[hv.Element]:
    """Return the dotted line of the part "level" and its name, the part "level_name"."""
    return [
        hv.Segments(columns["level"], [STEP, hv.Dimension(name), "end", "height"]).opts(
            color=theme.muted, line_width=1.5, line_dash="dotted", backend="bokeh"),
        hv.Labels(columns["level_name"], [STEP, hv.Dimension(name)], "words").opts(
            **look.text(theme, text_align="right", text_baseline="bottom"), backend="bokeh"),
    ]


def level_columns(name: str, height: float | None, words: str, right: float) -> Columns:
    """Return the two parts of `level`: a line at `height` as far as `right`; None where there is none."""
    heights = np.array([] if height is None else [height], dtype=float)
    ends = np.full(len(heights), right)
    return {
        "level": {"step": np.zeros(len(heights)), name: heights, "end": ends, "height": heights},
        "level_name": {"step": ends, name: heights, "words": np.array([words] * len(heights), dtype=object)},
    }
