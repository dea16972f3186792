"""How well queries and keys match in one head, before softmax turns matches into shares."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.head_grid import short
from tlab_dash.views.view import Columns, Range, Table, View, empty, ghost_step, row, values

BARS = 40
NAMES = {"names_before": "right", "names_after": "left"}  # parts with names, and how their text is aligned
NAME_ROOM = 0.4  # of the axis, for "largest 12.3" on the smallest card of the bench
NARROWEST = 3.0  # the axis reaches at least this far to both sides of 0: 3 is a preference of 20 to 1

SCORE = hv.Dimension("score", label="match score Q·K/√d")
DENSITY = hv.Dimension("density", label="share of pairs per unit of score")


def columns(run, selection, ghost=None) -> Columns:
    """Return the histogram of the chosen head's logits as bars whose area is a share of all pairs, mean and maximum
    marked, and the ghost's outline."""
    layer, head, _ = selection.resolve(run)
    scores = row(run, "heads", selection.step)
    marks = {"mean": float(scores["qk_mean"][layer, head]), "largest": float(scores["qk_max"][layer, head])}
    left, right = _edges(run, marks["largest"])
    now = row(run, "qk_histograms", selection.step)["count"][layer, head]
    then = None
    if ghost:
        counts = row(ghost, "qk_histograms", ghost_step(run, selection))["count"]
        then = counts[layer, head] if layer < counts.shape[0] and head < counts.shape[1] else None
    taken = np.flatnonzero(now)
    low, high = _reach(left[taken], right[taken])
    width = 2.0 ** np.round(np.log2((high - low) / BARS))
    bars = _bars(now, left, right, width)
    outline = _bars(then, left, right, width) if then is not None else empty("left", "right", "bottom", "top")
    found = {
        "bars": bars,
        "ghost": {
            "score": np.stack([outline["left"], outline["right"]], axis=1).ravel(),
            "density": np.repeat(outline["top"], 2),
        },
    }
    return found | _marked({name: score for name, score in marks.items() if np.isfinite(score)}, qk.axes(found))


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: filled bars now, a dashed outline for the ghost, two labelled marks."""
    c = columns
    return hv.Overlay([
        hv.Rectangles(c["bars"], ["left", "bottom", "right", "top"]).opts(
            color=theme.attention, fill_alpha=0.75, line_color=theme.surface, line_width=0.5, backend="bokeh"),
        hv.Curve(c["ghost"], SCORE, DENSITY, label="ghost").opts(
            color=theme.ghost, line_width=1.5, line_dash="dashed", backend="bokeh"),
        hv.Segments(c["marks"], [SCORE, DENSITY, "end", "height"]).opts(
            color=theme.residual, line_width=1.5, line_dash="dotted", backend="bokeh"),
        *(hv.Labels(c[part], [SCORE, DENSITY], "name").opts(
            **look.text(theme, text_align=align, text_baseline="top", text_color=theme.text), **look.on_card(theme),
            backend="bokeh")
          for part, align in NAMES.items()),
    ]).opts(**look.frame(
        theme, xlabel=SCORE.label, ylabel="share per unit", xticks=5, yformatter=look.short_numbers()), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every bin that the run occupies, and at least ±3, so that a new model's small scores look small."""
    bars = columns["bars"]
    return _reach(bars["left"], bars["right"]), (0.0, 1.3 * float(max(bars["top"], default=1.0)))


def _reach(*scores: np.ndarray) -> Range:
    scores = np.concatenate(scores)
    return float(min(scores.min(initial=0), -NARROWEST)), float(max(scores.max(initial=0), NARROWEST))


def _marked(marks: dict[str, float], axes: tuple[Range, Range]) -> Columns:
    """Return a line at each score of `marks`, and its name: of the lower score before its line and of the higher one after
    it, so that neither crosses the other's, as far as the plot has room there. A score beyond the last bin is named at the
    edge."""
    (low, high), (_, top) = axes
    places, heights = np.array(list(marks.values())), top * np.array([0.86, 0.98])[: len(marks)]
    names = np.array([f" {name} {short(score)} " for name, score in marks.items()], dtype=object)
    beside = np.clip(places, low, high)
    room = NAME_ROOM * (high - low)
    after = np.where(places > places.mean() if len(places) > 1 else beside < (low + high) / 2,
                     beside <= high - room, beside < low + room)
    return {
        "marks": {"score": places, "density": np.zeros(len(places)), "end": places, "height": np.full(len(places), top)},
        **{part: {"score": beside[there], "density": heights[there], "name": names[there]}
           for part, there in zip(NAMES, (~after, after), strict=True)},
    }


def _edges(run, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """The bins' edges. An overflow bin is drawn as if it were as wide as its neighbour, or up to the largest score."""
    left, right = values(run, "qk_histograms", "left").copy(), values(run, "qk_histograms", "right").copy()
    left[0], right[-1] = 2 * right[0] - right[1], 2 * left[-1] - left[-2]
    if np.isfinite(largest):
        right[-1] = max(right[-1], largest)
    return left, right


def _bars(counts: np.ndarray, left: np.ndarray, right: np.ndarray, width: float) -> Table:
    """Join bins that are narrower than `width` (those near 0 are) and return what is occupied, area 1 in all."""
    group = np.round((left + right) / 2 / width)
    start = np.flatnonzero(np.diff(group, prepend=-np.inf))
    joined = np.add.reduceat(counts, start)
    left, right = left[start], right[np.append(start[1:], len(right)) - 1]
    taken = np.flatnonzero(joined)
    taken = slice(taken[0], taken[-1] + 1) if len(taken) else slice(0, 0)
    left, right, joined = left[taken], right[taken], joined[taken]
    return {
        "left": left, "bottom": np.zeros(len(left)), "right": right,
        "top": joined / max(1, counts.sum()) / (right - left),
    }


qk = View(
    name="qk",
    title="Q·K",
    caption="Match scores before softmax. A far-out tail means one character can win all the attention.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"x": "score", "y": "density"}},
)
