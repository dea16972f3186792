"""A page for each view: its caption, its example, the figure that the example makes, and the code that draws it."""

import inspect
import re
import sys
from collections.abc import Iterator
from html import escape
from typing import Any

from docs.generator import prose
from docs.generator.figures import BEGINNING, called, example
from tlab_dash.views import VIEWS

CHOICE = re.compile(r"\b(pick|choose) one\b", re.IGNORECASE)  # in a caption, which is written for the lab
INTRO = (
    "Every plot of the lab is a function from a run to a HoloViews object. Each page shows one: the example as it stands, "
    "and its figure, made when these pages were built. Where a caption says “choose” or “pick one”, that is a keyword of "
    "the call, or a click in the lab or in `views.live`; the figures here stand alone, and can be moved, zoomed and asked "
    "with the mouse."
)


def pages(made: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (name, reStructuredText) of the index and of each view's page; `made` is what `figures` made, by view."""
    yield "index", _index(made)
    for name, view in VIEWS.items():
        yield called(name), _page(name, view, made[name])


def _index(made: dict[str, dict[str, Any]]) -> str:
    lines = [prose.title("Gallery"), "", prose.paragraph(INTRO), "", "Nearly all examples begin with the same run:", "",
             prose.literal(BEGINNING.splitlines(), "python"), "", *prose.html('<div class="gallery">')]  # fmt: skip
    for name, view in VIEWS.items():
        public = called(name)
        lines += prose.html(
            f'<a class="shown" href="{public}.html"><span class="light">{made[name]["thumbnail"]}</span>'
            f'<span class="dark">{made[name]["dark_thumbnail"]}</span>{escape(view.title)}<code>{public}</code></a>')
    listed = [f"   {called(name)}" for name in VIEWS.names()]
    return "\n".join([*lines, *prose.html("</div>"), ".. toctree::", "   :hidden:", "", *listed, ""])


def _page(name: str, view: Any, made: dict[str, Any]) -> str:
    module = inspect.getmodule(view.columns)
    drawn = sys.modules[view.draw.__module__]
    lines = [
        prose.title(view.title), "", prose.paragraph(view.caption), "",
        prose.literal(example(name).splitlines(), "python"), "",
        *prose.html(f'<div class="figure light">\n{made["html"]}\n</div>'),
        *prose.html(f'<div class="figure dark">\n{made["dark"]}\n</div>'),
    ]  # fmt: skip
    if made["note"]:
        lines += [prose.paragraph(made["note"]), ""]
    if CHOICE.search(view.caption):
        lines += ["To pick or choose one is a click in the lab and in ``views.live``; here it is a keyword of the call, "
                  "such as ``layer=2``.", ""]  # fmt: skip
    lines += [f"``views.{called(name)}`` takes a run or a Trainer, what to look at (``layer``, ``head``, ``step`` …), a "
              "``ghost`` to compare with and a ``theme``: see :class:`tlab_dash.views.View`.", ""]  # fmt: skip
    for shown in dict.fromkeys((module, drawn)):
        lines += prose.folded(f"The code: {shown.__name__}", [inspect.getsource(shown)])
    return "\n".join(lines)
