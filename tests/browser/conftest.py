"""A served lab, and a real Chromium to look at it with."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

APP = Path(__file__).parents[2] / "apps" / "lab.py"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
ALWAYS = ("test_lab.py",)  # the first page; the others take ten minutes together and are run with the slow tests
START = 60  # seconds that a server may take to answer
PATIENCE = 30_000  # milliseconds that anything on the page may take, on a busy machine


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if item.path.name not in ALWAYS:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def chromium():
    """A browser that knows no other host than what the tests open."""
    path = shutil.which("chromium")
    if path is None:
        reason = "no `chromium` on the path: install Debian's package of that name to run the browser tests"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory):
    """Where the served lab keeps its runs."""
    return tmp_path_factory.mktemp("kept") / "runs"


@pytest.fixture(scope="session")
def address(tmp_path_factory, runs_folder):
    """The address of a lab served by a process of its own."""
    with served(tmp_path_factory.mktemp("server") / "log.txt", TLAB_RUNS=str(runs_folder)) as address:
        yield address


@contextmanager
def served(log, *options, **environment):
    """Serve a lab by a process of its own, and yield its address."""
    port = free_port()
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "panel", "serve", str(APP), "--port", str(port), "--address", "127.0.0.1", *options],
            stdout=out, stderr=out, env=os.environ | environment,
        )
        try:
            wait_for_port(port, server, log)
            yield f"http://127.0.0.1:{port}/lab"
        finally:
            server.terminate()
            server.wait(20)


@contextmanager
def served_here():
    """Serve a lab by a thread of this process, which soon notices that a tab was closed, and yield its address."""
    import panel as pn

    port = free_port()
    server = pn.serve(
        {"lab": str(APP)}, port=port, address="127.0.0.1", show=False, threaded=True, verbose=False,
        unused_session_lifetime_milliseconds=300, check_unused_sessions_milliseconds=300,
    )
    try:
        assert listens(port)
        yield f"http://127.0.0.1:{port}/lab"
    finally:
        server.stop()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for_port(port, server, log):
    """Wait until a server's process listens, or fail with what it said."""
    if not listens(port, lambda: server.poll() is None):
        pytest.fail(f"the lab did not answer within {START} s:\n{log.read_text()}")


def listens(port, going=lambda: True):
    """Wait until something listens there, and return whether it does, as long as it is `going`."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and going():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


@dataclass
class Tab:
    """One tab with a lab in it, in the words of someone who uses it."""

    page: object
    errors: list = field(default_factory=list)
    hosts: set = field(default_factory=set)

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def figure(self, name):
        return self.page.locator(f'[data-figure="{name}"]').inner_text()

    @property
    def step(self):
        return int(self.figure("step").replace(",", "").replace("–", "-1"))

    @property
    def loss(self):
        return float(self.figure("loss"))

    def wait(self, condition, what, seconds=PATIENCE / 1000):
        """Wait until the condition holds, or fail saying what never came."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: never came; step {self.figure('step')}"
            self.page.wait_for_timeout(50)

    def tap(self, canvas, across, down, condition, what, seconds=PATIENCE / 1000):
        """Tap on a place of a plot, again every two seconds, until the condition holds.

        A plot takes no tap before it has settled in its place, and nothing on the page says when it has; a tap on what
        is chosen already changes nothing.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: never came; step {self.figure('step')}"
            box = canvas.bounding_box()
            self.page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
            for _ in range(40):
                if condition():
                    return
                self.page.wait_for_timeout(50)

    def trail(self):
        """Layer, head and character that the breadcrumb names."""
        return tuple(
            int(self.page.get_by_label(part, exact=True).input_value()) for part in ("Layer", "Head", "Character")
        )

    def attention(self):
        """The attention map on show, as the browser has it; NaN where a character comes later."""
        return np.array(self.page.evaluate(MAP), dtype=float)

    def sentences(self):
        return self.page.locator(".sentences p").all_inner_texts()


# The only picture on the page that is made of floating-point numbers. JSON has no NaN, so it travels as null.
MAP = """() => {
  for (const model of window.Bokeh.documents[0]._all_models.values()) {
    const picture = model.type === "ColumnDataSource" && model.data.image && model.data.image[0];
    if (picture && picture.dtype === "float32") {
      const [rows, columns] = picture.shape;
      return Array.from({length: rows}, (_, i) => Array.from({length: columns}, (_, j) => {
        const weight = picture[i * columns + j];
        return Number.isNaN(weight) ? null : weight;
      }));
    }
  }
}"""


@pytest.fixture
def open_tab(chromium, address):
    """Return a function that opens a tab; at the end no tab may have complained or asked any other host."""
    tabs = []

    def open_one(width=1440, height=900, query="", **options):
        page = chromium.new_page(viewport={"width": width, "height": height}, **options)
        page.set_default_timeout(PATIENCE)
        tab = Tab(page)
        page.on("console", lambda message: message.type == "error" and tab.errors.append(message.text))
        page.on("pageerror", lambda error: tab.errors.append(str(error)))
        page.on("request", lambda request: tab.hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: tab.hosts.add(urlsplit(socket.url).netloc))
        page.goto(address + query)
        page.locator(".texts .now").wait_for()
        if not query.endswith("#runs"):  # beneath them nothing is drawn
            page.locator("canvas").first.wait_for(state="attached")
        tabs.append(tab)
        return tab

    yield open_one
    for tab in tabs:
        tab.page.close()
    assert [error for tab in tabs for error in tab.errors] == []
    assert set().union(*(tab.hosts for tab in tabs)) <= {urlsplit(address).netloc, ""}


@pytest.fixture
def tab(open_tab):
    """A tab of a laptop."""
    return open_tab()
