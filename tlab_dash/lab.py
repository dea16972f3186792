"""The lab: the whole first page as one viewer, and the clock that keeps it up to date."""

from __future__ import annotations

import logging
import time

import panel as pn
import param
from tornado.websocket import WebSocketClosedError

from tlab_core.experiment import Experiment, default_experiment
from tlab_core.parallel import cores
from tlab_dash import views
from tlab_dash.architecture_map import STATISTICS, ArchitectureMap, map_values, unavailable
from tlab_dash.changes import Changes
from tlab_dash.component import STATIC, Component
from tlab_dash.controls import Knobs
from tlab_dash.fleet import Fleet
from tlab_dash.live import LivePlot
from tlab_dash.run_bar import RunBar
from tlab_dash.runs_page import RunsPage
from tlab_dash.session import Session
from tlab_dash.sharing import Sharing, address_of_page, experiment_of, is_served
from tlab_dash.theme import DARK, LIGHT, THEMES, css_variables
from tlab_dash.time_travel import TimeTravel
from tlab_dash.trail import Breadcrumb, Probe
from tlab_dash.writing import Writing

REFRESH_MS = 200
# While a run trains, pictures are drawn so often that it takes this share of the machine: every 1.5 s on 2 cores, 0.4 s on
# 8. Six plots take a Chromium without a GPU 0.15 s of processor time, and five times a second took a third of 2 cores.
DRAWING_SHARE, DRAWING_SECONDS = 0.05, 0.15
TABS = ("signal", "layer_statistics")  # they share a card
PLOTS = ("loss", "heads", "attention", "signal", "qk", "layer_statistics")  # in the order in which they are drawn
# Before the page's own script runs, so that a dark room stays dark.
FIRST_PAINT = f"""
html, body {{ margin: 0; background: {LIGHT.background}; }}
@media (prefers-color-scheme: dark) {{ html, body {{ background: {DARK.background}; }} }}
"""
COLOURS = css_variables() + "html, body { margin: 0; background: var(--tlab-background); }"


class Shell(Component):
    """The grid of cards, the theme and the keyboard."""

    titles = param.Dict(default={}, doc="Heading of each card.")
    captions = param.Dict(default={}, doc="What each picture shows, in a sentence.")
    tab = param.Selector(default="signal", objects=list(TABS), doc="What the signal card shows.")
    statistics = param.List(default=[], doc="What the map can be coloured by: name, label, chosen, why not.")
    colours = param.String(default=COLOURS, doc="The theme's custom properties as css.")

    run_bar = pn.custom.Child()
    knobs = pn.custom.Child()
    map = pn.custom.Child()
    writing = pn.custom.Child()
    loss = pn.custom.Child()
    signal = pn.custom.Child()
    layer_statistics = pn.custom.Child()
    heads = pn.custom.Child()
    breadcrumb = pn.custom.Child()
    probe = pn.custom.Child()
    attention = pn.custom.Child()
    qk = pn.custom.Child()
    changes = pn.custom.Child()
    runs = pn.custom.Child()
    time = pn.custom.Child()

    _esm = STATIC / "shell.js"

    def __init__(self, lab: Lab, **params):
        super().__init__(sizing_mode="stretch_width", **params)
        self._lab = lab

    def tell(self, **state) -> None:
        """Change titles, captions or statistics on the page, by a message.

        As parameters they would go the way of the plots that are this component's children: Panel walks through all of
        their models each time, 60 ms beside a training run.
        """
        new = {name: value for name, value in state.items() if value != getattr(self, name)}
        if new:
            with param.parameterized.discard_events(self):
                self.param.update(**new)  # for a page that is yet to be drawn
            self._send_msg(new)

    def on_theme(self, theme: str) -> None:
        """Dress the plots in the theme that the page has."""
        if theme in THEMES:
            self._lab.dress(theme)

    def on_tab(self, tab: str) -> None:
        """Show the signal by depth, or the inside of the selected layer."""
        if tab in self.param.tab.objects:
            self.tab = tab
            self._lab.show()

    def on_statistic(self, statistic: str) -> None:
        """Colour the map by another statistic."""
        if statistic in STATISTICS:
            self._lab.map.statistic = statistic
            self._lab.show()

    def on_runs(self, opened: bool) -> None:
        """Show the runs page over the bench, or the bench again."""
        self._lab.show_runs(bool(opened))

    def uncover(self) -> None:
        """Take the runs page away, as if its own button had been pressed."""
        self._send_msg({"runs": False})

    def on_narrow(self, narrow: bool) -> None:
        """Draw the map for a phone, or for a screen."""
        self._lab.map.compact = bool(narrow)

    def on_room(self, room: list) -> None:
        """Lay the map out for the width and height that it has."""
        width, height = (float(pixels) for pixels in room)
        if width > 0:
            self._lab.map.drawing_height = min(1400.0, max(300.0, height * self._lab.map.drawing_width / width))

    def on_key(self, key: str) -> None:
        """Space trains or pauses, Escape lets go of the selection."""
        if key == "space":
            self._lab.session.toggle()
            self._lab.refresh()
        elif key == "escape":
            self._lab.session.selection.release()


class Lab(pn.viewable.Viewer):
    """The dashboard of one tab: `Lab().servable()` in an app.

    experiment  what to begin with where the page's address says nothing; the default is the first page's run
    fleet       the workers that train; the default is the one that all tabs of the server share
    """

    def __init__(self, experiment: Experiment | None = None, *, fleet: Fleet | None = None):
        super().__init__()
        asked, trouble = experiment_of(address_of_page())
        self.session = Session(asked or experiment, fleet=fleet)
        self.session.trouble = trouble
        self._theme = LIGHT
        self._drawn = None  # what the plots show, and of which step
        self._drawn_step = -1
        self._next_drawing = 0.0
        self._behind = False  # whether the pictures show less than what there is
        self._plots: dict[str, LivePlot] = {}
        self._boxes = {name: pn.Column(sizing_mode="stretch_both", margin=0) for name in PLOTS}
        self._runs_box = pn.Column(sizing_mode="stretch_both", margin=0)
        self._runs_page: RunsPage | None = None
        self.knobs = Knobs(self.session)
        self.sharing = Sharing(self.session, experiment or default_experiment())
        self.run_bar = RunBar(self.session, share=self.sharing)
        self.time = TimeTravel(self.session)
        self.writing = Writing(self.session)
        self.changes = Changes(self.session)
        self.breadcrumb = Breadcrumb(self.session)
        self.probe = Probe(self.session)
        self.map = ArchitectureMap(drawing_height=798, sizing_mode="stretch_both")
        self.map.param.watch(self._press_layer, "pressed")
        self.shell = Shell(
            self, titles=titles(0), captions=captions("signal"), run_bar=self.run_bar, knobs=self.knobs,
            map=self.map, writing=self.writing, changes=self.changes, breadcrumb=self.breadcrumb, probe=self.probe,
            runs=self._runs_box, time=self.time,
            **self._boxes,
        )
        self.session.param.watch(lambda event: self.knobs.refresh(), ["draft", "problems"])
        selected = self.session.selection.param
        selected.watch(lambda *events: self.show(), ["layer", "head", "position", "step", "pinned"])

    def __panel__(self):
        return self.shell

    def servable(self, title: str = "Transformer Intuition Lab", **keywords):
        """Serve the lab as the page of this session, and free its run when the tab is closed."""
        _forget_closed_tabs()
        pn.config.raw_css = [*pn.config.raw_css, FIRST_PAINT]
        pn.state.on_session_destroyed(lambda context: self.close())
        self.sharing.served = is_served()
        # Not before the browser has the page: what changes between sending the document and hearing that it has arrived
        # is dropped, so a model that is built in just that moment would never be seen.
        pn.state.onload(self._start_clock)
        return super().servable(title=title, **keywords)

    def _start_clock(self) -> None:
        self.refresh()
        pn.state.add_periodic_callback(self.refresh, period=REFRESH_MS)

    def refresh(self) -> None:
        """Show what the fleet has done since the last time: figures and text at once, pictures when it is time for them.

        While the runs page lies over the bench, its pictures wait.
        """
        self._behind |= self.session.poll()
        covered = self._runs_page is not None and self._runs_page.on_show
        if self._behind and not covered and (self.session.state != "training" or time.monotonic() >= self._next_drawing):
            self._behind = False
            self._next_drawing = time.monotonic() + DRAWING_SECONDS / (DRAWING_SHARE * cores())
            self.show()
        elif self._behind:
            with pn.io.hold():
                self.run_bar.refresh()
                self.sharing.refresh()
                self.writing.refresh()
        if self._runs_page is not None:
            self._runs_page.follow()
        if not self._plots:
            self._draw_next()

    def show(self) -> None:
        """Show the session's present state everywhere."""
        with pn.io.hold():
            self.run_bar.refresh()
            self.sharing.refresh()
            self.time.refresh()
            self.writing.refresh()
            self.changes.refresh()
            self.knobs.refresh()
            if self.session.run is None:
                self.map.update(self.session.experiment.architecture)
            else:
                self._show_run()

    def dress(self, theme: str) -> None:
        """Draw everything in the colours of a theme."""
        if THEMES[theme] is self._theme:
            return
        self._theme = self.probe.theme = THEMES[theme]
        with pn.io.hold():
            self.map.dark = self._theme.dark
            self.probe.refresh()
            for plot in self._plots.values():
                plot.rebuild(self._theme)
            if self._runs_page is not None:
                self._runs_page.dress(self._theme)

    def show_runs(self, opened: bool) -> None:
        """Show the runs page, which is made when it is first come to, or let it go."""
        if opened and self._runs_page is None:
            self._runs_page = RunsPage(self.session, self.shell.uncover, theme=self._theme)
            self._runs_box.append(self._runs_page)
        if opened:
            self._runs_page.open()
        elif self._runs_page is not None:
            self._runs_page.close()

    def close(self) -> None:
        """Let go of the runs; nothing trains any more."""
        if self._runs_page is not None:
            self._runs_page.close()
        self.session.close()
        self._drawn = None

    def _show_run(self) -> None:
        session, run = self.session, self.session.run
        layer, head, position = session.selection.resolve(run)
        self.shell.tell(titles=titles(layer), captions=captions(self.shell.tab))
        look = (self.shell.tab, self.map.statistic, session.selection.pinned, session.selection.step)
        seen = (run, session.ghost, session.state, layer, head, position, look)
        step = run.step
        if (seen, step) == (self._drawn, self._drawn_step):
            return
        new_run = self._drawn is None or self._drawn[0] is not run
        self._drawn, self._drawn_step = seen, step
        self._show_map(new_run)
        self.breadcrumb.refresh()
        self.probe.refresh()
        for name, plot in self._plots.items():
            if not (name in TABS and name != self.shell.tab):
                plot.refresh()

    def _draw_next(self) -> None:
        """Draw the next plot that is still missing, one at a time, so that text and buttons answer in between."""
        missing = [name for name in PLOTS if name not in self._plots]
        if not missing or self.session.run is None:
            return
        name = self.shell.tab if self.shell.tab in missing else missing[0]
        self._plots[name] = LivePlot(views.VIEWS.get(name), self.session, self._theme)
        self._boxes[name].append(self._plots[name].pane)
        if pn.state.curdoc is not None and len(missing) > 1:
            pn.state.curdoc.add_next_tick_callback(self._draw_next)

    def _show_map(self, new_run: bool) -> None:
        run, ghost = self.session.run, self.session.ghost
        looked_at = self.session.selection.step
        now = map_values(run, looked_at)
        then = map_values(ghost, now.step) if ghost is not None and now is not None else None
        broken = broken_part(run.divergence.site) if run.divergence is not None and looked_at is None else None
        self.map.selected = self.session.selection.resolve(run)[0]
        self.map.update(run.experiment.architecture, now, then, broken, new_run)
        chosen = self.map.statistic
        self.shell.tell(statistics=[
            {"name": name, "label": label, "chosen": name == chosen, "unavailable": unavailable(name, now, then)}
            for name, label in STATISTICS.items()
        ])

    def _press_layer(self, event) -> None:
        if self.session.run is not None and "layer" in event.new:
            self.session.selection.choose(self.session.run, layer=int(event.new["layer"]))
            self.shell.on_tab("layer_statistics")


def _forget_closed_tabs() -> None:
    """Keep it out of the server's log that a tab was closed while something was on its way there."""

    def worth_telling(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], WebSocketClosedError))

    logger = logging.getLogger("asyncio")
    if not any(kept.__name__ == worth_telling.__name__ for kept in logger.filters if hasattr(kept, "__name__")):
        logger.addFilter(worth_telling)


def broken_part(site: str) -> str:
    """Return the part of the map in which a trace site lies.

    >>> broken_part("blocks.3.scores"), broken_part("blocks.0.preactivation.gradient"), broken_part("residual.2")
    ('blocks.3.attention', 'blocks.0.mlp', 'residual.2')
    """
    parts = site.removesuffix(".gradient").split(".")
    if parts[0] != "blocks":
        return ".".join(parts[:2])
    inside = parts[2] in ("norm2", "post_norm2", "preactivation", "activation", "mlp")
    return f"blocks.{parts[1]}.{'mlp' if inside else 'attention'}"


def titles(layer: int) -> dict[str, str]:
    """Return the headings of the cards while `layer` is selected."""
    found = {name: views.VIEWS.get(name).title for name in PLOTS}
    return found | {"heads": f"Heads of layer {layer}", "layer_statistics": f"Inside layer {layer}"}


def captions(tab: str) -> dict[str, str]:
    """Return a sentence for each picture; the signal card's is that of the tab on show."""
    found = {name: views.VIEWS.get(name).caption for name in PLOTS}
    return found | {"depth": found[tab]}
