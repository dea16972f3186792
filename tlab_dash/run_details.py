"""One saved run looked at: how it went, any step of it, what it wrote, its settings, and the ways to go on from it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import panel as pn
import param

from tlab_core import compare
from tlab_core.display.numbers import loss_figure
from tlab_core.run import Mark
from tlab_core.runs import RunError, RunStore, SavedRun
from tlab_core.runs.environment import WORDS
from tlab_dash import views
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.controls import value_label
from tlab_dash.errands import Errands
from tlab_dash.live import LivePlot
from tlab_dash.pair import recorded_views
from tlab_dash.runs_list import FIRST_PAGE, RUNS_STYLE, UNTOLD, flat, label
from tlab_dash.selection import Selection, sizes
from tlab_dash.session import Session
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.time_travel import TimeTravel
from tlab_dash.writing import one_line

MOST_SAMPLES = 12
CUT = 200  # characters of a value
FIRST_VIEW = "attention"
LAST_STEP = "The last step that was looked into."


class RunDetails(Component):
    """Shows the run that `look_at` names, at any of its recorded steps.

    act      called with (action, name) for "start", "resume" and "close"
    rename   called with (name, new name); raises RunError when that can't be
    session  the page's, which is told that someone is there
    """

    details = param.Dict(default={}, doc="Everything on show that does not move with the step; empty while nothing is.")
    looking = param.Dict(default={}, doc="The picture on show and what it can be, its layer and head, and the step.")
    curves = pn.custom.Child()
    time = pn.custom.Child()
    picture = pn.custom.Child()

    _esm = STATIC / "run_details.js"
    _stylesheets = [STYLE, RUNS_STYLE]

    def __init__(self, store: RunStore, act: Callable[[str, str], None], rename: Callable[[str, str], None],
                 theme: Theme = LIGHT, session: Session | None = None):
        # What the plots and the slider take for a session.
        self._shown = SimpleNamespace(run=None, ghost=None, selection=Selection(), touch=self._touch)
        boxes = {name: pn.Column(sizing_mode="stretch_both", margin=0) for name in ("curves", "picture")}
        time = TimeTravel(self._shown, newest=LAST_STEP, button="Last", stylesheets=[RUNS_STYLE])
        super().__init__(sizing_mode="stretch_both", time=time, **boxes)
        self._boxes, self._session = boxes, session
        self._store, self._act, self._rename, self._theme = store, act, rename, theme
        self._errands = Errands()
        self._plots: dict[str, LivePlot] = {}  # by the box that they are in
        self._view = FIRST_VIEW
        self._name: str | None = None
        self._shown.selection.param.watch(lambda event: self._move(), "step")

    def look_at(self, name: str | None) -> None:
        """Show a run of the store, or none."""
        self._name = name
        if name is None:
            self.forget()
        else:
            self._errands.run(lambda: self._read(name), self._take, self._complain)

    def dress(self, theme: Theme) -> None:
        """Draw the plots in the colours of a theme."""
        self._theme = theme
        for plot in self._plots.values():
            plot.dress(theme)

    def forget(self) -> None:
        """Show nothing."""
        self._name = None
        self._clear()
        self.details = {}

    def on_act(self, action: str) -> None:
        """Start a new run of these settings, go on with this one, or close it."""
        if self._name is not None and action in ("start", "resume", "close"):
            self._act(action, self._name)

    def on_rename(self, name: str) -> None:
        """Give the run on show another name."""
        if self._name is None:
            return
        try:
            self._rename(self._name, str(name).strip())
        except RunError as error:
            self.complain(str(error))

    def on_look(self, choice: dict[str, Any]) -> None:
        """Show another picture, layer or head, {"name", "value"}."""
        name, value = str(choice["name"]), str(choice["value"])
        if self._shown.run is None:
            return
        if name == "view" and value in pictures():
            self._view = value
            self._attempt(self._draw_picture)
        elif name in ("layer", "head") and value.isdecimal():
            self._shown.selection.choose(self._shown.run, **{name: int(value)})
            self._move()

    def complain(self, message: str) -> None:
        """Say what went wrong with the run on show."""
        self.details = {**self.details, "message": message}

    # Reading, on a thread of its own -----------------------------------------------------------------------------------

    def _read(self, name: str) -> tuple[SavedRun, dict[str, Any], tuple[int, int]]:
        run = self._store.open(name)
        views.loss.columns(run, Selection())  # on this thread: a long curve takes a while to read, and is kept
        layer, head, _ = Selection().resolve(run)
        return run, told(run), (layer, head)

    def _take(self, found: tuple[SavedRun, dict[str, Any], tuple[int, int]]) -> None:
        run, details, (layer, head) = found
        self._clear()
        self._shown.run = run
        self._shown.selection.param.update(layer=layer, head=head, pinned=True)
        self.details = details
        self._put("curves", views.loss)
        self._attempt(self._draw_picture)

    def _complain(self, error: Exception) -> None:
        self._clear()
        self.details = {"name": self._name, "message": str(error)}

    # Showing -----------------------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        for plot in self._plots.values():
            plot.session = SimpleNamespace(run=None)  # what was drawn may live on for a while
        self._plots = {}
        for box in self._boxes.values():
            box.objects = []
        self._shown.run = None
        self._shown.selection.step = None
        self.time.refresh()
        self.looking = {}

    def _touch(self) -> None:
        if self._session is not None:
            self._session.touch()

    def _put(self, box: str, view: views.View) -> None:
        plot = self._plots[box] = LivePlot(view, self._shown, self._theme)
        plot.on_tap(lambda picked: self._move())
        self._boxes[box].objects = [plot.pane]

    def _draw_picture(self) -> None:
        self._boxes["picture"].objects = []
        self._put("picture", pictures()[self._view])

    def _move(self) -> None:
        """Show another step, layer or head in the plots that are there."""
        if self._shown.run is not None:
            self._attempt(lambda: [plot.refresh() for plot in self._plots.values()])

    def _attempt(self, draw: Callable[[], Any]) -> None:
        """Draw, and say what stands beside it; only now are some parts of the history read, and found to be damaged."""
        try:
            draw()
        except RunError as error:
            self.complain(str(error))
        self._tell()

    def _tell(self) -> None:
        run, selection = self._shown.run, self._shown.selection
        layer, head, _ = selection.resolve(run)
        layers, heads, _ = sizes(run)
        self.time.refresh()
        self.looking = {
            "views": [{"value": name, "label": view.title} for name, view in pictures().items()], "view": self._view,
            "caption": pictures()[self._view].caption, "layers": layers, "heads": heads, "layer": layer, "head": head,
            "step": run.step if selection.step is None else selection.step,
        }


def pictures() -> dict[str, views.View]:
    """Return the views that show one step of a saved run, by name."""
    return {name: view for name, view in recorded_views().items() if view is not views.loss}


def told(run: SavedRun) -> dict[str, Any]:
    """Return what the page says of a saved run. All of it is text to be shown as such."""
    (sums,) = compare.summary({run.name: run})
    facts = {
        "Steps": f"{sums.steps:,}",
        "Characters read": f"{sums.tokens:,}",
        "Training time": time_words(sums.seconds),
        "Training loss": loss_words(sums.train_final, f"mean of the last {compare.WINDOW} steps"),
        "Unseen text": loss_words(sums.validation_final, "" if sums.validation_step == sums.steps else (
            f"at step {sums.validation_step or 0:,}")),
        "Lowest on unseen text": loss_words(sums.validation_best, f"at step {sums.validation_best_step or 0:,}"),
    }
    settings = [(label(knob), value_label(knob, value)[:CUT], value != FIRST_PAGE[knob])
                for knob, value in flat(run.experiment.to_dict()).items() if knob not in UNTOLD]  # fmt: skip
    environment = run.commit["environment"]
    return {
        "name": run.name, "message": " ".join([*run.remarks, *map(sentence, run.missing)]),
        "stopped": sums.divergence or "",
        "created": run.meta["created"], "written": run.commit["written"],
        "facts": [list(fact) for fact in facts.items() if fact[1]],
        "samples": [{"step": sample.step, "prompt": one_line(sample.prompt), "text": one_line(sample.text)}
                    for sample in spread(run.samples, MOST_SAMPLES)],
        "unusual": [[name, value] for name, value, differs in settings if differs],
        "usual": [[name, value] for name, value, differs in settings if not differs],
        "changed": [[f"After step {mark.step:,}", change_words(mark)] for mark in run.marks],
        "machine": [[WORDS[key], str(environment[key])[:CUT]] for key in WORDS if environment.get(key)],
    }  # fmt: skip


def sentence(words: str) -> str:
    """Return words as a sentence."""
    return words[:1].upper() + words[1:]


def change_words(mark: Mark) -> str:
    """Return in words what was changed on the way.

    >>> change_words(Mark(5, "training.learning_rate", 0.01, 2e-05))
    'Learning rate 0.01 became 0.00002'
    """
    before, after = (value_label(mark.knob, value)[:CUT] for value in (mark.before, mark.after))
    return f"{label(mark.knob)} {before} became {after}"


def spread(samples: list, most: int) -> list:
    """Return at most so many of them, the first and the last among them, evenly spread.

    >>> spread(list(range(10)), 4)
    [0, 3, 6, 9]
    """
    if len(samples) <= most:
        return samples
    return [samples[round(place * (len(samples) - 1) / (most - 1))] for place in range(most)]


def loss_words(loss: float | None, aside: str = "") -> str:
    """Return a loss in words, or nothing where there is none."""
    if loss is None:
        return ""
    return f"{loss_figure(loss)} nats" + (f", {aside}" if aside else "")


def time_words(seconds: float) -> str:
    """Return a length of time in words.

    >>> time_words(7.2), time_words(312), time_words(7500)
    ('7 s', '5 min 12 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
