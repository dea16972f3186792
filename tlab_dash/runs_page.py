"""The runs page: a sheet over the bench with the list of saved runs, one of them looked at, and their comparison."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

import panel as pn
import param

from tlab_core.runs import RunError, RunStore
from tlab_core.runs.store import default_folder
from tlab_dash import compare_address
from tlab_dash.compare_page import ComparePage
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.run_details import RunDetails
from tlab_dash.runs_list import RUNS_STYLE, RunsList
from tlab_dash.session import Session
from tlab_dash.sharing import address_of_page, is_served
from tlab_dash.theme import LIGHT, Theme

TABS = ("list", "compare")


class RunsPage(Component):
    """The runs of one folder beside one session. Nothing is read before it is opened.

    leave  called when the page is to give way to the bench
    store  the runs; None takes the folder that $TLAB_RUNS names, or `runs`
    """

    tab = param.Selector(default="list", objects=list(TABS), doc="What is on show.")
    ticked = param.Integer(default=0, doc="How many runs are ticked.")
    looking = param.Boolean(default=False, doc="Whether a run is looked at.")
    comparing = param.String(default=None, allow_None=True, doc=(
        "What the page's address is to say of the comparison; empty: that there is none. None leaves it as it is."))
    every_run = pn.custom.Child()
    one_run = pn.custom.Child()
    several_runs = pn.custom.Child()

    _esm = STATIC / "runs_page.js"
    _stylesheets = [STYLE, RUNS_STYLE]

    def __init__(self, session: Session, leave: Callable[[], None], store: RunStore | None = None, theme: Theme = LIGHT):
        store = store or RunStore(default_folder())
        runs = RunsList(store, session)
        run = RunDetails(store, self._act, runs.rename, theme, session)
        comparison = ComparePage(store, session, lambda: runs.ticked, theme)
        super().__init__(sizing_mode="stretch_both", every_run=runs, one_run=run, several_runs=comparison)
        self.runs, self.run, self.comparison = runs, run, comparison
        self._session, self._leave, self._store = session, leave, store
        self.on_show = False
        self._asked = dict(parse_qsl(address_of_page())).get(compare_address.FIELD) if is_served() else None
        self.comparison.param.watch(lambda event: self._note(), "state")
        self.runs.param.watch(lambda event: self._tick(), "ticked")
        self.runs.param.watch(lambda event: self._look(), "opened")

    def open(self) -> None:
        """Read the folder, as it is each time the page is come to."""
        self.on_show = True
        if self._asked is not None:
            self._ask(self._asked)
            self._asked = None
        if self.tab == "compare":
            self.comparison.refresh()
        self.runs.refresh()
        self._note()

    def follow(self) -> None:
        """Let the comparison follow a run that trains."""
        if self.on_show and self.tab == "compare":
            self.comparison.follow()

    def close(self) -> None:
        """Let go of what was read."""
        self.on_show = False
        self.runs.opened = None
        self.comparison.forget()
        self._note()

    def dress(self, theme: Theme) -> None:
        """Draw the plots in the colours of a theme."""
        self.run.dress(theme)
        self.comparison.dress(theme)

    def on_tab(self, tab: str) -> None:
        """Show the list, or the comparison."""
        if tab in TABS:
            self.tab = tab
            if tab == "compare":
                self.comparison.refresh()
            self._note()

    def _ask(self, text: str) -> None:
        """Show the comparison that the page's address asked for."""
        names, choice, wrong = compare_address.read(text)
        self.runs.ticked = names
        self.comparison.ask(choice, wrong)
        self.tab = "compare"

    def _note(self) -> None:
        """Let the page's address say what is compared, while that is on show."""
        if is_served():
            self.comparing = self.comparison.address if self.on_show and self.tab == "compare" else ""

    def _tick(self) -> None:
        self.ticked = len(self.runs.ticked)
        self._note()

    def _look(self) -> None:
        self.looking = self.runs.opened is not None
        self.run.look_at(self.runs.opened)

    def _act(self, action: str, name: str) -> None:
        """Do with a run what its buttons say."""
        if action == "close":
            self.runs.on_close(None)
            return
        try:
            if action == "start":
                self._session.start(self._store.open(name).experiment)
            else:
                self._session.resume(self._store, name)
        except RunError as error:
            self.run.complain(str(error))
        else:
            self._leave()
