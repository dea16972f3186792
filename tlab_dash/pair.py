"""One view of two runs: two plots of the same layer, head and step, on axes with the same limits."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import holoviews as hv
import numpy as np
import panel as pn

from tlab_core.own_statistics import STATISTICS
from tlab_dash.live import LivePlot
from tlab_dash.selection import Selection
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views.view import VIEWS, Columns, Range, View


class Half:
    """A view as `LivePlot` wants one, whose axes reach as far as those of both runs."""

    def __init__(self, view: View):
        self.columns, self.draw, self.pick = view.columns, view.draw, view.pick
        self.fixed, self.told = view.fixed, view.told
        self.shared: tuple[Range, Range] | None = None
        self._own, self.remark = view.axes, view.remark

    def axes(self, columns: Columns) -> tuple[Range, Range]:
        """Return the axes for both, or before they are known those of these columns."""
        return self.shared or self._own(columns)

    def element(self, columns: Columns, theme: Theme = LIGHT) -> hv.Overlay:
        """Return `columns` as an overlay, on the axes for both."""
        return View.element(self, columns, theme)

    def drawn(self, columns: Columns) -> list[str]:
        """Return the parts that have an element of their own."""
        return View.drawn(self, columns)


class Pair:
    """Two live plots, in the boxes `left` and `right`. `picked` is told what a tap on either of them chose."""

    def __init__(self, picked: Callable[[dict[str, int]], None]):
        self.left, self.right = (pn.Column(sizing_mode="stretch_both", margin=0) for _ in range(2))
        self._picked = picked
        self._view: View | None = None
        self._half: Half | None = None
        self._plots: list[LivePlot] = []

    def show(self, view: View, runs: tuple, selection: Selection, theme: Theme) -> None:
        """Show a view of two runs; only what is new is drawn anew."""
        half = self._half if view is self._view else Half(view)
        half.shared = shared_limits(view, [view.columns(run, selection, None) for run in runs])
        if view is not self._view:
            self._view, self._half = view, half
            self._plots = [LivePlot(half, SimpleNamespace(run=run, ghost=None, selection=selection), theme) for run in runs]
            for box, plot in zip((self.left, self.right), self._plots, strict=True):
                plot.on_tap(self._picked)
                box.objects = [plot.pane]
            return
        for plot, run in zip(self._plots, runs, strict=True):
            plot.session.run, plot.session.selection = run, selection
            plot.dress(theme)
            plot.refresh()

    def clear(self) -> None:
        """Show nothing, and let go of the runs."""
        for plot in self._plots:
            plot.session.run = None  # what was drawn may live on for a while
        self._view, self._half, self._plots = None, None, []
        self.left.objects = self.right.objects = []


def recorded_views() -> dict[str, View]:
    """Return the views that need nothing but what is recorded, which a saved run has too, by name."""
    own = bool(STATISTICS.names())  # without any there is nothing to see of them
    return {name: view for name, view in VIEWS.items() if view.needs is None and (own or name != "own_statistic")}


def paired(view: View, runs: tuple, selection: Selection, theme: Theme) -> list[hv.Overlay]:
    """Return the overlays of two runs, for where they are drawn once."""
    half, columns = Half(view), [view.columns(run, selection, None) for run in runs]
    half.shared = shared_limits(view, columns)
    return [half.element(one, theme) for one in columns]


def shared_limits(view: View, columns: list[Columns]) -> tuple[Range, Range]:
    """Return axes that hold what the view shows of both, running the way that the view lets them run."""
    (across, up), (other_across, other_up) = (view.axes(one) for one in columns)
    return _union(across, other_across), _union(up, other_up)


def _union(one: Range, other: Range) -> Range:
    low, high = min(*one, *other), max(*one, *other)
    return (low, high) if one[0] <= one[1] else (high, low)


def common_steps(run_a, run_b) -> np.ndarray:
    """Return the steps at which both runs have been looked into, their attention maps included."""
    return np.intersect1d(*(run.recorder.group("attention").variables["step"].values for run in (run_a, run_b)))
