"""A plot as PNG and SVG, drawn by Bokeh's own export in a real browser that chromedriver starts."""

import os
import shutil
import time
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.dash.fakes import fake_run
from tlab_dash import views
from tlab_dash.theme import DARK, LIGHT, rgb

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script> & Loß"


@pytest.fixture(autouse=True)
def driver():
    """Skip where the programs are missing, but in continuous integration fail."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        reason = f"no `{missing[0]}` on the path: install Debian's chromium and chromium-driver to run these tests"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def run():
    return fake_run(records=12)


def started_with(mark):
    """Return the processes, but this one, whose environment has a mark, by their command."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and mark.encode() in (process / "environ").read_bytes():
                found[process.name] = (process / "cmdline").read_text()
        except OSError:  # it has ended meanwhile, or is another user's
            continue
    return found


def pixels(path):
    return np.asarray(Image.open(path))


def near(picture, colour, share):
    """Return whether at least this share of a picture has a colour, give or take what smoothing does."""
    return (np.abs(picture.astype(int) - rgb(colour)).max(axis=-1) <= 6).mean() >= share


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_a_png_is_drawn_on_a_card(theme, run, tmp_path):
    picture = pixels(views.loss.save(run, tmp_path / "loss.png", theme=theme, width=600, height=300))
    assert picture.shape == (600, 1200, 3)  # no transparency
    edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (edges == rgb(theme.surface)).all()
    assert near(picture, theme.surface, 0.7)
    assert near(picture, theme.attention, 0.003)  # the curve
    assert near(picture[:60], theme.text, 0.001)  # the title


def test_an_svg_has_its_words_as_words(run, tmp_path):
    path = views.loss.save(run, tmp_path / "loss.svg", title=HOSTILE, theme="dark")
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    assert root.tag == f"{SVG}svg"
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("560", "320", "0 0 560 320")
    card = root.find(f"{SVG}rect")
    assert (card.get("fill"), card.get("width")) == (DARK.surface, "100%")
    words = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert HOSTILE in words
    assert {"step", "loss (nats)", "average", "letter pairs 2.00"} <= set(words)
    assert not list(root.iter(f"{SVG}script"))


def test_a_map_is_a_picture_inside_the_svg(run, tmp_path):
    path = views.attention.save(run, tmp_path / "map.svg", layer=1, head=3)
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    inside = next(root.iter(f"{SVG}image"))
    assert inside.get("href").startswith("data:image/png;base64,")


def test_a_page_opens_without_a_network(chromium, run, tmp_path):
    path = views.attention.save(run, tmp_path / "map.html", theme="dark", title=HOSTILE)
    asked, errors = [], []
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.locator("canvas").first.wait_for(state="attached")
    assert page.evaluate("Bokeh.documents[0].roots()[0].above[0].text") == HOSTILE
    context.close()
    assert (asked, errors) == ([path.as_uri()], [])


def test_what_someone_composed_is_drawn_side_by_side(run, tmp_path):
    picture = pixels(views.save(views.loss(run) + views.signal(run), tmp_path / "two.png", width=700, height=300, scale=1))
    assert picture.shape == (300, 700, 3)
    for half in (picture[:, :350], picture[:, 350:]):
        assert not near(half, LIGHT.surface, 0.99)


def test_nothing_is_left_behind_and_no_proxy_is_asked(run, tmp_path, monkeypatch):
    mark, home = uuid.uuid4().hex, set(Path.home().glob("bokeh*"))
    monkeypatch.setenv("TLAB_TEST_MARK", mark)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    during = []
    usual = views.saving.export.get_svg
    monkeypatch.setattr(views.saving.export, "get_svg", lambda *args, **keys: during.append(started_with(mark)) or usual(
        *args, **keys))  # fmt: skip
    views.loss.save(run, tmp_path / "loss.svg")
    assert any("chromedriver" in command for command in during[0].values())
    assert any("--headless" in command for command in during[0].values())
    for _ in range(100):
        if not (left := started_with(mark)):
            break
        time.sleep(0.1)
    assert left == {}
    assert set(Path.home().glob("bokeh*")) == home
    assert [path.name for path in tmp_path.iterdir()] == ["loss.svg"]


def test_a_browser_that_fails_is_said_and_ended(run, tmp_path, monkeypatch):
    mark = uuid.uuid4().hex
    monkeypatch.setenv("TLAB_TEST_MARK", mark)
    monkeypatch.setattr(views.saving.export, "_SVG_SCRIPT", lambda obj: "throw new Error('no ink')")
    with pytest.raises(views.PictureError, match="the browser could not draw the picture: javascript error: no ink"):
        views.loss.save(run, tmp_path / "loss.svg")
    for _ in range(100):
        if not (left := started_with(mark)):
            break
        time.sleep(0.1)
    assert left == {}
    assert list(tmp_path.iterdir()) == []
