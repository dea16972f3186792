"""The lab: the whole first page as one viewer, and the clock that keeps it up to date."""

from __future__ import annotations

import math
import time
import weakref

import panel as pn

from tlab_core.experiment import Experiment, default_experiment
from tlab_core.parallel import cores
from tlab_dash import views
from tlab_dash.architecture_map import STATISTICS, ArchitectureMap, broken_part, map_values, unavailable
from tlab_dash.changes import Changes
from tlab_dash.closed_tabs import forget_closed_tabs, is_shown, keep_out_of_the_log
from tlab_dash.coming_back import BROWSER_TABS, LONGEST_NAME, Return
from tlab_dash.component import waiting_box
from tlab_dash.controls import Knobs
from tlab_dash.first_paint import show_at_once
from tlab_dash.fleet import Fleet
from tlab_dash.lessons.card import LessonCard
from tlab_dash.limits import PLACES
from tlab_dash.live import LivePlot
from tlab_dash.notebooks import Shown, gathered, kernel, later, running_loop
from tlab_dash.pages import PAGES, Board
from tlab_dash.run_bar import RunBar
from tlab_dash.runs_page import RunsPage
from tlab_dash.session import Session
from tlab_dash.sharing import Sharing, address_of_page, experiment_of, is_served, token_of_page
from tlab_dash.shell import TABS, Shell
from tlab_dash.soon import soon
from tlab_dash.spare_memory import give_back_soon
from tlab_dash.theme import LIGHT, THEMES
from tlab_dash.time_travel import TimeTravel
from tlab_dash.trail import Breadcrumb, Probe
from tlab_dash.waiting import WaitingRoom
from tlab_dash.writing import Writing

TITLE = "Transformer Intuition Lab"
REFRESH_MS = 200
FIRST_RUN = 20  # seconds that a notebook's cell waits for the first run at most
# While a run trains, pictures are drawn so often that it takes this share of the machine: every 2 s on 2 cores, 0.5 s on
# 8. Six plots take a Chromium without a GPU 0.1 s of processor time, and a step of training waits for the slower core.
DRAWING_SHARE, DRAWING_SECONDS = 0.025, 0.1
RUNS = {"name": "runs", "title": "Runs", "tall": 0}  # this page lies over the knobs too, as they turn none of its runs
PLOTS = ("loss", "heads", "attention", "signal", "qk", "layer_statistics")  # in the order in which they are drawn


class Lab(Shown):
    """The dashboard: `Lab().servable()` in an app for each tab, `Lab()` in a notebook for a cell.

    experiment  what to begin with where the page's address says nothing; the default is the first page's run
    fleet       the workers that train; the default is the one that all tabs of the server share

    In a notebook it trains beside the cells, until `close()`, or until it is in no output and nobody holds it any more.
    Raises TypeError for what is no Experiment.
    """

    def __init__(self, experiment: Experiment | None = None, *, fleet: Fleet | None = None):
        if not isinstance(experiment, Experiment | None):
            raise TypeError(f"experiment = {experiment!r} is not allowed: it must be an Experiment. Of a run, "
                            "Lab(run.experiment) begins another with the same settings; views.live(run) shows this one.")
        super().__init__()
        asked, trouble = experiment_of(address_of_page())
        self.session = Session(asked or experiment, fleet=fleet)
        self.session.trouble = trouble
        self._theme = LIGHT
        self._loop = None  # a notebook's, which the clock goes by there
        self._drawn = None  # what the plots show, and of which step
        self._drawn_step = -1
        self._next_drawing = 0.0
        self._behind = False  # whether the pictures show less than what there is
        self._due: list[str] = []  # the plots that are to be written to at the next refreshes, in this order
        self._plots: dict[str, LivePlot] = {}
        self._boxes = {name: waiting_box() for name in PLOTS}
        self._page_box, self._runs_box = waiting_box(), waiting_box()
        self._runs: RunsPage | None = None  # made when it is first come to
        self._page: Board | RunsPage | None = None  # the one on show; None is the bench
        self._wanted = ""  # the page that was asked for last
        self._turning = self._drawing = False  # whether the next page, or the next picture of the bench, is on its way
        self._token = ""  # of the place that was kept for this page
        self._is_there = lambda: True  # whether a browser shows it
        self._return: Return | None = None  # what the tab showed before, while it is on its way
        self.knobs = Knobs(self.session)
        self.sharing = Sharing(self.session, experiment or self.session.limits.opening(default_experiment()))
        self.run_bar = RunBar(self.session, share=self.sharing)
        self.time = TimeTravel(self.session)
        self.writing = Writing(self.session)
        self.changes = Changes(self.session)
        self.breadcrumb = Breadcrumb(self.session)
        self.probe = Probe(self.session)
        self.map = ArchitectureMap(drawing_height=798, sizing_mode="stretch_both")
        self.map.param.watch(self._press_layer, "pressed")
        self.lesson_card = LessonCard(self.session, self._turn_leaf, self._flip, lambda: self.shell.turn_to("lessons"))
        self.shell = Shell(
            self, titles=titles(0, 0), captions=captions("signal"), run_bar=self.run_bar, knobs=self.knobs,
            lesson_card=self.lesson_card,
            map=self.map, writing=self.writing, changes=self.changes, breadcrumb=self.breadcrumb, probe=self.probe,
            page=self._page_box, runs=self._runs_box, time=self.time,
            pages=[*({"name": name, "title": page.title, "tall": page.tall} for name, page in PAGES.items()
                     if page.when()), RUNS],
            **self._boxes,
        )
        self.session.param.watch(lambda event: self.knobs.refresh(), ["draft", "problems"])
        self.session.param.watch(lambda event: self.changes.refresh(), "problems")
        self.session.param.watch(lambda event: self._turn_leaf(), "lesson")
        selected = self.session.selection.param
        selected.watch(lambda *events: self._select(), [name for name in self.session.selection.param if name != "name"])

    def __panel__(self):
        if self.session.closed:
            raise RuntimeError("this lab was closed: make another, Lab(), or Lab(lab.session.experiment) with its settings")
        if kernel() is not None and not is_served():
            self._embed()
        return self.shell

    def _embed(self) -> None:
        """Be a part of a notebook: draw what there is to draw before it is shown, and from then on follow the run."""
        self.shell.embedded = True
        started = self._loop is not None
        self._loop = running_loop() or self._loop
        deadline = time.monotonic() + FIRST_RUN
        while time.monotonic() < deadline and not (self.session.message or (self.session.text and self.session.text.done)):
            time.sleep(0.02)
            self.refresh()
        self._catch_up()
        if not started:
            later(self._tick, self._loop, REFRESH_MS / 1000)

    def _tick(self) -> None:
        """What a server's clock does, in a notebook: until the browser has drawn it, nothing is written."""
        try:
            if self.shell.is_drawn:
                with gathered(self.shell):
                    self.refresh()
        finally:
            later(self._tick, self._loop, REFRESH_MS / 1000)

    def _catch_up(self) -> None:
        with gathered(self.shell):
            self._hear()
            if self._behind:
                self._behind = False
                self.show()
            self._draw_next()

    def _hear(self) -> None:
        if self.session.poll():
            self._behind, self._news = True, self._news + 1

    def servable(self, title: str = TITLE, **keywords):
        """Serve the lab as the page of this session, and free its run when the tab is closed.

        Where the server has no place left, a page that says so and waits for one is served instead.
        """
        keep_out_of_the_log()
        places, self._token = self.session.limits.sessions, token_of_page()
        if not PLACES.send(self, places, self._token):
            self.close()
            return WaitingRoom(places).servable(title=title)
        show_at_once(pn.state.curdoc)
        pn.state.on_session_destroyed(lambda context: self._leave())
        document = weakref.ref(pn.state.curdoc)  # what others ask may outlive the page
        self._is_there = lambda: document() is not None and is_shown(document())
        self.sharing.served = is_served()
        # Not before the browser has the page: what changes between sending the document and hearing that it has arrived
        # is dropped, so a model that is built in just that moment would never be seen.
        self.shell.is_coming = True
        pn.state.onload(self._start_clock)
        # Without Panel's model of the address, which answers each Back with an entry of its own, without the settings.
        return super().servable(title=title, location=False, **keywords)

    def _start_clock(self) -> None:
        if not PLACES.take(self, self.session.limits.sessions, self._token, self._is_there):
            self.close()
            self.shell.turn_away()
            return
        with pn.io.hold():
            self.shell.has_come()
            self.refresh()
        # The document's own: with those of Panel, counting what is busy costs a tenth of a refresh.
        pn.state.curdoc.add_periodic_callback(self.refresh, REFRESH_MS)

    def come_back(self, tab: str) -> None:
        """Note which tab this page is in, by the tab's name; what it showed before it was loaded again goes on."""
        if len(tab) <= LONGEST_NAME:
            self._return = BROWSER_TABS.show(tab, self.session, self._is_there)
            self._take_over()

    def _take_over(self) -> None:
        if self._return is not None and self._return.is_over():
            self._return = None

    def refresh(self) -> None:
        """Show what the fleet has done since the last time: figures and text at once, pictures when it is time for them.

        While a page is on show, the bench's pictures wait.
        """
        if self.session.closed:
            return
        forget_closed_tabs()
        self._take_over()
        self._hear()
        # A new run is drawn at once: beside its step and text, pictures of the one before would be taken for its own.
        new_run = self._page is None and self._drawn is not None and self._drawn[0] is not self.session.run
        due = new_run or self.session.state != "training" or time.monotonic() >= self._next_drawing
        with pn.io.hold():  # one message, which costs the browser one frame
            self._mark()
            if self._behind and due:
                self._behind = False
                self._next_drawing = time.monotonic() + drawing_pace()
                self.show(in_turn=self.session.state == "training" and not new_run)
            elif self._behind:
                self.run_bar.refresh()
                self.sharing.refresh()
                self.writing.refresh()
                self._show_lesson()
            if self._page is None and not self._drawing:
                self._draw_next()
            if self._due and self._page is None:
                for _ in range(math.ceil(len(PLOTS) * REFRESH_MS / 1000 / drawing_pace())):
                    self._refresh_next()

    def show(self, in_turn: bool = False) -> None:
        """Show the session's present state everywhere; `in_turn`, the bench's plots at the next refreshes.

        A browser without a GPU takes 25 ms for a plot. All of them at once would hold up a click for the time of six.
        """
        with pn.io.hold():
            self.run_bar.refresh()
            self.sharing.refresh()
            self.time.refresh()
            self.writing.refresh()
            self.changes.refresh()
            self.knobs.refresh()
            self._show_lesson()
            if self._page is not None:
                self._page.follow()
            elif self.session.run is None:
                self.map.update(self.session.experiment.architecture)
            else:
                self._show_run(in_turn)

    def _mark(self) -> None:
        """Mark what is drawn while it is of the run before, as a new one is being built; make room for a bad address."""
        session = self.session
        self.shell.tell(building=session.building and session.run is not None, trouble=bool(session.trouble))

    def _select(self) -> None:
        """Show what was selected: the map of its attention first, which the click was most likely for."""
        if self._page is None and self.session.run is not None and "attention" in self._plots:
            self._plots["attention"].refresh()
            soon(self.show)
        else:
            self.show()

    def dress(self, theme: str) -> None:
        """Draw everything in the colours of a theme."""
        if THEMES[theme] is self._theme:
            return
        self._theme = self.probe.theme = THEMES[theme]
        with pn.io.hold():
            self.map.dark = self._theme.dark
            self.probe.refresh()
            for dressed in (*self._plots.values(), *{self._page, self._runs} - {None}):
                dressed.dress(self._theme)

    def show_page(self, name: str) -> None:
        """Turn to a page in place of the bench, which is "". Of several asked for in a row, only the last is drawn."""
        if name == self._wanted:
            return
        self._wanted = name
        if self._page is not None:
            self._page.close()
        if name == RUNS["name"]:
            self._turn()  # nothing is drawn before a run is chosen
        elif not self._turning:
            self._turning = True
            soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        if self._page is not None and self._page.on_show:
            return  # the runs, which were turned to while this was on its way
        with pn.io.hold():
            self._page = self._make_page(self._wanted)
            self._page_box[:] = [self._page] if isinstance(self._page, Board) else waiting_box().objects
            if self._page is not None:
                self._page.open()
            self.show()

    def _make_page(self, name: str) -> Board | RunsPage | None:
        if name != RUNS["name"]:
            return Board(PAGES.get(name), self.session, self._theme) if name else None
        if self._runs is None:
            self._runs = RunsPage(self.session, lambda: self.shell.turn_to(""), theme=self._theme)
            self._runs_box[:] = [self._runs]
        return self._runs

    def close(self) -> None:
        """Let go of the runs; nothing trains any more."""
        if self._page is not None:
            self._page.close()
        self.session.close()
        self._loop = None
        PLACES.leave(self)
        self._drawn = None

    def _leave(self) -> None:
        self.close()
        give_back_soon()

    def _show_run(self, in_turn: bool) -> None:
        session, run = self.session, self.session.run
        layer, head, position = session.selection.resolve(run)
        self.shell.tell(titles=titles(layer, head), captions=captions(self.shell.tab))
        look = (
            self.shell.tab, self.map.statistic, session.selection.pinned, session.selection.step, session.selection.scale)
        # The step is counted before the model was looked into, so it alone doesn't tell what there is to draw.
        looked_into = run.recorder.last_step("residual")
        seen = (run, session.ghost, session.state, layer, head, position, look, looked_into)
        step = run.step
        if (seen, step) == (self._drawn, self._drawn_step):
            return
        new_run = self._drawn is None or self._drawn[0] is not run
        self._drawn, self._drawn_step = seen, step
        self._show_map(new_run)
        self.breadcrumb.refresh()
        self.probe.refresh()
        on_show = [name for name in self._plots if not (name in TABS and name != self.shell.tab)]
        # Those that are still due come first, or a plot at the end would wait for ever on a machine that falls behind.
        self._due = [*(name for name in self._due if name in on_show), *(name for name in on_show if name not in self._due)]
        while self._due and not in_turn:
            self._refresh_next()

    def _refresh_next(self) -> None:
        if self._due:
            self._plots[self._due.pop(0)].refresh()

    def _draw_next(self) -> None:
        """Draw the next plot that is still missing, one at a time, so that text and buttons answer in between."""
        self._drawing = False
        missing = [name for name in PLOTS if name not in self._plots]
        if not missing or self.session.run is None or self._page is not None:
            return
        name = self.shell.tab if self.shell.tab in missing else missing[0]
        self._plots[name] = LivePlot(views.VIEWS.get(name), self.session, self._theme)
        self._boxes[name][:] = [self._plots[name].pane]
        if len(missing) > 1:
            self._drawing = True
            soon(self._draw_next)

    def _show_map(self, new_run: bool) -> None:
        run, ghost = self.session.run, self.session.ghost
        if self.lesson_card.on_map is not None:
            run, ghost = self.lesson_card.on_map, None
        looked_at = self.session.selection.step
        now = map_values(run, looked_at)
        then = map_values(ghost, now.step) if ghost is not None and now is not None else None
        broken = broken_part(run.divergence.site) if run.divergence is not None and looked_at is None else None
        self.map.selected = self.session.selection.resolve(run)[0]
        self.map.update(run.experiment.architecture, now, then, broken, new_run)
        if self.session.single_step == run.step and looked_at is None and now is not None and now.step == run.step:
            self.session.single_step = None
            self.map.sweep()
        chosen = self.map.statistic
        self.shell.tell(statistics=[
            {"name": name, "label": label, "chosen": name == chosen, "unavailable": unavailable(name, now, then)}
            for name, label in STATISTICS.items()
        ])

    def _turn_leaf(self) -> None:
        """Show another step of the lesson, or that it is over, everywhere."""
        self.show()
        self._flip()

    def _flip(self) -> None:
        """Draw the map alone: a lesson may show another run's there, and no other picture changes with it."""
        if self.session.run is not None and self._page is None:
            self._show_map(new_run=False)

    def _show_lesson(self) -> None:
        self.lesson_card.refresh()
        taking = self.session.lesson
        if taking is not None and taking.doing == "racing" and "layer_statistics" in taking.lesson.views:
            self.shell.tab = "layer_statistics"
        self.shell.tell(lesson=taking.lesson.name if taking is not None else "", bright=self.lesson_card.bright)

    def _press_layer(self, event) -> None:
        if self.session.run is not None and "layer" in event.new:
            self.session.selection.choose(self.session.run, layer=event.new["layer"])
            self.shell.on_tab("layer_statistics")


def drawing_pace() -> float:
    """Return how many seconds lie between two drawings of all pictures while a run trains."""
    return DRAWING_SECONDS / (DRAWING_SHARE * cores())


def titles(layer: int, head: int) -> dict[str, str]:
    """Return the headings of the cards while this layer and head are selected."""
    return {name: views.VIEWS.get(name).headed(layer, head) for name in PLOTS}


def captions(tab: str) -> dict[str, str]:
    """Return a sentence for each picture; the signal card's is that of the tab on show."""
    found = {name: views.VIEWS.get(name).caption for name in PLOTS}
    return found | {"depth": found[tab]}
