"""Views of one run side by side, which share a selection and follow the run wherever it trains.

Nothing watches the clock. The history says when there is a record, in the thread that trains: a cell's loop, a thread, the
fleet. There, at most so often that training keeps its speed, the figures are written to and what was written is pushed out.
What was recorded after the last time is shown when the cell ends, or when the notebook's own thread is free.
"""

from __future__ import annotations

import time
import weakref
from contextlib import nullcontext
from html import escape
from types import SimpleNamespace
from typing import Any

import panel as pn
import param
from bokeh.models import Div

from tlab_core.parallel import cores
from tlab_core.registry import did_you_mean
from tlab_dash.live import LivePlot
from tlab_dash.notebooks import WRITING, Outermost, Shown, gathered, is_answered, knock, later, reached, running_loop
from tlab_dash.selection import Selection
from tlab_dash.theme import Theme, css_variable
from tlab_dash.time_travel import TimeTravel
from tlab_dash.trail import PARTS, TRAIL, Breadcrumb
from tlab_dash.views.asked import run_of, selected, theme_of
from tlab_dash.views.view import VIEWS, View

PACE = 0.25  # seconds between two refreshes at least
WAIT = 60  # seconds after a record for a browser that does not answer
DRAWN_BY = 2.0  # seconds after it has opened its side of a connection in which a browser draws
SHARE = 0.05  # of the time, at most, that refreshes take from training
DRAWING = 0.025  # seconds that a browser without a GPU draws a plot for, on the machine that trains
WHOLE = ("loss", "learning_rate", "gradient_norm", "speed")  # they show a whole run, and no layer or step of it
HEIGHT, NARROWEST, GAP = 380, 300, 16  # of a card, in pixels; between two of them


class LiveViews(Shown):
    """One or several views of a run, live; see `views.live`. It is shown anew each time, all with the same selection.

    `stop()` lets go of the run; what is on show stays as it is. A row that nobody holds and that is in no output goes by
    itself.
    """

    selection = param.ClassSelector(class_=Selection, constant=True, doc="What is looked at, in all of the views.")
    theme = param.ClassSelector(class_=Theme, constant=True, doc="The colours.")

    def __init__(self, run: Any, *shown: Any, ghost: Any = None, selection: Selection | None = None,
                 theme: Theme | str = "light", selects: tuple[str, ...] | None = None, **chosen: Any):
        run, ghost = run_of(run), None if ghost is None else run_of(ghost)
        self.views = [view_of(one) for one in shown or ("loss",)]
        self.selects = selects_of(self.views, selects)
        super().__init__(selection=selected(run, selection, chosen), theme=theme_of(theme))
        # What plots, selects and the slider take for a session.
        self.looked_at = SimpleNamespace(run=run, ghost=ghost, selection=self.selection, touch=lambda: None)
        self._rows: weakref.WeakSet[Row] = weakref.WeakSet()
        self._loop = None
        self._behind = False  # whether the pictures show less than what there is
        self._coming = False  # whether they will be refreshed when the notebook's thread is free
        self._next = self._newest = 0.0  # when the next refresh may come, and when the last record came
        self._next_look, self._looked = 0.0, -1  # when the run may be measured once more, and at which step it was
        self._measure()
        self._links = [_Link(self, one.recorder) for one in (run, ghost) if one is not None]
        self._watcher = self.selection.param.watch(
            _select_of(weakref.ref(self)), [name for name in self.selection.param if name != "name"])

    def __panel__(self) -> Row:
        self._loop = running_loop() or self._loop
        with WRITING:
            row = Row(self)
            self._rows.add(row)
        return row

    def __repr__(self) -> str:
        return f"views.live(run at step {self.looked_at.run.step}, {', '.join(repr(view.name) for view in self.views)})"

    def stop(self) -> None:
        """Follow the run no more."""
        for link in self._links:
            link.cut()
        self._links = []
        if self._watcher is not None:
            self.selection.param.unwatch(self._watcher)
            self._watcher = None

    def refresh(self) -> None:
        """Show everything that is recorded by now."""
        self._behind = False
        began = time.monotonic()
        with WRITING:
            for row in list(self._rows):  # a copy, as another cell may be showing one more
                if row.is_on_show:
                    self._behind |= not row.refresh()
        spent = time.monotonic() - began
        self._next = time.monotonic() + max(PACE, spent / SHARE, len(self.views) * DRAWING / (SHARE * cores()))

    def _catch_up(self) -> None:
        """Refresh, at the end of a cell."""
        if self._behind or self._unmeasured():
            self._next_look = 0.0
            self._measure()
            self.refresh()

    def _recorded(self) -> None:
        """There is a new record; called in the thread that trains."""
        self._behind, self._news = True, self._news + 1
        self._newest = time.monotonic()
        if time.monotonic() >= self._next:
            self.refresh()
        if self._behind and not self._coming:
            self._coming = later(self._when_free, self._loop, PACE)

    def _when_free(self) -> None:
        self._coming = False
        if self._behind:
            self._measure()
            self.refresh()
        self._behind |= self._unmeasured()
        if self._behind and time.monotonic() < self._newest + WAIT:
            self._coming = later(self._when_free, self._loop, PACE)

    def _selected(self) -> None:
        self._news, self._newest = self._news + 1, time.monotonic()
        self.refresh()
        self._behind = True  # what has to be measured waits until the run stands still
        if not self._coming:
            self._coming = later(self._when_free, self._loop, 0.0)

    def _unmeasured(self) -> bool:
        """Return whether the model has learned since what views need beside the history was taken."""
        run = self.looked_at.run
        return run.step != self._looked and any(view.needs for view in self.views)

    def _measure(self) -> None:
        """Take what views need beside the history, if the model has learned since or another layer is looked at."""
        run, needed = self.looked_at.run, [view for view in self.views if view.needs]
        if not needed:
            return
        began = time.monotonic()
        anew = run.step != self._looked and began >= self._next_look
        with run.trainer.standing_still() if hasattr(run, "trainer") else nullcontext():
            for view in needed:
                view.measure(run, self.selection, anew)
            self._looked = run.step if anew else self._looked
        if anew:
            self._next_look = time.monotonic() + (time.monotonic() - began) / SHARE


class Row(Outermost, pn.Column):
    """The pictures of `LiveViews` in one output, under the selects, and the slider below."""

    def __init__(self, shown: LiveViews):
        looked_at = shown.looked_at
        self.shown = shown  # or it would go while it is on show
        self.must_resend = False
        self._since, self._knocks = time.monotonic(), 0
        self._opened: float | None = None  # when the browser had opened its side of the connection
        self._drawn = False  # whether it has said that it has drawn
        self._plots = [LivePlot(view, looked_at, shown.theme) for view in shown.views]
        # Bokeh's own, as Panel's text asks a CDN for its style sheets anew whenever it changes.
        self._titles = [Div(text=self._title(view), styles={"color": shown.theme.text}) for view in shown.views]
        self._selects = Breadcrumb(looked_at, shown.selects, margin=0) if shown.selects else None
        over_time = not all(view.name in WHOLE for view in shown.views)
        self._time = TimeTravel(looked_at, margin=0, height=32) if over_time else None
        cards = [
            pn.Column(pn.pane.Bokeh(title, margin=0), plot.pane, margin=0, height=HEIGHT, styles={
                "flex": f"1 1 {NARROWEST}px", "max-width": f"{plot.view.size[0] * HEIGHT / plot.view.size[1]:.0f}px"})
            for title, plot in zip(self._titles, self._plots, strict=True)
        ]
        pictures = pn.FlexBox(*cards, gap=f"{GAP}px", sizing_mode="stretch_width", margin=0)
        super().__init__(
            *filter(None, [self._selects, pictures, self._time]), sizing_mode="stretch_width",
            stylesheets=[row_style(shown.theme)], css_classes=["tlab-row"],
        )

    @property
    def is_on_show(self) -> bool:
        """Return whether it is in an output, a layout or a page."""
        return bool(self._plots[0].pane._models)

    def refresh(self) -> bool:
        """Show the present state; return whether that could be sent to where it is on show."""
        document = self._plots[0].figure.document
        if document is not None and document.session_context is not None and pn.state.curdoc is not document:
            document.add_next_tick_callback(self._write)
            return True
        if not self._drawn:
            self._drawn = self.is_drawn
            if self._opened is None and is_answered(self):
                self._opened = time.monotonic()
            before, self._knocks = self._knocks, knock(self, self._since, self._knocks)
            self.must_resend |= self._drawn or self._knocks > before
        # A browser that has opened its side is about to draw. What it says then may wait until a busy cell has ended.
        about_to_draw = self._opened is not None and time.monotonic() < self._opened + DRAWN_BY
        if not reached(self) or (about_to_draw and not self._drawn):
            return False
        self._write()
        return True

    def _write(self) -> None:
        with gathered(self):
            resend, self.must_resend = self.must_resend, False
            for plot, title in zip(self._plots, self._titles, strict=True):
                plot.refresh(all_of_it=resend)
                words = self._title(plot.view)
                if title.text != words:
                    title.text = words
            for part in (self._selects, self._time):
                if part is not None:
                    part.refresh()

    def _title(self, view: View) -> str:
        layer, head, _ = self.shown.selection.resolve(self.shown.looked_at.run)
        return f'<b title="{escape(view.caption)}">{escape(view.headed(layer, head))}</b>'


class _Link:
    """What hears of a history's records; the history does not keep alive whom it tells."""

    def __init__(self, shown: LiveViews, recorder: Any):
        self._shown, self._recorder = weakref.ref(shown), recorder
        if hasattr(recorder, "subscribe"):  # a saved run's gets no more records
            recorder.subscribe(self._hear)

    def cut(self) -> None:
        if hasattr(self._recorder, "unsubscribe"):
            self._recorder.unsubscribe(self._hear)

    def _hear(self, group: str, record: dict) -> None:
        shown = self._shown()
        if shown is None:
            self.cut()
        elif group in ("train", "parameters"):  # after each step, and when a look inside is complete
            shown._recorded()


def view_of(shown: Any) -> View:
    """Return a view, given as such or by its name. Raises UnknownNameError for an unknown name, TypeError for no name."""
    if isinstance(shown, View):
        return shown
    if not isinstance(shown, str):
        raise TypeError(f'{shown!r} is no view: give names such as "loss" and "attention", or views such as views.loss.')
    return VIEWS.get(shown)


def selects_of(views: list[View], asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return which parts of the selection can be chosen above the views; ValueError for one that there is not."""
    if asked is None:
        return () if all(view.name in WHOLE for view in views) else TRAIL
    for part in asked:
        if part not in PARTS:
            allowed = ", ".join(map(repr, PARTS))
            raise ValueError(f"selects = {asked!r} is not allowed: it may name {allowed}.{did_you_mean(part, PARTS)}")
    return tuple(asked)


def row_style(theme: Theme) -> str:
    """Return the css of a row: the theme's colours for all that is in it, whatever the page around it looks like."""
    colours = " ".join(f"{css_variable(name)}: {value};" for name, value in vars(theme).items() if name != "name")
    return f"""
:host {{ {colours} padding: 8px 12px; border-radius: 8px; background: {theme.surface}; color: {theme.text};
  color-scheme: {"dark" if theme.dark else "light"}; --crumbs-padding: 0; }}
"""


def _select_of(there: weakref.ref) -> Any:
    def select(*_) -> None:
        shown = there()
        if shown is not None:
            shown._selected()

    return select
