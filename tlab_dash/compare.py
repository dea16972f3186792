"""Several runs in one picture: their curves on the same axes, or one view of two runs side by side at the same step.

    overlay({"Pre-LN": one, "Post-LN": other}, against="seconds")
    side_by_side("attention", one, other, step=500)

Runs may be live or saved; many are given by name in a dict, or as a list, in which saved ones keep their own names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import holoviews as hv
import numpy as np
from bokeh.models import HoverTool

from tlab_core import compare
from tlab_core.registry import did_you_mean
from tlab_dash.pair import common_steps, paired
from tlab_dash.selection import Selection
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views import VIEWS, View, ensure_backend, look
from tlab_dash.views.series import moving_average, thinned

# Eight colours on each card, contrast at least 3.9:1, then the same with dashes. Colour alone tells nobody which run a
# line is: it is named in the legend, in the table beside it and under the pointer.
COLOURS = {
    False: ("#0067A8", "#B34700", "#00856A", "#8A3FA0", "#1F2430", "#8A6A00", "#C2185B", "#5A6270"),
    True: ("#56B4E9", "#F0934E", "#2CC9A0", "#C792EA", "#E6E9EE", "#D9C24A", "#F48FB1", "#A2AAB6"),
}
DASHES = ("solid", "dashed", "dotted", "dashdot")
ROOM = 1.08  # of the highest value that is drawn
EXPLODED = 2.0  # times what guessing any letter loses: losses above leave the plot, so that the rest stays readable


class Measure(NamedTuple):
    """Something that is recorded at each step and can be drawn over all runs."""

    group: str
    variable: str
    label: str  # of the choice on the page
    axis: str
    noisy: bool = False  # then a moving average is drawn, and what was measured as a thin line behind it
    log: bool = False


MEASURES = {
    "loss": Measure("train", "loss", "Loss on training text", "loss (nats per character)", noisy=True),
    "validation": Measure("validation", "loss", "Loss on unseen text", "loss (nats per character)"),
    "gradient": Measure("train", "grad_norm", "Size of the gradient", "gradient norm", noisy=True, log=True),
    "rate": Measure("train", "learning_rate", "Learning rate", "learning rate"),
}
AGAINST = {"step": "step", "tokens": "characters read", "seconds": "seconds of training"}


def overlay(runs, against: str = "step", measure: str = "loss", theme: Theme = LIGHT, legend: bool = True) -> hv.Overlay:
    """Return one curve a run on the same axes.

    against  "step", "tokens" or "seconds"
    measure  "loss" (on training text), "validation" (on unseen text), "gradient" or "rate"
    """
    named = compare.named(runs)
    if not named:
        raise compare.CompareError("there are no runs to compare: give at least one, as in overlay({'mine': run}).")
    if measure not in MEASURES:
        raise compare.CompareError(f"there is no measure {measure!r}: it can be {', '.join(MEASURES)}."
                                   f"{did_you_mean(measure, MEASURES)}")
    about = MEASURES[measure]
    curves = compare.curves(named, about.group, about.variable, against=against)
    return draw_curves(curves, about, against, theme, legend=legend, most=most_to_show(named, about))


def draw_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], about: Measure, against: str, theme: Theme, *,
                bands: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None, legend: bool = True,
                most: float = np.inf) -> hv.Overlay:
    """Return curves, {name: (x, y)}, as one overlay; `bands`, {name: (low, high)}, shade what lies about some of them."""
    ensure_backend()
    across, up = hv.Dimension(against, label=AGAINST[against]), hv.Dimension("value", label=about.axis)
    behind, before, right, values = [], [], 1.0, []
    for number, (name, (x, y)) in enumerate(curves.items()):
        ink, dash = look_of(number, theme)
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        right = max(right, float(x[-1]) if len(x) else 0.0)
        strong = thinned(x, y)
        if bands is not None and name in bands and len(x):
            low, high = (thinned(x, np.asarray(edge, dtype=float)) for edge in bands[name])
            behind.append(hv.Area((low["step"], low["loss"], np.interp(low["step"], high["step"], high["loss"])), across,
                                  [up, hv.Dimension("high")]).opts(color=ink, alpha=0.18, line_alpha=0, backend="bokeh"))
            values.append(high["loss"])
        elif about.noisy and len(x):
            behind.append(hv.Curve((strong["step"], strong["loss"]), across, up).opts(
                color=ink, line_width=1, alpha=0.25, backend="bokeh"))
            strong = moving_average(x, y)
        values.append(strong["loss"])
        hover = HoverTool(tooltips=[(name, "@value{0.000a}"), (AGAINST[against], f"@{against}{{0,0}}")])
        before.append(hv.Curve((strong["step"], strong["loss"]), across, up, label=name if legend else "").opts(
            color=ink, line_width=2.5, line_dash=dash, tools=[hover], backend="bokeh"))
    drawn = np.concatenate([*values, np.empty(0)])
    drawn = drawn[np.isfinite(drawn) & ((drawn > 0) | (not about.log))]
    top = min(max(drawn, default=1.0), most)
    bottom = min(drawn, default=0.1) / ROOM if about.log else 0.0
    # The first run comes to lie on top, as it comes first in the legend.
    return hv.Overlay(behind + before[::-1]).opts(**look.frame(
        theme, xlabel=AGAINST[against], ylabel=about.axis, logy=about.log, xlim=(0, right), ylim=(bottom, top * ROOM),
        show_legend=legend, legend_position="right", xformatter="%d" if right >= 10 else "%g",
        **({"yticks": look.log_ticker(), "yformatter": "%g"} if about.log else {}),
    ), backend="bokeh")


def side_by_side(view: View | str, run_a, run_b, step: int | None = None, selection: Selection | None = None,
                 theme: Theme = LIGHT) -> hv.Layout:
    """Return one view of two runs, on axes with the same limits, at the same step.

    view       one of `tlab_dash.views.VIEWS`, or its name
    step       None takes the last step at which both were looked into
    selection  the layer, head and position; None takes the liveliest head of `run_a`
    """
    ensure_backend()
    view = VIEWS.get(view) if isinstance(view, str) else view
    selection = selection or Selection()
    layer, head, _ = selection.resolve(run_a)
    if step is None:
        shared = common_steps(run_a, run_b)
        step = int(shared[-1]) if len(shared) else None
    same = Selection(layer=layer, head=head, position=selection.position, step=step, pinned=True)
    panels = paired(view, (run_a, run_b), same, theme)
    for panel, run, side in zip(panels, (run_a, run_b), ("left", "right"), strict=True):
        panel.opts(title=getattr(run, "name", None) or side, show_title=True, backend="bokeh")
    return hv.Layout(panels).cols(2)


def joined(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], noisy: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (x, mean, spread) of curves that differ in their dice only, as far as all of them go.

    The spread is the standard deviation between the runs (n - 1); of noisy curves the moving averages are taken, since the
    luck of single batches says nothing of the dice.
    """
    tables = [moving_average(x, y) if noisy else thinned(x, y) for x, y in curves.values()]
    reach = min(table["step"][-1] if len(table["step"]) else -1.0 for table in tables)
    x = tables[0]["step"][tables[0]["step"] <= reach]
    with np.errstate(invalid="ignore", over="ignore"):  # of a run that has diverged
        all_y = np.stack([np.interp(x, table["step"], table["loss"]) if len(x) else x for table in tables])
        return x, all_y.mean(axis=0), all_y.std(axis=0, ddof=1)


def look_of(number: int, theme: Theme) -> tuple[str, str]:
    """Return the colour and the dash of the so-manyth run."""
    colours = COLOURS[theme.dark]
    return colours[number % len(colours)], DASHES[number // len(colours) % len(DASHES)]


def most_to_show(runs: Mapping, about: Measure) -> float:
    """Return the highest loss that an axis needs to show."""
    guesses = [run.baselines.get("uniform", np.inf) for run in runs.values()]
    return EXPLODED * max(guesses, default=np.inf) if about.variable == "loss" else np.inf
