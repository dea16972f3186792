"""The lesson's card, which takes the knobs' place while a lesson is on."""

from __future__ import annotations

from collections.abc import Callable

import param

from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.lessons.taking import Taking
from tlab_dash.lessons.words import bright, leaf
from tlab_dash.session import Session

LESSON_STYLE = (STATIC / "lesson.css").read_text(encoding="utf-8")


class LessonCard(Component):
    """The lesson that a session takes, one step at a time. Nothing is said while there is none.

    changed  called after each press, as it may have turned what else the page shows
    flip     called when the map is to show the other drawing
    listed   called when the list of lessons is asked for
    """

    leaf = param.Dict(default={}, doc="What the open leaf says, see `words.leaf`; empty while no lesson is on.")

    _esm = STATIC / "lesson.js"
    _stylesheets = [STYLE, LESSON_STYLE]

    def __init__(self, session: Session, changed: Callable[[], None], flip: Callable[[], None],
                 listed: Callable[[], None], **params):
        super().__init__(sizing_mode="stretch_both", **params)
        self._session, self._changed, self._flip, self._listed = session, changed, flip, listed
        self._on_map: str | None = None  # the key of the run that the map shows, in the first step

    @property
    def bright(self) -> list[str]:
        """Return the views that the step is about; empty while no lesson is on."""
        taking = self._session.lesson
        return bright(taking) if taking is not None else []

    @property
    def on_map(self):
        """Return the run whose drawing the map is to show in place of the one on the bench, or None."""
        taking = self._session.lesson
        return taking.runs.get(self._on_map) if taking is not None and taking.step == "look" else None

    def refresh(self) -> None:
        """Say what can be said now."""
        taking = self._session.lesson
        self.leaf = leaf(taking, self._session) if taking is not None else {}

    def on_go(self, step: str) -> None:
        """Turn to another step."""
        self._press(lambda taking: taking.go(str(step)))

    def on_predict(self, answer: str) -> None:
        """Choose an answer."""
        self._press(lambda taking: taking.predict(str(answer)))

    def on_flip(self, key: str) -> None:
        """Show the drawing of one of those that race on the map."""
        self._on_map = str(key)
        self._flip()

    def on_stage(self, key: str) -> None:
        """Show one of the lesson's runs on the bench."""
        self._press(lambda taking: taking.show(str(key)))

    def on_turn_up(self, up: bool) -> None:
        """Turn the repair's knob."""
        self._press(lambda taking: taking.turn_up(up))

    def on_action(self, action: str) -> None:
        """Carry out a press of a button."""
        presses = {
            "run": Taking.run, "skip": Taking.skip, "repair": Taking.repair, "check": Taking.check,
            "stop_check": Taking.stop_check, "back_on_stage": Taking.back_on_stage,
        }
        action = str(action)  # whatever it was that came
        if action in presses:
            self._press(presses[action])
        elif action in ("train", "pause"):
            self._press(lambda taking: getattr(self._session, action)())
        elif action in ("leave", "list"):
            self._on_map = None
            if action == "leave":
                self._session.leave_lesson()
            else:
                self._listed()

    def _press(self, act: Callable[[Taking], None]) -> None:
        if self._session.lesson is not None:
            act(self._session.lesson)
            self._changed()
