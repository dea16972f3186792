"""The Sphinx extension that makes the site's generated pages before it reads them, and brings along what they show."""

import shutil
from pathlib import Path
from typing import Any

import bokeh
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.fileutil import copy_asset

from docs.generator import (
    api_pages,
    command_page,
    figures,
    gallery_pages,
    glossary_page,
    knob_pages,
    lesson_pages,
    notebook_page,
    pairs,
    prose,
)
from docs.generator.made import ROOT, key, made
from docs.generator.shown import BASE, SHOWN, Pair
from tlab_core.knob_text import flat
from tlab_dash.views import VIEWS

BOKEH = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
GENERATED = ("knobs", "gallery", "lessons", "api")  # folders of docs/ that hold nothing else; git passes them over
LOG = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the generator to a build."""
    app.connect("builder-inited", generate)
    app.connect("autodoc-process-docstring", docstring)
    app.connect("html-page-context", scripts)
    app.connect("build-finished", bring_along)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def generate(app: Sphinx) -> None:
    """Write every generated page that is not there yet as it should be, and remove what nothing generates any more."""
    source = Path(app.srcdir)
    cache = source / "_build" / "cache"
    LOG.info("making runs and figures that have changed ...")
    pair_keys = {knob: key(pairs.__name__, knob, flat(BASE), vars(pair))
                 for knob, pair in SHOWN.items() if isinstance(pair, Pair)}  # fmt: skip
    figure_keys = {name: key(figures.__name__, figures.example(name)) for name in VIEWS.names()}
    found = made(pairs.__name__, pair_keys, cache / "pairs")
    drawn = made(figures.__name__, figure_keys, cache / "figures", together=len(figure_keys))
    snapshots = {knob: f"{knob_pages.slug(knob)}.html" for knob in found}
    addresses = {knob: f"../_static/snapshots/{name}" for knob, name in snapshots.items()}
    write(source / "knobs", knob_pages.pages(found, addresses))
    write(source / "gallery", gallery_pages.pages(drawn))
    write(source / "lessons", lesson_pages.pages((source / "lessons.md").read_text(encoding="utf-8")), ".md")
    write(source / "api", api_pages.pages())
    changed(source / "command_line.rst", command_page.page())
    changed(source / "glossary.rst", glossary_page.page())
    changed(source / "notebooks.md", notebook_page.page(ROOT / "examples"))
    app.tlab_snapshots = {name: cache / "pairs" / f"{knob}-{pair_keys[knob]}.html" for knob, name in snapshots.items()}


def write(folder: Path, pages, suffix: str = ".rst") -> None:
    """Write pages, given as (name, text), and leave nothing else in the folder; what is as it should be stays untouched."""
    folder.mkdir(exist_ok=True)
    written = {changed(folder / f"{name}{suffix}", text) for name, text in pages}
    for file in set(folder.iterdir()) - written:
        file.unlink()


def changed(file: Path, text: str) -> Path:
    """Write a file unless it holds the text already, so that Sphinx reads only what is new."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
    return file


def docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring, which is plain text, into reStructuredText."""
    lines[:] = prose.docstring("\n".join(lines))


def scripts(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    """Load Bokeh's script on the pages that have figures, and nowhere else."""
    if page.startswith("gallery/") and page != "gallery/index":
        app.add_js_file("bokeh.min.js")


def bring_along(app: Sphinx, trouble: Exception | None) -> None:
    """Copy Bokeh's script, out of the installed package, and the snapshots beside the pages."""
    if trouble is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    copy_asset(BOKEH, static)
    folder = static / "snapshots"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, file in app.tlab_snapshots.items():
        shutil.copyfile(file, folder / name)
