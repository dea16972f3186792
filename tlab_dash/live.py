"""A plot that is drawn once and from then on only has new columns written into its sources.

Building a Bokeh figure takes HoloViews tens of milliseconds, and the browser as long again; writing columns takes well
under one. That is what lets a page refresh eight plots five times a second beside a training run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import holoviews as hv
import numpy as np
import panel as pn
from bokeh.core.property.vectorization import Field
from bokeh.document import Document
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, Glyph, GlyphRenderer, HoverTool, LegendItem, Plot

from tlab_dash.notebooks import gathered
from tlab_dash.recolouring import recolour
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views.look import hide_empty_legend_items, legend_items
from tlab_dash.views.view import Columns, Range, Table, View, ensure_backend

Picked = dict[str, int]
# Held by whoever makes a HoloViews figure: HoloViews keeps the options of all elements in one place, and is not made for
# several threads. A snapshot draws in one, while the page may be drawing in its own.
DRAWING = threading.RLock()


class LivePlot:
    """One view of a session, as `pane`.

    `session` needs `run`, `ghost` (a run or None) and `selection`. `refresh` shows their present state: it writes into
    the drawn figure what has changed, and draws anew, into the same pane, only when the view's fixed parts have changed
    (another number of heads, another probe text).
    """

    def __init__(self, view: View, session, theme: Theme = LIGHT):
        self.view = view
        self.session = session
        self.theme = theme
        self.pane = pn.pane.Bokeh(sizing_mode="stretch_both", margin=0, autodispatch=False)
        self._listeners: list[Callable[[Picked], None]] = []
        self._build(self._read())

    @property
    def figure(self):
        """The Bokeh figure on show."""
        return self.pane.object

    def refresh(self, all_of_it: bool = False) -> None:
        """Show the session's present state; `all_of_it`, also what has not changed, as a browser may have missed it."""
        columns = self._read()
        with self._in_order():
            if all(_same(columns[part], self.columns[part]) for part in self.view.fixed):
                self._write(columns, all_of_it)
            else:
                self._build(columns)

    def dress(self, theme: Theme) -> None:
        """Show the figure in the colours of a theme."""
        if theme is not self.theme:
            with self._in_order():
                recolour(self.figure, self.theme, theme)
            self.theme = theme

    def on_tap(self, listener: Callable[[Picked], None]) -> None:
        """Have `listener` called with what a tap chose, e.g. `{"head": 3}`, after the selection has taken it."""
        self._listeners.append(listener)

    def tap(self, x: float, y: float) -> None:
        """Choose what is drawn at (x, y) in the plot's coordinates; where there is nothing to choose, nothing happens."""
        picked = self.view.pick(self.columns, x, y) if self.view.pick else None
        if picked is None:
            return
        with self._in_order():
            self.session.selection.choose(self.session.run, **picked)
            for listener in self._listeners:
                listener(picked)

    @contextmanager
    def _in_order(self) -> Iterator[None]:
        # While a page is being written to, Panel puts its messages off, and Bokeh does not: columns could come before the
        # figure that they belong to. What is held goes Panel's way.
        with gathered(self.pane), pn.io.hold():
            yield

    def _read(self) -> Columns:
        return self.view.columns(self.session.run, self.session.selection, self.session.ghost)

    def _build(self, columns: Columns) -> None:
        figure, handles = drawn(self.view, columns, self.theme)
        self.columns = columns
        self.sources = {part: handle["source"] for part, handle in handles.items()}
        self._legend = _still_legend(figure)
        for model in figure.references() - {figure}:
            model.syncable = False  # or a notebook's browser sends each column that it gets back to the kernel
        self._aim(figure, columns)
        if self.view.pick:
            figure.on_event(Tap, lambda event: self.tap(event.x, event.y))
        self.pane.object = figure

    def _write(self, columns: Columns, all_of_it: bool = False) -> None:
        come_or_gone = False
        for part, source in self.sources.items():
            table, before = columns[part], self.columns[part]
            news = source_columns(table) if all_of_it else _news(table, before)
            if news:
                source.data.update(news)  # the browser gets these columns, and keeps the others
                come_or_gone |= _is_empty(table) != _is_empty(before)
        self.columns = columns
        self._aim(self.figure, columns)
        if come_or_gone:
            hide_empty_legend_items(self._legend)

    def _aim(self, figure, columns: Columns) -> None:
        horizontal, vertical = self.view.axes(columns)
        _set_range(figure.x_range, horizontal)
        _set_range(figure.y_range, vertical)
        remark = self.view.remark(columns)
        if figure.title.text != remark:
            figure.title.text = remark


def drawn(view: View, columns: Columns, theme: Theme) -> tuple[Plot, dict[str, dict]]:
    """Return a view of `columns` as a Bokeh figure, and HoloViews' handles ("source", "glyph" ...) of each drawn part."""
    with DRAWING:
        plot = plotted(view.element(columns, theme))
    subplots = [plot] if plot.subplots is None else list(plot.subplots.values())
    parts = view.drawn(columns)
    _lighten(plot.state)
    return plot.state, {part: subplot.handles for part, subplot in zip(parts, subplots, strict=True)}


def plotted(element: hv.Overlay) -> hv.plotting.Plot:
    """Return HoloViews' plot of an element; its `state` is the Bokeh figure."""
    ensure_backend()
    # A document keeps each HoloViews plot that is made for it until its session ends, whatever is on show by then. Where no
    # callback of a page is running that is the server's own document, for good. So each plot gets one of its own.
    renderer = hv.Store.renderers["bokeh"].instance(webgl=False, mode="server")
    return renderer.get_plot(element, doc=Document())


def _lighten(figure: Plot) -> None:
    """Take from a figure what no page uses and each of them pays for, a quarter of its models.

    Without a toolbar, a drag would move what is drawn and nothing could put it back; on a phone the page would not scroll
    under a finger on it. Nothing is ever selected or muted.
    """
    figure.toolbar.tools = [tool for tool in figure.toolbar.tools if isinstance(tool, HoverTool)]
    for renderer in figure.renderers:
        renderer.update(selection_glyph=None, nonselection_glyph=None, muted_glyph=None)


def _still_legend(figure: Plot) -> list[tuple[LegendItem, list[GlyphRenderer]]]:
    """Let the legend name twins of the parts, with the same glyphs; return its items with the parts themselves.

    At each change of the data that it names Bokeh makes a legend anew, with a canvas for every item: more work for the
    browser than to draw the curves. A twin has one row, without which it would have no sample, and that lies nowhere. A
    part that has a colour of its own for every row shows that of its first, and stays in the legend itself.
    """
    named = legend_items(figure)
    for item, parts in named:
        if any(_is_many_coloured(part.glyph) for part in parts):
            continue
        item.renderers = [GlyphRenderer(
            glyph=part.glyph, data_source=ColumnDataSource({name: [float("nan")] for name in part.data_source.data}),
            selection_glyph=None, nonselection_glyph=None, muted_glyph=None) for part in parts]  # fmt: skip
        figure.renderers += item.renderers
    return named


def _is_many_coloured(glyph: Glyph) -> bool:
    return any(name.endswith("_color") and isinstance(getattr(glyph, name), Field) for name in glyph.dataspecs())


def source_columns(table: Table) -> dict[str, object]:
    """Return a part's table as its Bokeh source has it.

    Plain columns keep their names. A picture (two coordinate columns and one that is 2-D) becomes Bokeh's image: one
    array whose first row lies at the smallest coordinate, a corner and a size.
    """
    picture = next((name for name, column in table.items() if column.ndim == 2), None)
    if picture is None:
        return dict(table)
    across, down = (column for name, column in table.items() if name != picture)
    half_x, half_y = _half_pixel(across), _half_pixel(down)
    return {
        "image": [table[picture]],
        "x": [across[0] - half_x], "dw": [across[-1] - across[0] + 2 * half_x],
        "y": [down[0] - half_y], "dh": [down[-1] - down[0] + 2 * half_y],
    }


def _half_pixel(centres: np.ndarray) -> float:
    return (centres[-1] - centres[0]) / (len(centres) - 1) / 2 if len(centres) > 1 else 0.5


def _set_range(bokeh_range, limits: Range) -> None:
    if (bokeh_range.start, bokeh_range.end) != limits:
        bokeh_range.update(start=limits[0], end=limits[1])


def _is_empty(table: Table) -> bool:
    return not len(next(iter(table.values())))


def _same(one: Table, other: Table) -> bool:
    return all(_equal(column, other[name]) for name, column in one.items())


def _news(table: Table, before: Table) -> dict[str, object]:
    """Return those columns of a part's source that are not as they were."""
    then = source_columns(before)
    return {name: column for name, column in source_columns(table).items() if not _equal(column, then[name])}


def _equal(one: np.ndarray | list, other: np.ndarray | list) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    return one is other or np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
