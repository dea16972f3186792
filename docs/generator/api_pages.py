"""The API: every public name, with its docstring."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import tlab_core
from docs.generator import prose
from docs.generator.figures import called
from docs.generator.knob_pages import slug
from tlab_core.cli.knobs import allowed
from tlab_core.experiment import PARTS, Experiment
from tlab_core.knob_text import knobs
from tlab_dash.views import VIEWS, View

MODULES = {
    "tlab_core": "The engine",
    "tlab_core.extend": "What extensions need",
    "tlab_core.runs": "Runs that last",
    "tlab_core.lessons": "Lessons",
    "tlab_dash": "The dashboard",
    "tlab_dash.views": "Views",
    "tlab_dash.snapshot": "Snapshots",
}


def pages() -> Iterator[tuple[str, str]]:
    """Yield (name, reStructuredText) of the index and of each module's page."""
    listed = "\n".join(f"   {name}" for name in MODULES)
    intro = "Every public name. What it does stands in its docstring."
    yield "index", f"{prose.title('API')}\n\n{intro}\n\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n"
    for name, heading in MODULES.items():
        yield name, _page(name, heading)


def _page(name: str, heading: str) -> str:
    module = import_module(name)
    lines = [prose.title(f"{heading}: `{name}`"), "", f".. automodule:: {name}", "   :no-members:", ""]
    kinds: dict[str, list[str]] = {"View": [], "data": [], "other": []}
    for public in module.__all__:
        kinds[_kind(getattr(module, public))].append(public)
    told = [public for public in kinds["other"] if name != "tlab_core" and public in tlab_core.__all__]
    if told:
        lines += [f"On the page of the engine: {', '.join(f':py:obj:`tlab_core.{public}`' for public in told)}.", ""]
    for public in [one for one in kinds["other"] if one not in told]:
        directive = "autoclass" if inspect.isclass(getattr(module, public)) else "autofunction"
        lines += [f".. {directive}:: {name}.{public}", *(["   :members:"] if directive == "autoclass" else []), ""]
        lines += [f"   {line}".rstrip() for line in _knobs(getattr(module, public))]
    for public in kinds["data"]:
        lines += [f".. autodata:: {name}.{public}", "   :no-value:", ""]
    if kinds["View"]:
        titles = {called(view): found.title for view, found in VIEWS.items()}
        lines += [prose.title("Every view", 1), "", "Each is a :class:`tlab_dash.views.View`, shown in the gallery:", ""]
        lines += [f"- :doc:`{public} </gallery/{public}>`: {prose.inline(titles[public])}" for public in kinds["View"]]
        lines += [""]
    return "\n".join(lines)


def _knobs(public: Any) -> list[str]:
    """The knobs that a class of settings takes, each with its usual value and a link to its page; of all else nothing."""
    part = next((part for part, kind in (*PARTS.items(), ("", Experiment)) if kind is public), None)
    if part is None:
        return []
    rows = [(f"``{inner}``", f"a :py:class:`tlab_core.{kind.__name__}`", f"``{kind.__name__}()``")
            for inner, kind in PARTS.items() if not part]  # fmt: skip
    for full, about in knobs():
        of, _, own = full.rpartition(".")
        if of == part:
            rows.append((f":doc:`{own} </knobs/{slug(full)}>`", prose.paragraph(f"{about.label}: {allowed(about)}"),
                         f"``{about.default!r}``"))  # fmt: skip
    cells = ["\n".join(f"   {'*' if place == 0 else ' '} - {cell}" for place, cell in enumerate(row)) for row in rows]
    return ["Its keywords are knobs; each has a page.", "", ".. list-table::", "   :header-rows: 1",
            "   :widths: 28 50 22", "",
            "   * - knob", "     - what it takes", "     - usual value", *"\n".join(cells).splitlines(), ""]  # fmt: skip


def _kind(public: Any) -> str:
    if isinstance(public, View):
        return "View"
    return "other" if inspect.isclass(public) or inspect.isroutine(public) else "data"
