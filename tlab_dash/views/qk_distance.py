"""Whether a head matches better with what is near or with what is far: its match scores by distance."""

from __future__ import annotations

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.head_grid import short
from tlab_dash.views.measured import noted, told
from tlab_dash.views.view import Columns, Range, Table, View, analysis, empty

DISTANCE, SCORE = hv.Dimension("distance", label="how far back it looks (characters)"), hv.Dimension("score")
FAR = 0.5  # of the longest distance: what the note compares the best with


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen head's mean match score at each distance and the band of ± one standard deviation, the means of
    its layer's other heads, and the ghost's."""
    layer, head, _ = selection.resolve(run)
    found = analysis(run, "logit_distance", {})
    then = analysis(ghost, "logit_distance", {}) if ghost is not None else None
    mean = None if found is None else found["mean"].values[layer].astype(float)
    band = empty("left", "bottom", "right", "top")
    if found is not None:
        distance, std = np.arange(mean.shape[1], dtype=float), found["std"].values[layer, head].astype(float)
        there = np.isfinite(mean[head]) & np.isfinite(std)
        band = {
            "left": distance[there] - 0.5, "bottom": (mean[head] - std)[there],
            "right": distance[there] + 0.5, "top": (mean[head] + std)[there],
        }
    return {
        "band": band,
        "others": _others(mean, head),
        "ghost": _curve(then, layer, head),
        "chosen": _curve(found, layer, head),
        "told": told(run, selection, found, name=f"Layer {layer}, head {head}"),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: the chosen head bold in its band, others thin, the ghost dashed."""
    c = columns
    hover = HoverTool(
        tooltips=[("head", "@head"), ("back", "@distance"), ("score", "@score{0.00}")], point_policy="follow_mouse")
    return hv.Overlay([
        hv.Rectangles(c["band"], ["left", "bottom", "right", "top"]).opts(
            color=theme.attention, fill_alpha=0.16, line_alpha=0, backend="bokeh"),
        hv.Segments(c["others"], [DISTANCE, SCORE, "end", "top"], "head").opts(
            color=theme.muted, line_alpha=0.7, line_width=1, tools=[hover], backend="bokeh"),
        hv.Curve(c["ghost"], DISTANCE, SCORE, label="ghost").opts(
            color=theme.ghost, line_width=2, line_dash="dashed", backend="bokeh"),
        hv.Curve(c["chosen"], DISTANCE, SCORE, label="the chosen head, mean").opts(
            color=theme.attention, line_width=3, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel=DISTANCE.label, ylabel="match score", yformatter=look.short_numbers()), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every distance; all scores of the run, and at least 1 to both sides of 0."""
    far = max([1.0, *columns["chosen"]["distance"], *columns["ghost"]["distance"]])
    band, others = columns["band"], columns["others"]
    scores = np.concatenate([
        band["bottom"], band["top"], others["score"], others["top"], columns["chosen"]["score"], [-1.0, 1.0]])
    low, high = float(scores.min()), float(scores.max())
    return (-0.5, far + 0.5), (low - 0.05 * (high - low), high + 0.05 * (high - low))


def note(columns: Columns) -> str:
    """Say at which distance the chosen head's mean score is highest, and what it is far away."""
    chosen = columns["chosen"]

    def say() -> str:
        if not len(chosen["score"]):
            return "The scores are no longer finite."
        best, far = int(np.argmax(chosen["score"])), int(FAR * (len(chosen["score"]) - 1))
        where = {0: "itself", 1: "1 character back"}.get(best, f"{best} characters back")
        name, score = columns["told"]["name"][0], chosen["score"]
        return f"{name} matches best with {where}: {short(score[best])} on average, against {short(score[far])} at {far}."

    return noted(columns["told"], say)


def needs(run, selection) -> dict[str, dict]:
    """Return the analysis that has to be taken first."""
    return {"logit_distance": {}}


def _curve(found, layer: int, head: int) -> Table:
    if found is None or layer >= found.sizes["layer"] or head >= found.sizes["head"]:
        return empty("distance", "score")
    score = found["mean"].values[layer, head].astype(float)
    there = np.isfinite(score)
    return {"distance": np.arange(len(score), dtype=float)[there], "score": score[there]}


def _others(mean: np.ndarray | None, head: int) -> Table:
    if mean is None:
        return empty("distance", "score", "end", "top") | {"head": np.empty(0, int)}
    others = np.delete(np.arange(len(mean)), head)
    distance, scores = np.arange(mean.shape[1], dtype=float), mean[others]
    pieces = {
        "distance": np.tile(distance[:-1], len(others)), "score": scores[:, :-1].ravel(),
        "end": np.tile(distance[1:], len(others)), "top": scores[:, 1:].ravel(),
        "head": np.repeat(others, len(distance) - 1),
    }
    there = np.isfinite(pieces["score"]) & np.isfinite(pieces["top"])
    return {name: piece[there] for name, piece in pieces.items()}


qk_distance = View(
    name="qk_distance",
    title="Match scores by distance",
    caption="How well the chosen head matches what lies so far back. Thin: the layer's other heads. Band: ± the spread.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "score"}},
    told=("told",),
    note=note,
    needs=needs,
)
