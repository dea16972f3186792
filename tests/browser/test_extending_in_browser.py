"""A package with a norm, a statistic and a picture of its own: in the selects, in the runs, and on a page."""

import os
import re

import pytest

from tests.browser.conftest import PATIENCE, served
from tests.browser.test_race_in_browser import SMALL
from tests.core.extensions import NORM, install

STATISTIC = '''
from tlab_core import statistic

@statistic
def attention_sink(weights):
    """Share of attention on the first character."""
    return weights[:, :, 1:, 0].mean(axis=-1)
'''
PICTURE = '''
import holoviews as hv
import numpy as np
from tlab_dash.views import View

def columns(run, selection, ghost=None):
    sizes = run.recorder.group("residual").variables["rms"].values[-1].astype(float)
    return {"line": {"depth": np.arange(len(sizes), dtype=float), "size": sizes}}

View(
    name="my_line", title="My line", caption="How large.", columns=columns,
    draw=lambda columns, theme: hv.Overlay([hv.Curve(columns["line"], "depth", "size")]),
    limits=lambda columns: ((0, len(columns["line"]["depth"])), (0, 10)),
)
'''


@pytest.fixture
def page(tmp_path, chromium):
    """A lab where the package is installed, in a browser; its console must stay empty."""
    package = install(tmp_path / "site", norms=NORM, measured=STATISTIC, views=PICTURE)
    path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    with served(tmp_path / "log.txt", PYTHONPATH=path, TLAB_RUNS=str(tmp_path / "runs")) as address:
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE)
        said = []
        page.on("console", lambda message: message.type == "error" and said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(address + SMALL)
        page.locator(".texts .now").wait_for()
        yield page
        page.close()
        assert said == []


def test_what_a_package_brings_can_be_chosen_trained_with_and_looked_at(page):
    norm = page.locator('[data-knob="architecture.norm_type"] select')
    assert "Peak" in norm.locator("option").all_inner_texts()
    norm.select_option("Peak")
    page.wait_for_url(re.compile("a.norm_type=Peak"))
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator('[data-figure="step"]', has_text=re.compile(r"^\d\d")).wait_for()  # step 10 at least
    page.get_by_role("button", name="Your own", exact=True).click()
    page.get_by_label("Picture", exact=True).wait_for()
    assert page.get_by_label("Picture", exact=True).input_value() == "my_line"
    assert page.get_by_label("Statistic", exact=True).input_value() == "attention_sink"
    page.get_by_text(re.compile(r"^Layer \d, head \d: ")).first.wait_for()
    page.locator(".page canvas").nth(1).wait_for()
