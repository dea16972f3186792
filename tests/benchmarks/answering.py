"""How soon the page answers: the first paint, a click on a head, a turned knob, the last two while a model trains.

    python -m tests.benchmarks.answering
    python -m tests.benchmarks.answering --clicks 100 --knobs 20 --pages 5

A process serves the lab as `panel serve` does, and a headless Chromium at 1440x900 has it open. Every time is taken in the
page itself: of a click from the choice of another head until the map's new numbers are there and a frame has been drawn; of
a knob until the step count of the new run, at 1 or later, is on show. Chromium draws without a GPU on the same cores as the
training, which a laptop's browser would not. It means nothing on a busy machine.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.contest import positive
from tests.benchmarks.dashboard import FLAGS
from tlab_core.parallel import blas_kernels, cores

APP = Path(__file__).parents[2] / "apps" / "lab.py"
MAP = """
  const theMap = () => {
    for (const model of window.Bokeh.documents[0]._all_models.values()) {
      const picture = model.type === "ColumnDataSource" && model.data.image && model.data.image[0];
      if (picture && picture.dtype === "float32") return picture;
    }
  };
"""
CLICK = "async (head) => {" + MAP + """
  const find = (root) => root.querySelector('select[aria-label="Head"]')
    ?? [...root.querySelectorAll("*")].map((each) => each.shadowRoot && find(each.shadowRoot)).find(Boolean);
  const select = find(document);
  const before = Array.from(theMap()), began = performance.now();
  select.value = head;
  select.dispatchEvent(new Event("change", {bubbles: true}));
  while (performance.now() < began + 20000) {
    await new Promise(requestAnimationFrame);
    const now = theMap();
    if (now.length !== before.length || before.some((weight, i) => !Object.is(weight, now[i]))) {
      await new Promise(requestAnimationFrame);
      return performance.now() - began;
    }
  }
}"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def serve(port, runs):
    """Start a server of the lab in a process of its own and wait until it answers."""
    command = [sys.executable, "-m", "panel", "serve", str(APP), "--port", str(port), "--address", "127.0.0.1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=os.environ | {"TLAB_RUNS": runs})
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            return server
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server ended before it answered")


def told(what, milliseconds):
    """Print the quantiles of some times."""
    p50, p95 = np.percentile(milliseconds, [50, 95])
    print(f"{what:<42} p50 {p50:6.0f} ms   p95 {p95:6.0f} ms   most {max(milliseconds):6.0f} ms   of {len(milliseconds)}",
          flush=True)


def step_of(page):
    """Return the step on show."""
    return int(page.locator('[data-figure="step"]').inner_text().replace(",", "").replace("–", "-1"))


def open_page(browser, address):
    """Open the lab anew; return the page and the milliseconds to its first paint, and to its plots."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    began = time.perf_counter()
    page.goto(address)
    page.get_by_role("button", name="Train", exact=True).first.wait_for()
    button = 1e3 * (time.perf_counter() - began)
    while page.locator("canvas").count() < 6:
        page.wait_for_timeout(20)
    return page, page.evaluate(PAINT), button, 1e3 * (time.perf_counter() - began)


def watch_heads(page, clicks):
    """Return the milliseconds that each of some clicks took, while the model trains."""
    heads = page.get_by_label("Head", exact=True).locator("option").count()
    times = []
    for i in range(clicks):
        page.wait_for_timeout(137)
        times.append(page.evaluate(CLICK, str(i % heads)))
    return times[1:]  # the first choice may be the head that was on show


def turn_knobs(page, turns):
    """Return the milliseconds from the choice of another norm until the new run's first step is on show."""
    times = []
    select = page.get_by_label("Norm", exact=True)
    for i in range(turns):
        page.wait_for_timeout(1500)
        before = step_of(page)
        began = time.perf_counter()
        select.select_option(["LayerNorm", "RMSNorm"][i % 2])
        while not 0 < step_of(page) < before:
            page.wait_for_timeout(5)
        times.append(1e3 * (time.perf_counter() - began))
    return times


def main():
    """Serve, press, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=positive(int), default=60, help="heads to choose")
    parser.add_argument("--knobs", type=positive(int), default=12, help="knobs to turn")
    parser.add_argument("--pages", type=positive(int), default=5, help="times to open the page, besides the first")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    print(f"{', '.join(blas_kernels())}; {cores()} cores")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as runs, sync_playwright() as playwright:
        server = serve(port, runs)
        try:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            opened = []
            for _ in range(1 + given.pages):
                page, *times = open_page(browser, f"http://127.0.0.1:{port}/lab")
                opened.append(times)
                page.close()
            names = "first paint", "the Train button", "all six plots of the bench"
            for what, times in zip(names, zip(*opened, strict=True), strict=True):
                print(f"{what:<42} the server's first page {times[0]:.0f} ms")
                told("", times[1:])
            page = open_page(browser, f"http://127.0.0.1:{port}/lab")[0]
            page.get_by_role("button", name="Train", exact=True).click()
            while step_of(page) < 20:
                page.wait_for_timeout(50)
            told("a click on a head, to its map", watch_heads(page, given.clicks))
            told("a turned knob, to the new run's first step", turn_knobs(page, given.knobs))
            browser.close()
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main()
