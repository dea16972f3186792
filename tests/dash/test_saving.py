"""A plot as a file: what is refused, what is said where no browser can draw, and HTML, which needs none."""

import re

import holoviews as hv
import pytest
from click.testing import CliRunner

from tests.dash.fakes import fake_run
from tlab_core.cli import tlab
from tlab_core.registry import UnknownNameError
from tlab_dash import views
from tlab_dash.theme import DARK, LIGHT
from tlab_dash.views import PictureError, saving

HOSTILE = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def run():
    return fake_run()


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine on which no program can be found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BOKEH_CHROMEDRIVER_PATH", raising=False)


# ---- what is refused


@pytest.mark.parametrize(("name", "options", "said"), [
    ("loss.jpg", {}, r"'.*loss\.jpg' is no name for a picture: it must end in '\.png', '\.svg' or '\.html'\."),
    ("loss.pgn", {}, r"Did you mean '\.png'\?"),
    ("loss", {}, r"must end in '\.png'"),
    ("loss.png", {"width": 99}, "width = 99 is not allowed: it must be a whole number from 100 to 8,000"),
    ("loss.png", {"height": 300.5}, r"height = 300\.5 is not allowed"),
    ("loss.png", {"height": True}, "height = True is not allowed"),
    ("loss.png", {"scale": 5}, r"scale = 5 is not allowed: it must be a number from 0\.5 to 4"),
    ("loss.png", {"scale": 4, "width": 3000}, "leaves each side of 3000 × 400 at 8,000 pixels or fewer"),
    ("loss.png", {"scale": float("nan")}, "scale = nan is not allowed"),
    ("none/loss.png", {}, r"there is no folder '.*none' to write 'loss\.png' to"),
])  # fmt: skip
def test_what_can_not_be_made_is_refused_before_anything_is_drawn(name, options, said, tmp_path):
    with pytest.raises(PictureError, match=said):
        views.save("never drawn", tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_theme_is_one_of_two(run, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown theme 'drak': allowed are 'light', 'dark'. Did you mean 'dark'?"):
        views.loss.save(run, tmp_path / "loss.html", theme="drak")


@pytest.mark.parametrize(("thing", "said"), [
    (3, "int can't be drawn: .* It must be a HoloViews element or overlay, such as views.loss"),
    (hv.Div("<b>x</b>"), "Div is no picture"),
], ids=["number", "words"])  # fmt: skip
def test_what_is_no_plot_is_refused(thing, said, tmp_path):
    path = tmp_path / "thing.html"
    with pytest.raises(PictureError, match=said):
        views.save(thing, path)
    assert not path.exists()


def test_a_plot_of_ones_own_is_drawn_too(tmp_path):
    path = views.save(hv.Curve([1, 2, 4]) * hv.Points([(1, 2)]), tmp_path / "mine.html", title="Mine")
    assert '"text":"Mine"' in path.read_text(encoding="utf-8")


def test_a_file_that_can_not_be_written_is_said(run, tmp_path):
    (tmp_path / "loss.html").mkdir()
    with pytest.raises(PictureError, match=r"loss\.html can't be written: is a directory"):
        views.loss.save(run, tmp_path / "loss.html")


# ---- without a browser


@pytest.mark.parametrize("suffix", [".png", ".SVG"])
def test_without_selenium_it_says_how_to_get_it(suffix, run, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "find_spec", lambda name: None)
    with pytest.raises(PictureError, match=r'not installed: python -m pip install "transformer-intuition-lab\[pictures\]"'):
        views.loss.save(run, tmp_path / f"loss{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_without_chromedriver_it_says_how_to_get_it(nowhere, run, tmp_path):
    with pytest.raises(PictureError, match="chromedriver, .*, is not on the PATH. On Debian: apt install chromium "
                                           "chromium-driver"):  # fmt: skip
        views.loss.save(run, tmp_path / "loss.png")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_path_of_chromedriver_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setenv("BOKEH_CHROMEDRIVER_PATH", "/no/such/driver")
    with pytest.raises(PictureError, match="BOKEH_CHROMEDRIVER_PATH is '/no/such/driver', and there is no such file"):
        views.loss.save(run, tmp_path / "loss.svg")


def test_a_chromedriver_that_does_not_start_is_named(run, tmp_path, monkeypatch):
    driver = tmp_path / "chromedriver"
    driver.write_text("#!/bin/sh\nexit 3\n")
    driver.chmod(0o755)
    monkeypatch.setenv("BOKEH_CHROMEDRIVER_PATH", str(driver))
    with pytest.raises(PictureError, match="chromedriver did not start a browser: .* Status code was: 3. On Debian"):
        views.loss.save(run, tmp_path / "loss.png")
    assert list(tmp_path.iterdir()) == [driver]


# ---- HTML


def test_html_needs_no_browser_no_network_and_no_server(nowhere, run, tmp_path):
    path = views.loss.save(run, tmp_path / "loss.html", theme="dark")
    page = path.read_text(encoding="utf-8")
    assert path == tmp_path / "loss.html"
    assert not re.search(r"<(script|link|img|iframe)[^>]* (src|href)=", page)
    assert f'"text":"{views.loss.title}"' in page
    assert '"width":560,"height":320' in page
    assert page.count(f'"border_fill_color":"{DARK.surface}"') == 1


def test_the_title_says_which_head_and_step(run, tmp_path):
    page = views.attention.save(run, tmp_path / "map.html", layer=1, head=2, step=5).read_text(encoding="utf-8")
    assert f'"text":"{views.attention.headed(1, 2)}, step 5"' in page
    page = views.attention.save(run, tmp_path / "map.html", layer=1, head=2, title="").read_text(encoding="utf-8")
    assert views.attention.headed(1, 2) not in page


def test_a_title_is_only_words(run, tmp_path):
    page = views.save(views.loss(run), tmp_path / "loss.html", title=HOSTILE).read_text(encoding="utf-8")
    assert HOSTILE not in page


def test_a_picture_has_a_card_of_the_theme_and_the_size_that_was_asked_for(run):
    figure = saving._figure(views.loss(run, theme=DARK), 700, 300, DARK, "Loss")
    assert (figure.width, figure.height, figure.sizing_mode) == (700, 300, "fixed")
    assert figure.border_fill_color == figure.background_fill_color == DARK.surface
    assert figure.border_fill_alpha == figure.background_fill_alpha == 1


def test_plots_side_by_side_share_the_picture(run):
    grid = saving._figure((views.loss(run) + views.signal(run) + views.loss(run)).cols(2), 800, 600, LIGHT, "Three")
    assert [(plot.width, plot.height) for plot, *_ in grid.children] == [(400, 300)] * 3
    assert grid.children[0][0].above[-1].text == "Three"


# ---- the command


def test_the_command_writes_a_picture_and_says_so(kept_runs, tmp_path):
    path = tmp_path / "loss.html"
    asked = ["picture", "fast 0", "loss", "-o", str(path), "--folder", str(kept_runs.folder), "--ghost", "slow 0", "--dark",
             "--size", "500", "300"]  # fmt: skip
    done = CliRunner().invoke(tlab, asked)
    assert done.exit_code == 0, done.output
    assert done.output == f"Wrote {path} ({path.stat().st_size:,} bytes).\n"
    assert '"width":500,"height":300' in path.read_text(encoding="utf-8")
    again = CliRunner().invoke(tlab, asked)
    assert again.exit_code == 2
    assert "is there already" in again.output
    assert CliRunner().invoke(tlab, [*asked, "--force"]).exit_code == 0


@pytest.mark.parametrize(("view", "step", "said"), [
    ("attention", 3, ": step 0, the last recorded at or before step 3."), ("attention", 0, ": step 0."), ("loss", 3, "."),
])  # fmt: skip
def test_the_command_says_which_step_it_has_drawn(view, step, said, kept_runs, tmp_path):
    """What is charted was measured: where that step has no record, the one before is shown, and is what the title says."""
    path = tmp_path / "it.html"
    asked = ["picture", "fast 0", view, "-o", str(path), "--folder", str(kept_runs.folder), "--step", str(step)]
    done = CliRunner().invoke(tlab, asked)
    assert done.output == f"Wrote {path} ({path.stat().st_size:,} bytes){said}\n"
    assert f"step {0 if view == 'attention' else step}" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("view", "options", "code", "said"), [
    ("los", [], 2, "unknown view 'los': allowed are"),
    ("sink", [], 2, "One of your own is imported first: tlab --import MODULE picture ..."),
    ("attention", ["--step", "4000"], 2, "steps are 0 to 30. Without a step the newest is shown."),
    ("attention", ["--layer", "7"], 2, "layer = 7 is not allowed: this run has 1"),
    ("loss", [], 1, "chromedriver, which starts it, is not on the PATH"),
])  # fmt: skip
def test_the_command_says_what_is_wrong(view, options, code, said, kept_runs, tmp_path, nowhere):
    done = CliRunner().invoke(tlab, ["picture", "fast 0", view, "-o", str(tmp_path / "loss.png"), "--folder",
                                     str(kept_runs.folder), *options])  # fmt: skip
    assert done.exit_code == code
    assert said in " ".join(done.output.split())
    assert not (tmp_path / "loss.png").exists()
