"""The pictures of the lab in `assets`, and the example of a snapshot, made anew: python -m docs.pictures

It takes some minutes, Playwright (`pip install -e ".[test]"`) and Debian's Chromium.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tlab_core.experiment import default_experiment
from tlab_core.knob_text import with_values
from tlab_core.run import LiveRun
from tlab_dash.snapshot import snapshot

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "assets"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LAPTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
STEPS = 300
PATIENCE = 300  # seconds
NOTES = """\
## Hypothesis

With no warm-up, putting the norm **before** each part (Pre-LN) learns faster than putting it after the sum (Post-LN).
[Xiong and others (2020)](https://arxiv.org/abs/2002.04745) found that Post-LN needs warm-up.

## How to look

Slide back to step 0, then press a layer and pick a head. Which run's heads find the previous character first?
"""


@contextmanager
def served() -> Iterator[str]:
    """Serve the lab, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as runs:
        server = subprocess.Popen(
            [sys.executable, "-m", "panel", "serve", str(ROOT / "apps" / "lab.py"), "--port", str(port),
             "--address", "127.0.0.1"], env=os.environ | {"TLAB_RUNS": runs})  # fmt: skip
        try:
            while server.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/lab"
        finally:
            server.terminate()
            server.wait(20)


def opened(browser: Browser, address: str, **options) -> Page:
    """Open the lab, and wait until the bench is drawn."""
    page = browser.new_page(**options)
    page.set_default_timeout(60_000)
    page.goto(address)
    page.locator(".depth canvas").first.wait_for()
    page.wait_for_timeout(3000)
    return page


def trained(page: Page, steps: int) -> None:
    """Train until this step, and pause."""
    page.get_by_role("button", name="Train", exact=True).click()
    reach(page, steps)
    page.get_by_role("button", name="Pause", exact=True).click()


def reach(page: Page, steps: int) -> None:
    """Wait until this step."""
    deadline = time.monotonic() + PATIENCE
    while int("0" + page.locator('[data-figure="step"]').inner_text().replace(",", "").strip("–")) < steps:
        if time.monotonic() > deadline:
            raise TimeoutError(f"step {steps} was not reached in {PATIENCE} s")
        page.wait_for_timeout(200)


def taken(page: Page, name: str) -> None:
    """Take a picture once everything has been drawn."""
    page.mouse.move(2, 2)
    page.wait_for_timeout(3000)
    page.screenshot(path=ASSETS / f"{name}.png")


def in_the_other_theme(page: Page) -> None:
    """Press what switches the theme."""
    page.get_by_role("button", name="Switch between light and dark", exact=True).click()


def turned_to(page: Page, title: str) -> None:
    """Turn to a page, and wait until it is drawn."""
    page.get_by_role("button", name=title, exact=True).click()
    page.locator(".page canvas").first.wait_for()
    page.wait_for_timeout(6000)


def on_a_laptop(browser: Browser, address: str) -> None:
    """Train, turn a knob, and look around."""
    page = opened(browser, address, viewport=LAPTOP, color_scheme="light")
    trained(page, STEPS)
    taken(page, "lab-light")
    turned_to(page, "Neuron")
    taken(page, "neuron-light")
    page.get_by_role("button", name="Bench", exact=True).click()
    page.locator('[data-knob="architecture.norm_type"] select').select_option("None")
    page.get_by_text("with norm None").first.wait_for()  # the new run is there
    trained(page, STEPS)
    taken(page, "lab-ghost-light")
    in_the_other_theme(page)
    taken(page, "lab-ghost-dark")
    turned_to(page, "Gradient flow")
    taken(page, "gradient-flow-dark")
    page.close()


def on_a_phone(browser: Browser, address: str) -> None:
    """The same page on a phone, in both themes."""
    for theme in ("light", "dark"):
        page = opened(browser, address, viewport=PHONE, color_scheme=theme, is_mobile=True, has_touch=True)
        trained(page, STEPS)
        taken(page, f"phone-{theme}")
        page.close()


def example() -> None:
    """Write the snapshot that the README shows."""
    small = {"architecture.hidden_dim": 64, "architecture.num_layers": 2, "architecture.ff_dim": None}
    first = with_values(default_experiment(), {**small, "training.warmup_steps": 0})
    runs = {}
    for layout in ("Pre-LN", "Post-LN"):
        run = LiveRun(with_values(first, {"architecture.residual_type": layout}))
        run.sample(run.experiment.prompt, 160)
        run.advance(steps=400)
        run.sample(run.experiment.prompt, 160)
        run.trainer.close()
        runs[layout] = run
    snapshot(runs, ASSETS / "snapshot.html", title="Norm before or after?", notes=NOTES)


def main() -> None:
    """Make all of them."""
    example()
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        on_a_laptop(browser, address)
        on_a_phone(browser, address)
        browser.close()


if __name__ == "__main__":
    main()
