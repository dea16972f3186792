"""How large an update is beside the weights that it changes."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look, steps
from tlab_dash.views.series import BELOW, axis_end, log_range, series, shown, step_range, thinned
from tlab_dash.views.view import Columns, Range, Table, View, empty
from tlab_dash.views.wording import is_vector

COMMON = 1e-3  # "around 1e-3 is healthy", a rule of thumb: A. Karpathy, "Building makemore part 3" (2022)
PARTS = ("median", "smallest", "largest")


def columns(run, selection, ghost=None) -> Columns:
    """Return the median, smallest and largest update ratio of all matrices, the ghost's median, and the rule of thumb."""
    now = _ratios(run)
    then = _ratios(ghost)["median"] if ghost else empty("step", "ratio")
    return {
        **steps.level_columns("ratio", COMMON, "rule of thumb: 1/1000", axis_end(now["median"], then)),
        "ghost": then,
        "largest": now["largest"],
        "smallest": now["smallest"],
        "median": now["median"],
        "shown": shown(selection, "ratio", BELOW),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay on a logarithmic axis: the median strong, the range thin."""
    c = columns
    return hv.Overlay([
        *steps.level(c, "ratio", theme),
        steps.ghost(c["ghost"], "ratio", theme),
        steps.curve(c["largest"], "ratio", "largest", theme.feed_forward, 1.2),
        steps.curve(c["smallest"], "ratio", "smallest", theme.norm, 1.2),
        steps.curve(c["median"], "ratio", "median", theme.attention),
        steps.upright(c["shown"], "ratio", theme),
    ]).opts(**look.frame(theme, xlabel="step", ylabel="update ÷ weights (RMS)", **look.log_axis("y")), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: all steps, and every ratio of the run with the rule of thumb among them."""
    tables = [columns[part] for part in ("median", "ghost")]
    return step_range(*tables), log_range(*(columns[part]["ratio"] for part in (*PARTS, "level")))


def note(columns: Columns) -> str:
    """Say the newest median."""
    median = columns["median"]["ratio"]
    if not len(median) or median[-1] == 0:
        return ""
    return f"Median: 1/{1 / median[-1]:,.0f} of the weights."


def _ratios(run) -> dict[str, Table]:
    """Median, smallest and largest of the matrices at each look after the first, which has no update to measure."""
    step, ratio = steps.recorded(run, "parameters", "update_ratio")
    matrices = [not is_vector(str(name)) for name in run.recorder.coordinates["parameter"]]
    ratio = ratio[:, matrices].astype(float)
    measured = np.isfinite(ratio).all(axis=1)  # neither of a run that broke is anything to be seen
    step, ratio = step[measured], ratio[measured]
    if not len(step):
        return {part: series([], [], "ratio") for part in PARTS}
    found = {"median": np.median(ratio, axis=1), "smallest": ratio.min(axis=1), "largest": ratio.max(axis=1)}
    return {part: thinned(step, values, "ratio") for part, values in found.items()}


update_ratio = View(
    name="update_ratio",
    title="Update beside weights",
    caption="Size of a step beside the weights it changes, over all matrices.",
    columns=columns,
    draw=draw,
    limits=limits,
    warning=steps.nothing_yet("median"),
    ghosts={"ghost": {"y": "ratio"}},
    log=lambda columns: "y",
    note=note,
)
