"""The API: every public name, with its docstring."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import tlab_core
from docs.generator import prose
from docs.generator.figures import called
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
    for public in kinds["data"]:
        lines += [f".. autodata:: {name}.{public}", "   :no-value:", ""]
    if kinds["View"]:
        titles = {called(view): found.title for view, found in VIEWS.items()}
        lines += [prose.title("Every view", 1), "", "Each is a :class:`tlab_dash.views.View`, shown in the gallery:", ""]
        lines += [f"- :doc:`{public} </gallery/{public}>`: {prose.inline(titles[public])}" for public in kinds["View"]]
        lines += [""]
    return "\n".join(lines)


def _kind(public: Any) -> str:
    if isinstance(public, View):
        return "View"
    return "other" if inspect.isclass(public) or inspect.isroutine(public) else "data"
