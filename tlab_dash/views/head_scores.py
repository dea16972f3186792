"""One score of every head: how much it reads one place, or how spread out it reads."""

from __future__ import annotations

import numpy as np

from tlab_dash.views import head_grid
from tlab_dash.views.own_statistic import own_statistics, words_of
from tlab_dash.views.roles import role_words, scores_by_head
from tlab_dash.views.view import Columns, View
from tlab_dash.views.wording import HEAD_MEASURE_WORDS


def head_measure_words(run) -> dict[str, str]:
    """Return what each measure of heads is called: those of the lab, then the run's statistics of one's own."""
    own = {name: words_of(run, name) for name, group in own_statistics(run).items() if group == "heads"}
    return HEAD_MEASURE_WORDS | own


def columns(run, selection, ghost=None) -> Columns:
    """Return the chosen measure of all heads, see `head_grid`, and what the chosen head seems to do."""
    layer, head, _ = selection.resolve(run)
    measure, positions = selection.head_measure_of(run), len(run.recorder.coordinates["query"])
    does = role_words(scores_by_head(run, selection.step)[layer][head], positions)
    return head_grid.grid(run, selection, measure, head_measure_words(run)[measure]) | {
        "told": {"sentence": np.array([f"Layer {layer}, head {head} {does}."], dtype=object)},
    }


head_scores = View(
    name="head_scores",
    title="What each head does",
    caption="The chosen measure, a row a layer, a column a head. Look for a head that stands out.",
    columns=columns,
    draw=head_grid.draw,
    limits=head_grid.limits,
    fixed=("measure", "scale"),
    told=("told",),
    pick=head_grid.pick,
    note=lambda columns: str(columns["told"]["sentence"][0]),
)
