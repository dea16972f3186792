"""The run bar: Train, Pause, Step, Reset, how fast, and where the run stands."""

from __future__ import annotations

import numpy as np
import panel as pn
import param

from tlab_core.parallel import cores
from tlab_dash.component import STATIC, Component
from tlab_dash.session import Session
from tlab_dash.time_left import TimeLeft, goal, steps_left, words

RECENT = 20  # steps that the loss and the speed are averaged over


class RunBar(Component):
    """The bar on top (at the bottom of a phone) that drives one session's run."""

    status = param.Dict(default={}, doc="State, step, loss, characters a second, time left, pace and a notice.")
    share = pn.custom.Child(doc="The Share button.")

    _esm = STATIC / "run_bar.js"

    def __init__(self, session: Session, **params):
        super().__init__(sizing_mode="stretch_width", **params)
        self._session = session
        self._time_left = TimeLeft()
        self.refresh()

    def refresh(self) -> None:
        """Show where the session's run stands."""
        session = self._session
        now = status(session) | {"left": words(self._time_left.of(steps_left(session), goal(session)))}
        self.tell(status=now)

    def on_action(self, action: str) -> None:
        """Carry out a press: train, pause, step or reset."""
        session = self._session
        press = {"train": session.train, "pause": session.pause, "step": session.step_once, "reset": session.reset}
        if action in press:
            press[action]()
            self.refresh()

    def on_pace(self, pace: str) -> None:
        """Train at full speed or slowly."""
        if pace in ("full", "slow"):
            self._session.pace = pace


def status(session: Session) -> dict:
    """Return what the run bar shows of a session."""
    run = session.run
    figures = {"step": 0, "loss": None, "rate": None} if run is None else recent(run)
    return {
        "ready": run is not None,
        "state": session.state,
        "pace": session.pace,
        "notice": notice(session),
        **figures,
    }


def notice(session: Session) -> str:
    """Return what the bar says beside the figures; nothing as long as all is well."""
    ahead, runs = session.queue
    if session.building:
        return f"Building the model … {ahead} runs go first." if ahead > 1 else "Building the model …"
    if session.state == "stopped":
        return "Stopped. What changed says why."
    if session.rested:
        return session.idle.words
    if session.run is not None and session.run.step == session.limits.steps:
        return f"Runs end at step {session.limits.steps:,} here."
    if session.state == "training" and session.race is not None and session.ghost is not None:
        return f"Racing to step {session.race.target:,}."
    shared = session.state == "training" and runs > 1
    return f"{runs} runs share {cores()} core{'s' if cores() > 1 else ''}." if shared else ""


def recent(run) -> dict:
    """Return the step, and loss and characters a second over the last steps (that on unseen text before the first)."""
    if run.step == 0:
        return {"step": 0, "loss": _number(run.recorder.newest("validation", 1)["loss"].mean()), "rate": None}
    train = run.recorder.newest("train", RECENT)
    seconds, tokens = train["seconds"], train["tokens"]
    rate = None
    if len(seconds) > 1 and seconds[-1] > seconds[0]:
        rate = round((tokens[-1] - tokens[0]) / (seconds[-1] - seconds[0]), -2)
    return {"step": run.step, "loss": _number(train["loss"].mean()), "rate": _number(rate)}


def _number(x) -> float | None:
    """Return a plain float, or None for what JSON can't carry."""
    return None if x is None or not np.isfinite(x) else float(x)
