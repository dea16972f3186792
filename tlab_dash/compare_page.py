"""Compare: the curves of several runs, what they ended with, where their settings differ, one view of two side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import holoviews as hv
import numpy as np
import panel as pn
import param

from tlab_core import compare
from tlab_core.display.numbers import loss_figure
from tlab_core.run import Run
from tlab_core.runs import RunError, RunStore, SavedRun
from tlab_dash import compare_address
from tlab_dash.compare import AGAINST, MEASURES, draw_curves, joined, look_of, most_to_show
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.controls import value_label
from tlab_dash.errands import Errands
from tlab_dash.live import DRAWING, plotted
from tlab_dash.pair import Pair, common_steps, recorded_views
from tlab_dash.runs_list import RUNS_STYLE, label
from tlab_dash.selection import Selection, sizes
from tlab_dash.session import Session
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views import VIEWS

# The page's own runs; no saved one can have such a name.
THIS, GHOST = "• this run", "• its ghost"
NOTHING = "Tick runs in the list to compare them; the run of this page and its ghost can join in once they have trained."
SQUARE = ("attention", "heads")  # views whose two axes count the same thing
SEEDS = " · "  # stands between a group's settings and how many seeds it has
FOLLOW_SECONDS = 5.0  # between two looks at a run that trains
CUT = 60  # characters of a value in a table
MOST_FAILED = 5  # runs of which is said what is wrong with them


class Reading(NamedTuple):
    """What was read of some runs, on another thread than the page's."""

    runs: dict[str, Run]
    failed: list[str]  # what is wrong with those that could not be read
    summary: list[compare.Summary]
    settings: list[compare.Row]
    groups: dict[str, compare.SeedGroup]  # by what a reader calls them
    curves: dict[str, tuple[np.ndarray, np.ndarray]]
    two: tuple[str, str] | None  # the groups that the sentence is about
    sentence: str


NOTHING_READ = Reading({}, [], [], [], {}, {}, None, "")


class ComparePage(Component):
    """Compares the runs that `chosen()` names, the session's run and its ghost."""

    state = param.Dict(default={}, doc="Everything on the page but the plots.")
    curves = pn.custom.Child()
    left = pn.custom.Child()
    right = pn.custom.Child()

    _esm = STATIC / "compare_page.js"
    _stylesheets = [STYLE, RUNS_STYLE]

    def __init__(self, store: RunStore, session: Session, chosen: Callable[[], list[str]], theme: Theme = LIGHT):
        curves, pair = pn.pane.Bokeh(sizing_mode="stretch_both", margin=0), Pair(self._pick)
        super().__init__(sizing_mode="stretch_both", curves=curves, left=pair.left, right=pair.right)
        self._curves, self._pair = curves, pair
        self._store, self._session, self._chosen, self._theme = store, session, chosen, theme
        self._opened: dict[str, SavedRun] = {}
        self._errands = Errands()
        self._reading = NOTHING_READ
        self._steps: list[int] = []  # at which the page's own runs stood when they were read
        self._next_look = 0.0
        self._hidden: set[str] = set()  # of the page's own runs
        self._chosen_by_hand: set[str] = set()  # or by the address: which of the choices below are not the page's own
        self._asked: dict[str, Any] = {}  # by the address, until something is chosen
        self._wrong: list[str] = []  # with the address
        # What the selects say. Runs and groups by name, so that they stay while others come and go.
        self._choice: dict[str, Any] = {
            "measure": "loss", "against": "step", "seeds": True, "first": None, "second": None, "view": "attention",
            "left": None, "right": None, "layer": None, "head": None, "at": None,
        }
        self._show()

    def refresh(self) -> None:
        """Read what the chosen runs have recorded, and draw it."""
        own = {name: run for name, run in self._own().items() if name not in self._hidden}
        names, choice = self._chosen(), dict(self._choice)
        self._errands.run(lambda: self._read(names, own, choice), self._take, self._complain)

    def ask(self, choice: dict[str, Any], wrong: list[str]) -> None:
        """Take over what an address asks for, as `compare_address.read` returns it. To be called before `refresh`."""
        self._choice |= choice
        self._chosen_by_hand |= set(choice)
        self._asked, self._wrong = dict(choice), wrong

    @property
    def address(self) -> str:
        """The comparison as the page's address has it; empty when it is too long for one."""
        return compare_address.written(self._chosen(), self._choice, self._chosen_by_hand) or ""

    def follow(self) -> None:
        """Draw anew, now and then, while the page's own run goes on."""
        shown = [run for name, run in self._reading.runs.items() if name in (THIS, GHOST)]
        came = [run for name, run in self._own().items() if name not in self._hidden and run not in shown]
        went_on = any(run.step != step for run, step in zip(shown, self._steps, strict=True))
        if (came or went_on) and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + FOLLOW_SECONDS
            self.refresh()

    def dress(self, theme: Theme) -> None:
        """Draw everything in the colours of a theme."""
        self._theme = theme
        self._draw()

    def forget(self) -> None:
        """Let go of all runs; the files are read anew the next time."""
        self._opened = {}
        self._reading = NOTHING_READ
        self._pair.clear()

    def on_choose(self, choice: dict[str, Any]) -> None:
        """Change one select, {"name", "value"}."""
        name, value = str(choice["name"]), choice["value"]
        if name == "live" and value in (THIS, GHOST):
            self._hidden ^= {value}
            self.refresh()
        elif name in self._choice and self._allows(name, value):
            self._choice[name] = int(value) if name in ("layer", "head", "at") else value
            self._note({name})
            if name in ("measure", "against", "first", "second"):
                self.refresh()
            elif name == "seeds":
                self._draw_curves()
                self._show()
            else:
                self._draw_pair()
                self._show()

    def _note(self, names: Iterable[str]) -> None:
        """Take note that something was chosen; what the address asked for is a thing of the past then."""
        self._chosen_by_hand |= set(names) - {"first", "second"}  # groups are called by all their settings: too long
        self._asked, self._wrong = {}, []

    def _allows(self, name: str, value: Any) -> bool:
        options = {
            "measure": MEASURES, "against": AGAINST, "seeds": (True, False), "view": recorded_views(),
            "first": self._reading.groups, "second": self._reading.groups,
            "left": self._reading.runs, "right": self._reading.runs,
        }
        return value in options[name] if name in options else str(value).isdecimal()

    # Reading, on a thread of its own ---------------------------------------------------------------------------------

    def _own(self) -> dict[str, Run]:
        runs = {THIS: self._session.run, GHOST: self._session.ghost}
        return {name: run for name, run in runs.items() if run is not None and run.step > 0}

    def _read(self, names: list[str], own: dict[str, Run], choice: dict[str, Any]) -> Reading:
        runs, failed = {}, []
        about = MEASURES[choice["measure"]]
        for name in names:
            try:
                run = self._opened.get(name) or self._store.open(name)
                compare.curves({name: run}, about.group, about.variable, against=choice["against"])  # may find it broken
                runs[name] = run
            except RunError as error:
                failed.append(str(error))
        self._opened = dict(runs)
        runs |= own
        groups = groups_in_words(runs)
        two = two_groups(groups, choice["first"], choice["second"])
        return Reading(
            runs, failed, compare.summary(runs), compare.settings_table(runs), groups,
            compare.curves(runs, about.group, about.variable, against=choice["against"]),
            two, sentence(groups, *two) if two else "",
        )

    def _take(self, reading: Reading) -> None:
        self._reading = reading
        self._steps = [row.steps for row in reading.summary if row.name in (THIS, GHOST)]
        for side, name in zip(("left", "right"), first_pair(reading), strict=True):
            if self._choice[side] not in reading.runs:
                self._choice[side] = name
        self._draw()

    def _complain(self, error: Exception) -> None:
        self._reading = NOTHING_READ._replace(failed=[str(error)])
        self._show()

    # Showing ---------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        if self._reading.runs:
            self._draw_curves()
            self._draw_pair()
        self._show()

    def _draw_curves(self) -> None:
        c, about = self._reading, MEASURES[self._choice["measure"]]
        curves, bands = c.curves, None
        if self._joins():
            curves, bands = {}, {}
            for name, group in c.groups.items():
                if group.count == 1:
                    curves |= {run: c.curves[run] for run in group.seeds}
                    continue
                x, mean, spread = joined({run: c.curves[run] for run in group.seeds}, about.noisy)
                curves[name], bands[name] = (x, mean), (mean - spread, mean + spread)
        with DRAWING:
            element = draw_curves(curves, about, self._choice["against"], self._theme, bands=bands, legend=False,
                                  most=most_to_show(c.runs, about))
            self._curves.object = figure_of(element)

    def _draw_pair(self) -> None:
        runs, choice = self._reading.runs, self._choice
        if choice["left"] not in runs:  # there are none, or they have just been let go of
            return
        left, right = runs[choice["left"]], runs[choice["right"]]
        layers, heads = (min(counts) for counts in zip(sizes(left)[:2], sizes(right)[:2], strict=True))
        layer, head, _ = Selection().resolve(left)
        choice["layer"] = min(layer if choice["layer"] is None else choice["layer"], layers - 1)
        choice["head"] = min(head if choice["head"] is None else choice["head"], heads - 1)
        steps = common_steps(left, right)
        step = int(steps[self._at(len(steps))]) if len(steps) else None
        selection = Selection(layer=choice["layer"], head=choice["head"], step=step, pinned=True)
        self._pair.show(VIEWS.get(choice["view"]), (left, right), selection, self._theme)

    def _pick(self, picked: dict[str, int]) -> None:
        """Take over what a tap on one of the two plots chose, for both."""
        picked = {part: place for part, place in picked.items() if part in self._choice}
        self._choice |= picked
        self._note(picked)
        self._draw_pair()
        self._show()

    def _at(self, count: int) -> int:
        """The place of the step on show among those that both runs have; None of the choice is the last."""
        at = self._choice["at"]
        return count - 1 if at is None else min(at, count - 1)

    def _joins(self) -> bool:
        return self._choice["seeds"] and any(group.count > 1 for group in self._reading.groups.values())

    def _show(self) -> None:
        c, choice = self._reading, self._choice
        pair = self._pair_words() if len(c.runs) > 1 else None
        self.state = {
            "nothing": "" if c.runs else NOTHING,
            "message": self._message(pair),
            "measures": [{"value": name, "label": about.label} for name, about in MEASURES.items()],
            "axes": [{"value": name, "label": words} for name, words in AGAINST.items()],
            "measure": choice["measure"], "against": choice["against"], "seeds": choice["seeds"],
            "has_seeds": any(group.count > 1 for group in c.groups.values()),
            "live": [{"name": name, "label": name.lstrip("• ").capitalize(), "shown": name not in self._hidden}
                     for name in self._own()],
            "summary": summary_table(c, self._joins(), self._theme),
            "settings": settings_words(c),
            "groups": self._group_words(),
            "pair": pair,
        }  # fmt: skip

    def _message(self, pair: dict[str, Any] | None) -> str:
        reading = self._reading
        missing = compare_address.absent(self._asked, pair) if reading.runs else []
        more = [f"{len(reading.failed) - MOST_FAILED} more can't be read."] if len(reading.failed) > MOST_FAILED else []
        return " ".join([*self._wrong, *missing, *reading.failed[:MOST_FAILED], *more])

    def _group_words(self) -> dict[str, Any]:
        reading = self._reading
        if reading.two is None:
            return {"options": [], "first": "", "second": "", "sentence": ""}
        options = [{"value": name, "label": name} for name in of_several(reading.groups)]
        return {"options": options, "first": reading.two[0], "second": reading.two[1], "sentence": reading.sentence}

    def _pair_words(self) -> dict[str, Any]:
        runs, choice = self._reading.runs, self._choice
        left, right = runs[choice["left"]], runs[choice["right"]]
        steps = common_steps(left, right).tolist()
        layers, heads = (min(counts) for counts in zip(sizes(left)[:2], sizes(right)[:2], strict=True))
        numbers = {"layers": layers, "heads": heads}
        return {
            "views": [{"value": name, "label": view.title} for name, view in recorded_views().items()],
            "view": choice["view"], "caption": VIEWS.get(choice["view"]).caption, "square": choice["view"] in SQUARE,
            "names": [{"value": name, "label": name} for name in runs], "left": choice["left"], "right": choice["right"],
            **{part: [{"value": i, "label": str(i)} for i in range(count)] for part, count in numbers.items()},
            "layer": choice["layer"], "head": choice["head"],
            "steps": steps, "at": self._at(len(steps)) if steps else 0,
        }


def groups_in_words(runs: dict[str, Run]) -> dict[str, compare.SeedGroup]:
    """Return the groups of runs that differ only in seeds, by the settings that set them apart, as the page calls them."""
    groups = compare.by_seed(runs)
    settings = [compare.setting_of(next(iter(group.runs.values()))) for group in groups]
    apart = [knob for knob in (settings[0] if settings else ()) if len({str(other[knob]) for other in settings}) > 1]
    named = {}
    for group, setting in zip(groups, settings, strict=True):
        words = ", ".join(f"{label(knob)} {value_label(knob, setting[knob])[:CUT]}" for knob in apart) or "one setting"
        named[f"{words}{SEEDS}{group.count} {'seed' if group.count == 1 else 'seeds'}"] = group
    return named


def first_pair(reading: Reading) -> tuple[str | None, str | None]:
    """Return two runs to begin with side by side: of different settings if there are any."""
    runs = list(reading.runs)
    if not runs:
        return None, None
    left = next(group for group in reading.groups.values() if runs[0] in group.runs)
    return runs[0], next((name for name in runs if name not in left.runs), runs[-1])


def of_several(groups: dict[str, compare.SeedGroup]) -> list[str]:
    """Return the groups of which at least two runs have a loss in common."""
    return [name for name, group in groups.items() if len(group.losses) > 1]


def two_groups(groups: dict[str, compare.SeedGroup], first: str | None, second: str | None) -> tuple[str, str] | None:
    """Return which two groups to compare: those asked for, where they are there, else the first two; None if there are no
    two groups of several seeds."""
    several = of_several(groups)
    if len(several) < 2:
        return None
    first = first if first in several else next(name for name in several if name != second)
    return first, second if second in several else next(name for name in several if name != first)


def sentence(groups: dict[str, compare.SeedGroup], first: str, second: str) -> str:
    """Return what can be said of two groups, in words."""
    if first == second:
        return "Choose two different groups."
    names = tuple(f"“{name.rpartition(SEEDS)[0]}”" for name in (first, second))
    try:
        return compare.compare_groups(groups[first].seeds, groups[second].seeds, names).sentence
    except compare.CompareError as error:
        return str(error)


def summary_table(reading: Reading, joins: bool, theme: Theme) -> dict[str, Any]:
    """Return a row for each run, with the look of its line, and below each group of seeds its mean and spread."""
    head = ["Run", "Steps", "Training loss", "lowest", "Unseen text", "lowest", "Seconds"]
    told = {row.name: row for row in reading.summary}
    rows, number = [], 0
    if not joins:
        for number, row in enumerate(reading.summary):
            rows.append(_line(row.name, _figures(row), number, theme))
        return {"head": head, "rows": rows}
    for name, group in reading.groups.items():
        if group.count == 1:
            (run,) = group.seeds
            rows.append(_line(run, _figures(told[run]), number, theme))
            rows += [_unseen(told[other]) for other in group.runs if other != run]
        else:
            at = f"at step {group.step:,}" if group.step is not None else ""
            mean = "–" if group.mean is None else f"{group.mean:.3f} ± {group.spread:.3f}"
            rows.append(_line(name, [at, "", "", mean, "", ""], number, theme))
            rows += [_unseen(told[run]) for run in group.runs]
        number += 1
    return {"head": head, "rows": rows}


def _line(name: str, cells: list[str], number: int, theme: Theme) -> dict[str, Any]:
    colour, dash = look_of(number, theme)
    return {"colour": colour, "dash": dash, "cells": [name, *cells]}


def _unseen(row: compare.Summary) -> dict[str, Any]:
    """Return the row of a run that has no line of its own."""
    return {"colour": "", "dash": "solid", "cells": [row.name, *_figures(row)]}


def _figures(row: compare.Summary) -> list[str]:
    lowest = _loss(row.validation_best)
    if row.validation_best_step is not None:
        lowest += f" at {row.validation_best_step:,}"
    steps = f"{row.steps:,}" + (" (stopped)" if row.divergence else "")
    return [steps, _loss(row.train_final), _loss(row.train_best), _loss(row.validation_final), lowest,
            f"{row.seconds:,.0f}"]  # fmt: skip


def _loss(loss: float | None) -> str:
    return "–" if loss is None else loss_figure(loss)


def settings_words(reading: Reading) -> dict[str, Any]:
    """Return the table of the settings in which the runs differ, a column a run."""
    names = list(reading.runs)
    rows = [{"label": label(row.knob), "values": [value_label(row.knob, row.values[name])[:CUT] for name in names]}
            for row in reading.settings]  # fmt: skip
    note = "One run has nothing to differ from." if len(names) == 1 else "All settings are the same, seeds included."
    return {"head": names, "rows": rows, "note": note}


def figure_of(element: hv.Overlay):
    """Return the Bokeh figure of a HoloViews element."""
    return plotted(element).state
