"""The whole site, built as CONTRIBUTING says: every link leads somewhere, and nothing asks another host."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser.conftest import chromium  # noqa: F401

ROOT = Path(__file__).parents[1]
TAKES = ("README.md", "CONTRIBUTING.md")
FOLDERS = ("docs", "assets", "examples")
LOADED = {  # what a browser fetches by itself, as (element, attribute)
    ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("link", "href"),
    ("img", "srcset"), ("object", "data"), ("embed", "src"),
}  # fmt: skip
IN_CSS = re.compile(r"""url\(\s*["']?([^"')]+)["']?\s*\)|@import\s+["']([^"']+)["']""")
KINDS = ("index.html", "command_line.html", "gallery/index.html", "knobs/norm_type.html", "gallery/attention.html",
         "add_a_norm.html", "lessons/norm-first.html",
         "api/tlab_core.html", "search.html")  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # it trains two models for each of forty knobs


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built from a copy of what it is made of by the command in CONTRIBUTING.md."""
    if not os.environ.get("CI"):
        pytest.importorskip("sphinx", reason="the site is built with: python -m pip install -e '.[docs]'")
    root = tmp_path_factory.mktemp("site")
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("_build", "__pycache__", "knobs", "gallery", "lessons", "api", "notebooks.md",
                                          "command_line.rst", "glossary.rst")
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    for file in TAKES:
        shutil.copy(ROOT / file, root)
    command = re.search(r"^python (-m sphinx .*? docs/_build/html)", (root / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert "-W" in command[1].split()  # warnings are errors
    ended = subprocess.run([sys.executable, *command[1].split()], cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
    return root / "docs" / "_build" / "html"


class Page(HTMLParser):
    """What a page names: its anchors, its links, what it loads, and its styles."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors, self.links, self.loads, self.css, self._style = set(), [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif (tag, name) in LOADED:
                self.loads += [part.split()[0] for part in value.split(",")] if name == "srcset" else [value]
            elif name == "href":
                self.links.append(value)
            elif name == "style":
                self.css.append(value)
        self._style = tag == "style"

    def handle_data(self, data):
        if self._style:
            self.css.append(data)


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the site, read."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def in_css(text: str) -> list[str]:
    return [first or second for first, second in IN_CSS.findall(text)]


def is_foreign(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def broken(site: Path, path: Path, address: str, pages: dict[Path, Page]) -> str:
    """Return what is wrong with a link or a file that `path` names, empty where it is right."""
    parts = urlsplit(address)
    if parts.scheme in ("data", "mailto", "https", "http", "javascript", "about", "blob"):
        return ""
    place = unquote(parts.path)
    target = path if not place else (site / place[1:] if place.startswith("/") else path.parent / place).resolve()
    target = target / "index.html" if target.is_dir() else target
    if not target.is_relative_to(site.resolve()):
        return f"{path.name}: {address} leads out of the site"
    if not target.exists():
        return f"{path.name}: {address} leads nowhere"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors | {"", "top"}:
        return f"{path.name}: {address} leads to no such place on its page"
    return ""


def test_there_is_a_page_for_everything(site, pages):
    from docs.generator.figures import called
    from docs.generator.knob_pages import slug
    from docs.generator.shown import SHOWN
    from tlab_core.lessons import LESSONS
    from tlab_dash.views import VIEWS

    wanted = {f"knobs/{slug(knob)}" for knob in SHOWN} | {f"gallery/{called(name)}" for name in VIEWS.names()} | {
        f"lessons/{name}" for name in LESSONS.names()} | {"index", "performance", "growth", "lessons", "add_a_norm",
                                                       "add_more", "command_line", "glossary"}
    assert {f"{page}.html" for page in wanted} <= {path.relative_to(site).as_posix() for path in pages}


def test_every_link_leads_somewhere(site, pages):
    pages = {path.resolve(): page for path, page in pages.items()}
    named = [(path, address) for path, page in pages.items() for address in (*page.links, *page.loads)]
    named += [(path, address) for path, page in pages.items() for css in page.css for address in in_css(css)]
    named += [(path.resolve(), address) for path in site.rglob("*.css")
              for address in in_css(path.read_text(encoding="utf-8"))]
    wrong = sorted({found for path, address in named if (found := broken(site, path, address, pages))})
    assert len(named) > 5000
    assert not wrong, "\n".join(wrong[:50])


def test_no_page_loads_anything_from_another_host(site, pages):
    named = [(path.name, address) for path, page in pages.items() for address in page.loads]
    named += [(path.name, address) for path, page in pages.items() for css in page.css for address in in_css(css)]
    named += [(path.name, address) for path in site.rglob("*.css")
              for address in in_css(path.read_text(encoding="utf-8"))]
    assert len(named) > 1000
    assert not [one for one in named if is_foreign(one[1])]


def test_the_checks_of_links_can_fail(tmp_path):
    text = ('<p id="here"><a href="#gone">x</a><img src="a.png">'
            '<img src="https://x.org/a.png" style="background: url(b.png)">')  # fmt: skip
    page = Page(text)
    path = tmp_path / "page.html"
    path.write_text(text)
    found = [broken(tmp_path, path, address, {path: page}) for address in ("#here", *page.links, *page.loads, "../x.html")]
    assert [one == "" for one in found] == [True, False, False, True, False]
    assert in_css(page.css[0]) == ["b.png"]
    assert [is_foreign(address) for address in page.loads] == [False, True]


@pytest.fixture(scope="module")
def address(site):
    """The site, served."""
    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.browser
def test_a_snapshot_in_a_page_follows_the_sites_theme(address, chromium):  # noqa: F811
    page = chromium.new_page(color_scheme="null")  # what Playwright emulates would hide what a page says
    try:
        page.goto(f"{address}/knobs/norm_type.html")
        page.locator("iframe.snapshot").scroll_into_view_if_needed()
        page.frame_locator("iframe.snapshot").locator("svg, canvas").first.wait_for()
        frame = next(one for one in page.frames if "snapshots/" in one.url)
        for theme in ("dark", "light"):
            page.evaluate(f"document.body.dataset.theme = '{theme}'")
            frame.wait_for_function(f"matchMedia('(prefers-color-scheme: {theme})').matches")
    finally:
        page.close()


@pytest.mark.browser
def test_code_is_copied_at_a_press(address, chromium):  # noqa: F811
    page = chromium.new_page()
    try:
        page.goto(f"{address}/knobs/norm_type.html")
        text = page.locator("div.highlight-console pre").first.inner_text().strip()
        target = page.locator("div.highlight-console button.copybtn").first.get_attribute("data-clipboard-target")
        assert page.locator(target).inner_text().strip() == text
        assert text.startswith("tlab train")
    finally:
        page.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *said):
        pass


@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_opens_without_an_error_and_without_asking_another_host(kind, address, chromium):  # noqa: F811
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    try:
        page.goto(f"{address}/{kind}", wait_until="load")
        if kind == "gallery/index.html":
            assert page.locator(".gallery svg:visible").count() == page.locator(".gallery a").count() > 30
        elif kind.startswith("gallery"):
            page.wait_for_function("Bokeh.index.roots.length && Bokeh.index.roots.every(root => root.is_idle)")
        if kind.startswith("knobs"):
            page.locator("iframe.snapshot").scroll_into_view_if_needed()
            page.frame_locator("iframe.snapshot").locator("svg, canvas").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390  # a phone scrolls in one direction only
        page.set_viewport_size({"width": 1440, "height": 900})
        page.wait_for_timeout(200)  # for the theme's columns
        assert page.evaluate("document.documentElement.scrollWidth") <= 1440
        assert page.locator("h1").count() == 1 or kind == "search.html"  # which is the theme's own
    finally:
        page.close()
    assert len(asked) > 3
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:"))]
    assert not said
