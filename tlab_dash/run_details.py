"""One saved run looked at: how it went, what it wrote, its settings, and the ways to go on from it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import panel as pn
import param

from tlab_core import compare
from tlab_core.runs import RunStore, SavedRun
from tlab_core.runs.environment import WORDS
from tlab_dash import views
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.controls import value_label
from tlab_dash.errands import Errands
from tlab_dash.live import LivePlot
from tlab_dash.runs_list import FIRST_PAGE, RUNS_STYLE, UNTOLD, flat, label
from tlab_dash.selection import Selection
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.writing import one_line

MOST_SAMPLES = 12
CUT = 200  # characters of a value


class RunDetails(Component):
    """Shows the run that `look_at` names. `act(action, name)` is called for "start", "resume" and "close"."""

    details = param.Dict(default={}, doc="Everything on show but the plot; empty while nothing is.")
    curves = pn.custom.Child()

    _esm = STATIC / "run_details.js"
    _stylesheets = [STYLE, RUNS_STYLE]

    def __init__(self, store: RunStore, act: Callable[[str, str], None], theme: Theme = LIGHT):
        box = pn.Column(sizing_mode="stretch_both", margin=0)
        super().__init__(sizing_mode="stretch_both", curves=box)
        self._box = box
        self._store, self._act, self._theme = store, act, theme
        self._errands = Errands()
        self._plot: LivePlot | None = None
        self._name: str | None = None

    def look_at(self, name: str | None) -> None:
        """Show a run of the store, or none."""
        self._name = name
        if name is None:
            self.forget()
        else:
            self._errands.run(lambda: self._read(name), self._take, self._complain)

    def dress(self, theme: Theme) -> None:
        """Draw the plot in the colours of a theme."""
        self._theme = theme
        if self._plot is not None:
            self._plot.rebuild(theme)

    def forget(self) -> None:
        """Show nothing."""
        self._plot, self._name = None, None
        self._box.objects = []
        self.details = {}

    def on_act(self, action: str) -> None:
        """Start a new run of these settings, go on with this one, or close it."""
        if self._name is not None and action in ("start", "resume", "close"):
            self._act(action, self._name)

    def complain(self, message: str) -> None:
        """Say what went wrong with the run on show."""
        self.details = {**self.details, "message": message}

    def _read(self, name: str) -> tuple[SavedRun, dict[str, Any]]:
        run = self._store.open(name)
        views.loss.columns(run, Selection())  # on this thread: a long curve takes a while to read, and is kept
        return run, told(run)

    def _take(self, found: tuple[SavedRun, dict[str, Any]]) -> None:
        run, details = found
        shown = SimpleNamespace(run=run, ghost=None, selection=Selection())
        self._plot = LivePlot(views.loss, shown, self._theme)
        self._box.objects = [self._plot.pane]
        self.details = details

    def _complain(self, error: Exception) -> None:
        self._plot = None
        self._box.objects = []
        self.details = {"name": self._name, "message": str(error)}


def told(run: SavedRun) -> dict[str, Any]:
    """Return what the page says of a saved run. All of it is text to be shown as such."""
    (sums,) = compare.summary({run.name: run})
    facts = {
        "Steps": f"{sums.steps:,}",
        "Characters read": f"{sums.tokens:,}",
        "Training time": time_words(sums.seconds),
        "Training loss": loss_words(sums.train_final, f"mean of the last {compare.WINDOW} steps"),
        "Unseen text": loss_words(sums.validation_final),
        "Lowest on unseen text": loss_words(sums.validation_best, f"at step {sums.validation_best_step or 0:,}"),
    }
    settings = [(label(knob), value_label(knob, value)[:CUT], value != FIRST_PAGE[knob])
                for knob, value in flat(run.experiment.to_dict()).items() if knob not in UNTOLD]  # fmt: skip
    environment = run.commit["environment"]
    return {
        "name": run.name, "message": "", "stopped": sums.divergence or "", "created": run.meta["created"],
        "written": run.commit["written"], "facts": [list(fact) for fact in facts.items() if fact[1]],
        "samples": [{"step": f"{sample.step:,}", "prompt": one_line(sample.prompt), "text": one_line(sample.text)}
                    for sample in spread(run.samples, MOST_SAMPLES)],
        "unusual": [[name, value] for name, value, differs in settings if differs],
        "usual": [[name, value] for name, value, differs in settings if not differs],
        "machine": [[WORDS[key], str(environment[key])[:CUT]] for key in WORDS if environment.get(key)],
    }  # fmt: skip


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
    return f"{loss:.3f} nats" + (f", {aside}" if aside else "")


def time_words(seconds: float) -> str:
    """Return a length of time in words.

    >>> time_words(7.2), time_words(312), time_words(7500)
    ('7 s', '5 min 12 s', '2 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
