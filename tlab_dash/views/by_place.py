"""One measure of the signal, or of its gradient, at every place that it passes on its way down: a view for each."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_core.schema import SITES
from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.layer_statistics import exists
from tlab_dash.views.series import ABOVE, BELOW, log_range
from tlab_dash.views.view import Columns, Range, Table, empty, ghost_step, row
from tlab_dash.views.wording import MEASURE_WORDS

# Where each site lies between two points of the stream, in order of the pass; the stream's own points are whole numbers.
WHERE = {"norm1": 0.33, "attention": 0.6, "post_norm1": 0.8, "norm2": 1.33, "mlp": 1.6, "post_norm2": 1.8}
# part: sites (none: the residual stream), words, colour, marker
KINDS = {
    "norm": (("norm1", "post_norm1", "norm2", "post_norm2"), "norm", "norm", "diamond"),
    "feed_forward": (("mlp",), "feed-forward", "feed_forward", "square"),
    "attention": (("attention",), "attention", "attention", "triangle"),
    "stream": ((), "stream", "residual", "circle"),
}
GHOSTS = {"ghost": {"y": "size"}, "ghost_places": {"y": "size"}}
DEPTH = hv.Dimension("depth", label="depth", unit="layers")
SIZE = hv.Dimension("size", label="size")


def by_place(run, selection, ghost, measure: str, prefix: str = "") -> Columns:
    """Return `measure` of the signal, with the prefix "gradient_" of the gradient, for each kind of place; the ghost's
    stream and other places; the stretch that the chosen layer takes."""
    layer, _, _ = selection.resolve(run)
    now = _kinds(run, selection.step, prefix + measure)
    then = _kinds(ghost, ghost_step(run, selection), prefix + measure) if ghost else {}
    signed = measure == "mean"
    far = 4 * _band([table["size"] for table in now.values()], signed)[1]  # beyond what a ghost can make of the axis
    bottom, top = (-far, far) if signed else (BELOW, ABOVE)
    edges = np.array([[2 * layer + 0.1, bottom, 2 * layer + 2.1, top]])
    others = [table for part, table in then.items() if part != "stream"]
    nothing = empty("depth", "size")
    return {
        "layers": {"layer": run.recorder.coordinates["layer"]},
        "measure": {"words": np.array([MEASURE_WORDS[measure]], dtype=object), "signed": np.array([signed])},
        "chosen": dict(zip(("left", "bottom", "right", "top"), edges.T, strict=True)),
        "ghost": then.get("stream", nothing),
        "ghost_places": {
            name: np.concatenate([table[name] for table in others]) if others else nothing[name] for name in nothing
        },
        "attention_line": now["attention"],
        "feed_forward_line": now["feed_forward"],
        "stream_line": now["stream"],
        **now,
    }


def draw(columns: Columns, theme: Theme, label: str) -> hv.Overlay:
    """Return the overlay: a marker a place, lines through those of one kind, grey rings for the ghost's."""
    c = columns
    ticks = [(2 * layer + 1.1, str(layer)) for layer in c["layers"]["layer"]]
    if len(ticks) <= 8:  # among more, there is no room for it on a phone
        ticks.insert(0, (0, "in"))
    signed = bool(c["measure"]["signed"][0])

    def line(part: str, **style) -> hv.Curve:
        return hv.Curve(c[f"{part}_line"], DEPTH, SIZE).opts(
            color=getattr(theme, KINDS[part][2]), line_width=1.5, **style, backend="bokeh")

    return hv.Overlay([
        hv.Rectangles(c["chosen"], ["left", "bottom", "right", "top"]).opts(
            color=theme.accent, fill_alpha=0.12, line_alpha=0, backend="bokeh"),
        hv.Curve(c["ghost"], DEPTH, SIZE, label="ghost").opts(
            color=theme.ghost, line_width=2, line_dash="dashed", backend="bokeh"),
        hv.Points(c["ghost_places"], [DEPTH, SIZE]).opts(
            fill_alpha=0, line_color=theme.ghost, line_width=1.5, size=10, backend="bokeh"),
        line("attention"), line("feed_forward"), line("stream"),
        *(hv.Points(c[part], [DEPTH, SIZE], label=words).opts(
            color=getattr(theme, ink), marker=marker, size=6 if part == "stream" else 9, backend="bokeh")
          for part, (_, words, ink, marker) in KINDS.items()),
    ]).opts(**look.frame(
        theme, xlabel="layer", legend_cols=3, ylabel=f"{label} ({c['measure']['words'][0]})", xticks=ticks,
        **({"yformatter": look.short_numbers()} if signed else look.log_axis("y")),
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every depth, and the run's sizes."""
    up = _band([columns[part]["size"] for part in KINDS], bool(columns["measure"]["signed"][0]))
    return (-0.5, 2 * len(columns["layers"]["layer"]) + 0.5), up


def log(columns: Columns) -> str:
    """Return the axis that is logarithmic: that of sizes, as means may be below 0."""
    return "" if columns["measure"]["signed"][0] else "y"


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap on a layer's stretch chooses the layer."""
    layer = int(np.floor((x - 0.1) / 2))
    return {"layer": layer} if 0 <= layer < len(columns["layers"]["layer"]) else None


def _kinds(run, step: int | None, variable: str) -> dict[str, Table]:
    inside, stream = row(run, "layers", step)[variable], row(run, "residual", step)[variable]
    tables = {}
    for part, (sites, _, _, _) in KINDS.items():
        sites = [site for site in sites if exists(run, ("", site, ""))]
        layers = np.arange(len(inside))
        depth = (2 * layers[:, None] + np.array([WHERE[site] for site in sites])).ravel()
        tables[part] = {"depth": depth, "size": inside[:, [SITES.index(site) for site in sites]].astype(float).ravel()}
    tables["stream"] = {"depth": np.arange(len(stream), dtype=float), "size": np.asarray(stream, dtype=float)}
    return tables


def _band(sizes: list[np.ndarray], signed: bool) -> Range:
    """A logarithmic axis for sizes; for means one that has 0 in its middle."""
    if not signed:
        return log_range(*sizes)
    sizes = np.abs(np.concatenate(sizes))
    reach = float(sizes[np.isfinite(sizes)].max(initial=0.0)) * 1.15 or 1.0
    return -reach, reach
