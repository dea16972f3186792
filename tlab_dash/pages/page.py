"""What a page beside the bench is: some cards that are drawn when it is opened, and that follow the run while it is.

The bench shows what everyone should see at once. A page goes deeper into one thing; the knobs and the run bar stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import panel as pn
import param

from tlab_core.registry import Registry
from tlab_dash.component import STATIC, Component, waiting_box
from tlab_dash.live import LivePlot
from tlab_dash.session import Session
from tlab_dash.soon import soon
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.trail import Breadcrumb
from tlab_dash.views import VIEWS

PAGES = Registry("page")
GAP = 8  # pixels between two cards


@dataclass(frozen=True)
class Card:
    """One place on a page.

    content  the name of a view; or a function (session, theme) that returns a Component with `title`, `caption` and
             `refresh()`, `dress(theme)` where its own markup carries colours, and `close()` where it must end something
    columns  how many of the page's twelve it is wide
    rows     how many of the page's rows it is high
    tall     how many pixels it is high on a phone
    """

    content: str | Callable
    columns: int = 6
    rows: int = 1
    tall: int = 380


@dataclass(frozen=True)
class Page:
    """A tab beside the bench.

    selects  the parts of the selection (see `trail.PARTS`) that the page lets one choose, as labelled selects
    rows     how many rows share the height of a laptop's screen; a phone stacks the cards
    when     whether it has a tab at all, asked when a lab is made
    """

    name: str
    title: str
    lead: str
    cards: tuple[Card, ...]
    selects: tuple[str, ...] = ()
    rows: int = 2
    when: Callable[[], bool] = lambda: True

    def __post_init__(self):
        PAGES.register(self.name)(self)

    @property
    def tall(self) -> int:
        """Return how many pixels the cards take on a phone, one below the other."""
        return sum(card.tall + GAP for card in self.cards)


class Board(Component):
    """One page of one session, drawn. Nothing is drawn, and nothing measured for it, before `open` or after `close`.

    It is opened once: what is come to again is made again, which is cheaper than to empty it and keep it.
    """

    page_name = param.String(default="", doc="Which page it is.")
    lead = param.String(default="", doc="What the page is for, in a sentence.")
    rows = param.Integer(default=2, doc="How many rows share the screen's height.")
    places = param.List(default=[], doc="Title, caption, width in twelfths and height in rows of each card.")
    notes = param.List(default=[], doc="What each picture says in numbers.")
    selects = pn.custom.Child()
    contents = pn.custom.Children()

    _esm = STATIC / "board.js"

    def __init__(self, page: Page, session: Session, theme: Theme = LIGHT):
        self.page = page
        self._session, self._theme = session, theme
        self._cards = [_PlotCard(VIEWS.get(card.content)) if isinstance(card.content, str)
                       else _OtherCard(card.content) for card in page.cards]
        self._breadcrumb = Breadcrumb(session, page.selects) if page.selects else pn.Spacer(height=0)
        super().__init__(
            sizing_mode="stretch_both", page_name=page.name, lead=page.lead, rows=page.rows, places=self._places(),
            selects=self._breadcrumb, notes=[""] * len(self._cards), contents=[card.box for card in self._cards],
        )
        self.on_show = False
        self._drawing = False  # whether the next card is on its way

    def open(self) -> None:
        """Draw what there is, and follow the run from now on."""
        self.on_show = True
        self.follow()

    def follow(self) -> None:
        """Show the session's present state."""
        session = self._session
        if not self.on_show or session.run is None:
            return
        session.want([need for card in self._cards for need in card.needs])
        with pn.io.hold():
            if self.page.selects:
                self._breadcrumb.refresh()
            for card in self._cards:
                if card.content is not None:
                    card.refresh(session, self._theme)
            self._tell()
        if not self._drawing:
            self._draw_soon()

    def _draw_soon(self) -> None:
        self._drawing = any(card.content is None for card in self._cards)
        if self._drawing:
            soon(self._draw_next)

    def _draw_next(self) -> None:
        """Draw what is still missing, one card at a time, so that text and buttons answer in between."""
        self._drawing = False
        if not self.on_show or self._session.run is None:
            return
        card = next(card for card in self._cards if card.content is None)
        card.refresh(self._session, self._theme)
        self._tell()
        self._draw_soon()

    def _tell(self) -> None:
        self.tell(places=self._places(), notes=[card.note() for card in self._cards])

    def close(self) -> None:
        """Let the pictures go, draw no more of them, and measure no more for them."""
        self.on_show = False
        self._session.want([])
        for card in self._cards:
            card.close()

    def dress(self, theme: Theme) -> None:
        """Draw the pictures in the colours of a theme."""
        self._theme = theme
        for card in self._cards:
            card.dress(theme)

    def _places(self) -> list[dict]:
        run = self._session.run
        layer, head, _ = (0, 0, 0) if run is None else self._session.selection.resolve(run)
        return [
            {"title": card.title(layer, head), "caption": card.caption, "columns": place.columns, "rows": place.rows,
             "tall": place.tall}
            for place, card in zip(self.page.cards, self._cards, strict=True)
        ]


class _Card:
    """What is in one place of a board: a box that says so until there is something to show."""

    needs: tuple = ()
    content = None

    def __init__(self):
        self.box = waiting_box()

    def close(self) -> None:
        self.content = None

    def note(self) -> str:
        return ""


class _PlotCard(_Card):
    def __init__(self, view):
        super().__init__()
        self.view, self.caption = view, view.caption
        self.needs = (view.needs,) if view.needs else ()

    def title(self, layer: int, head: int) -> str:
        return self.view.headed(layer, head)

    def refresh(self, session: Session, theme: Theme) -> None:
        if self.content is None:
            self.content = LivePlot(self.view, session, theme)
            self.box[:] = [self.content.pane]
        else:
            self.content.refresh()

    def dress(self, theme: Theme) -> None:
        if self.content is not None:
            self.content.dress(theme)

    def note(self) -> str:
        return self.view.note(self.content.columns) if self.view.note and self.content is not None else ""


class _OtherCard(_Card):
    def __init__(self, make: Callable):
        super().__init__()
        self.make, self.caption = make, make.caption
        self.needs = (make.needs,) if hasattr(make, "needs") else ()

    def title(self, layer: int, head: int) -> str:
        return self.make.title.format(layer=layer, head=head)

    def refresh(self, session: Session, theme: Theme) -> None:
        if self.content is None:
            self.content = self.make(session, theme)
            self.box[:] = [self.content]
        else:
            self.content.refresh()

    def close(self) -> None:
        if self.content is not None and hasattr(self.content, "close"):
            self.content.close()
        super().close()

    def dress(self, theme: Theme) -> None:
        if self.content is not None and hasattr(self.content, "dress"):
            self.content.dress(theme)
