"""What a browser shows while the lab's scripts are still on their way: the page's name, and the places of its cards.

Bokeh and Panel bring four megabytes of script. Where a page names them first, a browser shows nothing before it has read
them all, which takes a second or two on a laptop.
"""

from __future__ import annotations

from bokeh.document import Document

from tlab_dash.component import STATIC
from tlab_dash.theme import css_variables

PAGE = (STATIC / "first_paint.html").read_text(encoding="utf-8")


def show_at_once(document: Document) -> None:
    """Have a page of Panel's begin with a picture of the lab, and name its scripts only after that."""
    document.template = PAGE
    document.template_variables["colours"] = css_variables()
