"""One head's attention map: which earlier characters each character reads."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import CustomJSHover, HoverTool

from tlab_dash.theme import Theme, attention_palette
from tlab_dash.views import look
from tlab_dash.views.tokens import axis_ticks, visible
from tlab_dash.views.view import Columns, Range, View, row

# Axes name positions, so both run from the first character; queries downwards as text does.
KEY = hv.Dimension("key", label="it reads")
QUERY = hv.Dimension("query", label="character")
WEIGHT = hv.Dimension("weight", label="weight", range=(0, 1))

_NAME = "const i = Math.floor(special_vars.%s + 0.5); return i in names ? `${names[i]}  (${i})` : ''"
_WEIGHT = """
const i = Math.floor(special_vars.y + 0.5), j = Math.floor(special_vars.x + 0.5)
return j > i ? 'none: it comes later' : Number(value).toPrecision(2)
"""


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen head's weights for the probe text (query, key), NaN where the key comes later than the query."""
    layer, head, position = selection.resolve(run)
    weight = row(run, "attention", selection.step)["weight"][layer, head]
    count = len(weight)
    seen = np.tri(count, dtype=bool)
    return {
        "tokens": {"token": np.array(run.probe_tokens[:count], dtype=object)},
        "map": {
            "key": np.arange(count, dtype=float),
            "query": np.arange(count, dtype=float),
            "weight": np.where(seen, weight, np.float32(np.nan)).astype(np.float32, copy=False),
        },
        "edge": {"key": np.array([0, 0, count, 0]) - 0.5, "query": np.array([0, count, count, 0]) - 0.5},
        "row": {
            "left": np.array([-0.5]), "bottom": np.array([position - 0.5]),
            "right": np.array([position + 0.5]), "top": np.array([position + 0.5]),
        },
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the map with the probe's characters on both axes and the chosen query's row outlined."""
    c = columns
    tokens = list(c["tokens"]["token"])
    names = [visible(token) for token in tokens]
    hover = HoverTool(
        tooltips=[("character", "$y{custom}"), ("reads", "$x{custom}"), ("weight", "@image{custom}")],
        formatters={
            "$y": CustomJSHover(args={"names": names}, code=_NAME % "y"),
            "$x": CustomJSHover(args={"names": names}, code=_NAME % "x"),
            "@image": CustomJSHover(code=_WEIGHT),
        },
        point_policy="follow_mouse",
    )
    ticks, turned = axis_ticks(tokens)
    return hv.Overlay([
        hv.Image((c["map"]["key"], c["map"]["query"], c["map"]["weight"]), [KEY, QUERY], WEIGHT).opts(
            cmap=attention_palette(theme), clim=(0, 1), tools=[hover], backend="bokeh"),
        hv.Curve(c["edge"], KEY, QUERY).opts(color=theme.line, line_width=1, backend="bokeh"),
        hv.Rectangles(c["row"], ["left", "bottom", "right", "top"]).opts(
            fill_alpha=0, line_color=theme.accent, line_width=2, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel="reads …", ylabel="each character", xticks=ticks, yticks=ticks, xrotation=90 if turned else 0,
        invert_yaxis=True, show_grid=False, show_legend=False,
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every position; the first query at the top."""
    count = len(columns["tokens"]["token"])
    return (-0.5, count - 0.5), (count - 0.5, -0.5)


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap chooses the query whose row was tapped."""
    position = int(np.floor(y + 0.5))
    return {"position": position} if 0 <= position < len(columns["tokens"]["token"]) else None


attention = View(
    name="attention",
    title="Attention",
    heading="Layer {layer}, head {head}",
    caption="Each row is a character; ink shows which earlier ones it reads.",
    columns=columns,
    draw=draw,
    limits=limits,
    fixed=("tokens",),
    pick=pick,
    size=(440, 420),
)
