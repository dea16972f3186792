"""The list of saved runs: searched, sorted, described in place, ticked to compare, deleted so that it can be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import param

from tlab_core.config import Architecture, Training
from tlab_core.display.numbers import loss_figure
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.run import WINDOW
from tlab_core.runs import RunError, RunInfo, RunStore
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.controls import value_label
from tlab_dash.errands import Errands
from tlab_dash.knob_names import DECIDED_BY_CORPUS
from tlab_dash.session import Session

PAGE = 50  # rows on the page at once
LOSS_WORDS = f"Training loss: the mean of the last {WINDOW} steps, in nats"
MOST_TAGS, LONGEST_TAG, LONGEST_NOTE = 20, 40, 2000
# What each column sorts by, and whether its most telling end is the largest.
SORTS: dict[str, tuple[Callable[[RunInfo], Any], bool]] = {
    "name": (lambda info: info.name.casefold(), False),
    "date": (lambda info: info.written, True),
    "steps": (lambda info: info.step, True),
    "loss": (lambda info: info.loss if info.loss is not None else float("inf"), False),
}
# Of no interest to a reader of the list: decided elsewhere, or without effect on any number.
UNTOLD = DECIDED_BY_CORPUS | {"training.shards", "training.executor"}
RUNS_STYLE = (STATIC / "runs.css").read_text(encoding="utf-8")


class RunsList(Component):
    """The runs of one store. `ticked` are the names chosen to be compared, in the order in which they were.

    session  the page's, which is told that someone is there
    """

    listing = param.Dict(default={}, doc="The rows on the page and what stands around them.")
    ticked = param.List(default=[], item_type=str, doc="The names of the runs that are ticked.")
    opened = param.String(default=None, allow_None=True, doc="The run whose name was pressed last.")

    _esm = STATIC / "runs_list.js"
    _stylesheets = [STYLE, RUNS_STYLE]

    def __init__(self, store: RunStore, session: Session | None = None, **params):
        super().__init__(sizing_mode="stretch_both", **params)
        self.store, self._session = store, session
        self._infos: dict[str, RunInfo] = {}
        self._query, self._sort, self._descending, self._page = "", "date", True, 0
        self._deleted: list[tuple[str, str]] = []  # (name, name in the trash), the last one deleted last
        self._message = ""
        self._reading = False
        self._errands = Errands()
        self._show()

    def refresh(self) -> None:
        """Read the folder anew."""
        self._reading = True
        self._show()
        self._errands.run(self.store.list, self._take, lambda error: self._complain(str(error)))

    def info(self, name: str) -> RunInfo | None:
        """Return what the list knows of a run."""
        return self._infos.get(name)

    def rename(self, name: str, new: str) -> None:
        """Give a run another name, which it then has among the ticked ones and as the opened one too. Raises RunError."""
        if new == name:
            return
        self.store.rename(name, new)
        self._infos = {known.name: known for known in self._infos.values() if known.name != name} | {
            new: replace(self._infos.get(name, RunInfo(name)), name=new)
        }
        self.param.update(
            ticked=[new if other == name else other for other in self.ticked],
            opened=new if self.opened == name else self.opened,
        )
        self._show()

    # What the page asks for ------------------------------------------------------------------------------------------

    def on_search(self, query: str) -> None:
        """Show only the runs that all words of the query fit."""
        self._query, self._page = str(query), 0
        self._show()

    def on_sort(self, column: str) -> None:
        """Sort by a column, or the other way round if it is sorted by already."""
        if column in SORTS:
            self._descending = not self._descending if column == self._sort else SORTS[column][1]
            self._sort, self._page = column, 0
            self._show()

    def on_page(self, page: int) -> None:
        """Turn to another page."""
        self._page = int(page)
        self._show()

    def on_refresh(self, _) -> None:
        """Read the folder anew."""
        self.refresh()

    def on_tick(self, name: str) -> None:
        """Choose a run to be compared, or no longer."""
        if name in self._infos:
            self.ticked = [*(other for other in self.ticked if other != name), *([] if name in self.ticked else [name])]
            self._show()

    def on_untick(self, _) -> None:
        """Choose none."""
        self.ticked = []
        self._show()

    def on_open(self, name: str) -> None:
        """Look at a run, or at another."""
        if name in self._infos and self._infos[name].problem is None:
            self.opened = name
            self._show()

    def on_close(self, _) -> None:
        """Look at none."""
        self.opened = None
        self._show()

    def on_tags(self, change: Mapping[str, str]) -> None:
        """Give a run, {"name", "text"}, the tags that the text lists, with commas between them."""
        self._annotate(change, tags=tags_of(str(change["text"])))

    def on_note(self, change: Mapping[str, str]) -> None:
        """Give a run, {"name", "text"}, another note."""
        self._annotate(change, note=str(change["text"]).strip()[:LONGEST_NOTE])

    def on_delete(self, name: str) -> None:
        """Put a run into the trash."""

        def delete() -> None:
            self._deleted.append((name, self.store.delete(name)))
            del self._infos[name]
            self.param.update(
                ticked=[other for other in self.ticked if other != name],
                opened=None if self.opened == name else self.opened,
            )

        if name in self._infos:
            self._try(delete)

    def on_undo(self, _) -> None:
        """Take the run that was deleted last out of the trash."""
        if self._deleted:
            self._try(lambda: self.store.restore(self._deleted[-1][1]) and self._deleted.pop())
            self.refresh()

    # ------------------------------------------------------------------------------------------------------------------

    def _annotate(self, change: Mapping[str, str], **words) -> None:
        name = str(change["name"])

        def annotate() -> None:
            self.store.annotate(name, **words)
            self._infos[name] = replace(self._infos[name], **words)

        if name in self._infos:
            self._try(annotate)

    def _try(self, act: Callable[[], Any]) -> None:
        self._message = ""
        try:
            act()
        except RunError as error:
            self._message = str(error)
        self._show()

    def _take(self, infos: Iterable[RunInfo]) -> None:
        self._infos = {info.name: info for info in infos}
        self._reading = False
        self.ticked = [name for name in self.ticked if name in self._infos]
        if self.opened is not None and self.opened not in self._infos:
            self.opened = None
        self._show()

    def _complain(self, message: str) -> None:
        self._message, self._reading = message, False
        self._show()

    def _show(self) -> None:
        found = arranged(self._infos.values(), self._query, self._sort, self._descending)
        pages = max(1, -(-len(found) // PAGE))
        self._page = min(max(self._page, 0), pages - 1)
        shown = found[self._page * PAGE : (self._page + 1) * PAGE]
        self.listing = {
            "rows": [row(info, info.name in self.ticked, info.name == self.opened) for info in shown],
            "found": len(found), "total": len(self._infos), "first": self._page * PAGE, "page": self._page, "pages": pages,
            "sort": self._sort, "descending": self._descending, "folder": str(self.store.folder), "reading": self._reading,
            "message": self._message, "ticked": len(self.ticked), "loss_words": LOSS_WORDS,
            "undo": f"Deleted “{self._deleted[-1][0]}”." if self._deleted else "",
        }


def arranged(infos: Iterable[RunInfo], query: str = "", sort: str = "date", descending: bool = True) -> list[RunInfo]:
    """Return the runs that a query fits, sorted. Runs that can't be read, and losses that are not known, come last."""
    words = query.casefold().split()
    found = sorted((info for info in infos if fits(info, words)), key=SORTS["name"][0])
    found.sort(key=SORTS[sort][0], reverse=descending)
    found.sort(key=lambda info: (info.problem is not None, sort == "loss" and info.loss is None))
    return found


def fits(info: RunInfo, words: list[str]) -> bool:
    """Return whether all of these words (without capitals) are found in a run.

    A word is looked for in the name, the tags, the note, the choices among the settings and the settings that are not the
    first page's; `num_layers=8` fits the runs of which a setting of that name has just that value.
    """
    if not words:
        return True
    settings = flat(info.settings)
    choices = [value for value in settings.values() if isinstance(value, str)]
    text = "\n".join([info.name, *info.tags, info.note, *choices, unusual(info.settings)]).casefold()
    exact = {f"{knob.rpartition('.')[2]}={value}".casefold() for knob, value in settings.items()}
    exact |= {f"{knob}={value}".casefold() for knob, value in settings.items()}
    return all(word in exact if "=" in word else word in text for word in words)


def row(info: RunInfo, ticked: bool = False, opened: bool = False) -> dict[str, Any]:
    """Return what the page shows of a run. All of it is text to be shown as such: it may come from anywhere."""
    state = f"stopped: {info.divergence}" if info.divergence else "in use" if info.running else (
        f"damaged: {' '.join(info.remarks)}" if info.remarks else "")
    return {
        "name": info.name, "ticked": ticked, "opened": opened, "tags": ", ".join(info.tags), "note": info.note,
        "steps": f"{info.step:,}", "loss": "–" if info.loss is None else loss_figure(info.loss), "date": info.written,
        "settings": unusual(info.settings) if info.problem is None else "", "state": state, "problem": info.problem or "",
    }


def tags_of(text: str) -> tuple[str, ...]:
    """Return the tags that a text lists.

    >>> tags_of("warm-up,  class of 2026, warm-up,")
    ('warm-up', 'class of 2026')
    """
    tags = [" ".join(tag.split())[:LONGEST_TAG] for tag in text.split(",")]
    return tuple(dict.fromkeys(tag for tag in tags if tag))[:MOST_TAGS]


# Settings as plain values --------------------------------------------------------------------------------------------
# Building 1,000 Experiments takes a second; comparing their plain values takes ten milliseconds.


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by full name, as in {"training.seed": 0, "corpus": "stories"}."""
    found = {}
    for knob, value in settings.items():
        if isinstance(value, Mapping):
            found |= {f"{knob}.{inner}": plain for inner, plain in value.items()}
        else:
            found[knob] = value
    return found


FIRST_PAGE = flat(default_experiment().to_dict())


def unusual(settings: Mapping[str, Any]) -> str:
    """Return in words which settings are not those of the first page.

    >>> unusual(default_experiment().replace(corpus="induction").to_dict())
    'Text induction'
    """
    return ", ".join(
        f"{label(knob)} {value_label(knob, value)[:LONGEST_TAG]}" for knob, value in flat(settings).items()
        if knob in FIRST_PAGE and knob not in UNTOLD and value != FIRST_PAGE[knob]
    ) or "as on the first page"


def label(knob: str) -> str:
    """Return the words for a knob given by its full name.

    >>> label("architecture.num_layers"), label("corpus")
    ('Layers', 'Text')
    """
    part, _, name = knob.rpartition(".")
    kind = {"architecture": Architecture, "training": Training}.get(part, Experiment)
    return kind.param[name].label if name in kind.param else knob
