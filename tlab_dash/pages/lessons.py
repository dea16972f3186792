"""The lessons to choose from."""

from tlab_dash.lessons.listing import LessonList
from tlab_dash.pages.page import Card, Page

lessons = Page(
    name="lessons",
    title="Lessons",
    lead="A lesson answers one question by training models before your eyes.",
    cards=(Card(LessonList, columns=12, rows=2, tall=1100),),
)
