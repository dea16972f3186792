"""All lessons as questions, each with what it takes and whose finding it is."""

from __future__ import annotations

import param

from tlab_core.lessons import LESSONS, Lesson
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.lessons.card import LESSON_STYLE
from tlab_dash.session import Session
from tlab_dash.theme import LIGHT, Theme


class LessonList(Component):
    """The lessons that one session can take."""

    title = "Which question?"
    caption = "Each trains small models and reads its answer from them. Guess first; then see what the runs say."

    lessons = param.List(default=[], doc="name, title, source and seconds of each; taken: it is the one that is on.")

    _esm = STATIC / "lessons.js"
    _stylesheets = [STYLE, LESSON_STYLE]

    def __init__(self, session: Session, theme: Theme = LIGHT, **params):
        """Colours are the page's own custom properties, so that no theme needs to be known here."""
        super().__init__(sizing_mode="stretch_both", **params)
        self._session = session
        self.refresh()

    def refresh(self) -> None:
        """Mark the lesson that is on."""
        taking = self._session.lesson
        on = taking.lesson.name if taking is not None else ""
        self.lessons = [about(lesson) | {"taken": name == on} for name, lesson in LESSONS.items()]


def about(lesson: Lesson) -> dict:
    """Return what the list says of a lesson."""
    return {"name": lesson.name, "title": lesson.title, "source": lesson.paper.cited, "seconds": round(lesson.seconds)}
