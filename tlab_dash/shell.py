"""The page's frame: a slot for each card, the tabs, the theme and the keyboard. What it hears it passes on to the lab."""

from __future__ import annotations

import panel as pn
import param

from tlab_core.registry import UnknownNameError
from tlab_dash.architecture_map import STATISTICS
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.lessons.card import LESSON_STYLE
from tlab_dash.limits import TOKEN
from tlab_dash.notebooks import Outermost
from tlab_dash.theme import THEMES, css_variables
from tlab_dash.views.roles import KEY
from tlab_dash.words import on_the_page

TABS = ("signal", "layer_statistics")  # they share a card
COLOURS = css_variables() + "html, body { margin: 0; background: var(--tlab-background); }"
ARROWS = {"left": {"heads": -1}, "right": {"heads": 1}, "up": {"layers": -1}, "down": {"layers": 1}}  # as the map is drawn
BRACKETS = {"[": -1, "]": 1}


class Shell(Outermost, Component):
    """The grid of cards, the theme and the keyboard."""

    titles = param.Dict(default={}, doc="Heading of each card.")
    captions = param.Dict(default={}, doc="What each picture shows, in a sentence.")
    tab = param.Selector(default="signal", objects=list(TABS), doc="What the signal card shows.")
    statistics = param.List(default=[], doc="What the map can be coloured by: name, label, chosen, why not.")
    pages = param.List(default=[], doc="name, title and height of its cards on a phone, of each page.")
    lesson = param.String(default="", doc="The lesson that is on, by name.")
    bright = param.List(default=[], doc="The views that the lesson is about; the others are dimmed.")
    building = param.Boolean(default=False, doc="Whether what is drawn is of the run before, as a new one is being built.")
    trouble = param.Boolean(default=False, doc="Whether What changed has to tell what is wrong with the page's address.")
    keys = param.Dict(default={"heads": {"title": "What the names say", "rows": KEY}}, constant=True, doc=(
        "What the names on a card mean: a title, and rows of a name and its meaning."))
    words = param.List(default=on_the_page(), constant=True, doc="Words that stand about the page, and what each means.")
    colours = param.String(default=COLOURS, doc="The theme's custom properties as css.")
    token = param.String(default=TOKEN, constant=True, doc="The name under which an address brings along a kept place.")
    embedded = param.Boolean(default=False, doc="Whether it is a part of a page that is not its own, such as a notebook.")

    run_bar = pn.custom.Child()
    knobs = pn.custom.Child()
    lesson_card = pn.custom.Child()
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
    page = pn.custom.Child()
    runs = pn.custom.Child()
    time = pn.custom.Child()

    _esm = STATIC / "shell.js"
    _stylesheets = [STYLE, LESSON_STYLE]

    def __init__(self, lab, **params):
        super().__init__(sizing_mode="stretch_width", **params)
        self._lab, self._session = lab, lab.session
        self.is_coming = False  # whether the browser does not have all of the page yet
        self._asked_early = {}  # what it asked for meanwhile

    def _handle_msg(self, message) -> None:
        # What is shown while a page is being drawn there is lost on the way, and nothing would show it again.
        if self.is_coming and isinstance(message, dict):
            self._asked_early |= message
        else:
            super()._handle_msg(message)

    def has_come(self) -> None:
        """Do what was asked for while the page was on its way: of each kind the last, in the order of the first."""
        self.is_coming = False
        super()._handle_msg(self._asked_early)
        self._asked_early = {}

    def on_tab_name(self, name: str) -> None:
        """Go on with what this tab had before it loaded the page once more."""
        self._lab.come_back(str(name))

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

    def on_page(self, name: str) -> None:
        """Show a page in place of the bench, or the bench again ("")."""
        if name in ["", *(page["name"] for page in self.pages)]:
            self._lab.show_page(name)

    def on_lesson(self, name: str) -> None:
        """Begin the lesson that the page's address names; an address without one ends it."""
        if not name:
            self._session.leave_lesson()
            return
        try:
            self._session.take_lesson(str(name))
        except UnknownNameError as error:
            self._session.trouble = str(error)
            self._lab.show()

    def turn_to(self, name: str) -> None:
        """Turn to a page, as if its tab had been pressed."""
        self._send_msg({"page": name})

    def turn_away(self) -> None:
        """Have the page come once more: others have taken the last places while this one was on its way."""
        self._send_msg({"again": True})

    def on_narrow(self, narrow: bool) -> None:
        """Draw the map for a phone, or for a screen."""
        self._lab.map.compact = bool(narrow)

    def on_room(self, room: list) -> None:
        """Lay the map out for the width and height that it has."""
        width, height = (float(pixels) for pixels in room)
        if width > 0:
            self._lab.map.drawing_height = min(1400.0, max(300.0, height * self._lab.map.drawing_width / width))

    def on_key(self, key: str) -> None:
        """Space trains or pauses, Escape lets go of the selection, arrows move it, brackets step through time."""
        session = self._session
        if key == "space":
            session.toggle()
            self._lab.refresh()
        elif key == "escape":
            session.selection.release()
        elif key in ARROWS and session.run is not None:
            session.selection.move(session.run, **ARROWS[key])
        elif key in BRACKETS:
            self._lab.time.move(BRACKETS[key])
