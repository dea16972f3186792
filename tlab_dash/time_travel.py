"""Time travel: a slider over the steps at which the run was looked into, which moves every view through its past."""

from __future__ import annotations

import numpy as np
import param

from tlab_dash.component import STATIC, Component
from tlab_dash.session import Session

INVITATION = "Train, then slide back to any step."
NEWEST = "Now: the newest step."
MAPS = ("attention", "qk_histograms")  # of which memory holds fewer records than there are stops


class TimeTravel(Component):
    """The slider below the pictures: its stops are recorded steps, the last one follows the newest.

    `session` needs `run` and `selection`. Of a run that is over, `newest` says what the last stop is.
    """

    button = param.String(default="Now", doc="What the button says that leads to the last stop.")
    place = param.Dict(default={}, doc=(
        "last: the last stop. at: the one on show. past: whether it stays. words: what to say. answered: which question."))

    _esm = STATIC / "time_travel.js"

    def __init__(self, session: Session, newest: str = NEWEST, **params):
        super().__init__(sizing_mode="stretch_width", **params)
        self._session, self._newest = session, newest
        self._answered = 0
        self.refresh()

    def refresh(self) -> None:
        """Show which step is looked at now."""
        self.place = place(self._session, self._newest) | {"answered": self._answered}

    def on_stop(self, asked: dict) -> None:
        """Look at the step of the stop `asked["at"]`; at the last one, at whatever is newest from then on."""
        run, self._answered = self._session.run, int(asked["question"])
        if run is not None:
            steps = recorded_steps(run)
            stop = min(max(0, int(asked["at"])), len(steps) - 1)
            self._session.selection.step = int(steps[stop]) if stop < len(steps) - 1 else None
        self.refresh()

    def move(self, stops: int) -> None:
        """Look so many stops further on, or back; past the last one at whatever is newest."""
        run, step = self._session.run, self._session.selection.step
        if run is None:
            return
        steps = recorded_steps(run)
        at = len(steps) - 1 if step is None else int(np.searchsorted(steps, step, side="right")) - 1
        at = max(0, at + stops)
        self._session.selection.step = int(steps[at]) if at < len(steps) - 1 else None
        self.refresh()

    def on_now(self, _) -> None:
        """Follow the newest step again."""
        self._session.selection.step = None
        self.refresh()


def recorded_steps(run) -> np.ndarray:
    """Return the steps at which the inside of the model was measured, from 0 on."""
    return run.recorder.group("residual").variables["step"].values


def place(session: Session, newest: str = NEWEST) -> dict:
    """Return what the slider shows of a session."""
    run, step = session.run, session.selection.step
    if run is None:
        return {"last": 0, "at": 0, "past": False, "words": INVITATION}
    steps = recorded_steps(run)
    last = len(steps) - 1
    if step is None:
        between = newest == NEWEST and steps[-1] < run.step  # the run is further than the last look inside
        said = f"Now: pictures of step {steps[-1]:,}." if between else newest
        return {"last": last, "at": last, "past": False, "words": said if last > 0 else INVITATION}
    at = max(0, int(np.searchsorted(steps, step, side="right")) - 1)
    return {"last": last, "at": at, "past": True, "words": words(run, step)}


def words(run, step: int) -> str:
    """Return in words which step is looked at, and which the maps are of where theirs was not kept."""
    said = f"Step {step:,} of {run.step:,}: the past."
    recorded = [run.recorder.group(group).variables["step"].values for group in MAPS]
    older = min(int(steps[steps <= step][-1]) for steps in recorded)
    return said if older == step else f"{said} Attention as it was at step {older:,}."
