"""The architecture map in a real browser: presses arrive in Python, numbers refresh in place, a new wiring slides."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.browser

APP = """
import itertools
import panel as pn
from tlab_core.config import Architecture
from tlab_dash.architecture_map import ArchitectureMap, MapValues
from tlab_dash.theme import css_variables

pn.extension(raw_css=[css_variables()])
shown = ArchitectureMap(width=344, height=820)
ticks, layouts = itertools.count(1), itertools.cycle(["Post-LN", "Pre-LN"])
heard = pn.widgets.StaticText()
wiring = [Architecture(num_layers=3)]

def refresh():
    parts = [f"residual.{d}" for d in range(7)]
    parts += [f"blocks.{i}.{branch}" for i in range(3) for branch in ("attention", "mlp")]
    tick = next(ticks)
    shown.update(wiring[0], MapValues(tick, {}, {part: tick * 0.001 for part in parts}))

def hear(event):
    shown.selected = event.new["layer"]
    heard.value = f"heard layer {event.new['layer']}, press {event.new['count']}"

def rewire(_):
    wiring[0] = Architecture(num_layers=3, residual_type=next(layouts))
    refresh()

shown.param.watch(hear, "pressed")
button = pn.widgets.Button(name="Rewire", on_click=rewire)
pn.state.add_periodic_callback(refresh, 200)
refresh()
pn.Row(shown, pn.Column(button, heard)).servable()
"""

SPY = """() => {
  window.slid = []
  const animate = Element.prototype.animate
  Element.prototype.animate = function (frames, timing) {
    window.slid.push(this.dataset.key)
    return animate.call(this, frames, timing)
  }
}"""
FOCUSED = """() => {
  let active = document.activeElement
  while (active.shadowRoot?.activeElement) { active = active.shadowRoot.activeElement }
  return active.dataset?.layer ?? null
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    app = tmp_path_factory.mktemp("map") / "map_app.py"
    app.write_text(APP, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "panel", "serve", str(app), "--address", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/map_app"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(url, server)
            yield url
        finally:
            server.terminate()


def _wait_for(url, server, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"the map's page did not come up at {url}")


@pytest.fixture
def page(chromium, address):
    page = chromium.new_page(viewport={"width": 700, "height": 860})
    page.requested, page.mistakes = [], []
    page.on("request", lambda request: page.requested.append(request.url))
    page.on("pageerror", lambda error: page.mistakes.append(str(error)))
    page.goto(address)
    page.wait_for_selector(".tlab-map")
    yield page
    page.close()
    assert page.mistakes == []


def test_asks_no_other_host_for_anything(page, address):
    here = address.removesuffix("/map_app")
    elsewhere = [url for url in page.requested if not url.startswith((here, here.replace("http", "ws"), "data:", "blob:"))]
    assert elsewhere == []


def test_presses_by_mouse_and_keyboard_reach_python_even_twice(page):
    page.locator('[data-layer="2"]').click()
    page.get_by_text("heard layer 2, press 1").wait_for()
    page.wait_for_selector('[data-layer="2"][aria-pressed="true"]')
    page.locator('[data-layer="1"]').focus()
    page.keyboard.press("Enter")
    page.get_by_text("heard layer 1, press 2").wait_for()
    page.keyboard.press("Space")
    page.get_by_text("heard layer 1, press 3").wait_for()
    assert page.evaluate(FOCUSED) == "1", "the selection redrew the map and kept the focus"


def test_numbers_refresh_in_place_and_a_new_wiring_slides(page):
    bead = page.locator('[data-key="blocks.0.norm1"]')
    number = page.locator('[data-key="blocks.1.attention"] .number')
    page.locator('[data-layer="1"]').focus()
    kept = page.query_selector(".tlab-map")
    page.evaluate(SPY)
    earlier = number.text_content()
    page.wait_for_function("([shown, old]) => shown.textContent !== old", arg=[number.element_handle(), earlier])
    page.wait_for_timeout(500)
    assert kept.evaluate("drawing => drawing.isConnected"), "the drawing was replaced by a mere refresh"
    assert page.evaluate("window.slid") == []
    assert page.evaluate(FOCUSED) == "1"

    beside = bead.bounding_box()["x"]
    page.get_by_role("button", name="Rewire").click()
    page.wait_for_function("window.slid.length > 0")
    slid = page.evaluate("window.slid")
    assert {f"blocks.{layer}.norm{branch}" for layer in range(3) for branch in (1, 2)} <= set(slid)
    assert "embedding" not in slid, "what stays where it was does not move"
    page.locator('[data-layer="2"]').click()
    page.wait_for_selector('[data-layer="2"][aria-pressed="true"]')
    since = bead.evaluate("part => part.classList.contains('changed') && part.style.getPropertyValue('--tlab-outlined')")
    assert -2000 < float(since.removesuffix("ms")) < 0, "the outline goes on in the drawing with another layer chosen"
    slid = page.evaluate("window.slid")
    page.wait_for_timeout(500)
    assert bead.bounding_box()["x"] < beside - 10, "Post-LN's bead is on the road now"
    assert len(page.evaluate("window.slid")) == len(slid), "refreshes during and after the slide start nothing"

    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="Rewire").click()
    page.wait_for_timeout(1000)
    assert bead.bounding_box()["x"] == pytest.approx(beside, abs=3)  # its outline is thicker for two seconds
    assert len(page.evaluate("window.slid")) == len(slid), "nobody who asked for less motion gets any"
