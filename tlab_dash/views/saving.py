"""A plot as a file: PNG and SVG by HoloViews' and Bokeh's own export, which draws in a browser; HTML without one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

from bokeh.embed import components
from bokeh.io import export
from bokeh.models import GridPlot, LayoutDOM, Plot, Title
from bokeh.resources import Resources
from bokeh.settings import settings

from tlab_core.registry import did_you_mean
from tlab_core.runs.files import reason, write_whole
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views import look
from tlab_dash.views.asked import theme_of

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

WIDTH, HEIGHT, SCALE = 800, 400, 2
DRIVERS = ("chromedriver", "chromium.chromedriver", "chromedriver-binary")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60  # seconds that a browser may take to draw, on a busy machine
MOST_PIXELS = 8000  # of a side: a browser's canvas takes no more than 16,384 in one direction, and half of it is ample
MARGIN = 12
PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Transformer Intuition Lab</title><script>{bokeh}</script></head>
<body style="margin: 0; background: {card}">{place}{script}</body>
</html>
"""
ADVICE = ("On Debian: apt install chromium chromium-driver. Elsewhere: Chrome, and the chromedriver of the same version; "
          "BOKEH_CHROMEDRIVER_PATH may name it.")  # fmt: skip


class PictureError(RuntimeError):
    """A picture that can't be made; the message says what is missing or not allowed, and what to do."""


def save(element: Any, path: str | os.PathLike, *, width: int = WIDTH, height: int = HEIGHT, theme: str | Theme = LIGHT,
         scale: float = SCALE, title: str = "") -> Path:
    """Write a plot, a HoloViews element or overlay, as a picture to `path`, and return the path.

    path           ends in .png, .svg or .html, which says what is written; a file that is there is replaced
    width, height  in pixels, as on a page
    theme          "light" or "dark", or a Theme: that of the card below the plot, which should be the plot's own
    scale          how many pixels a PNG has for each of the page's: 2 is sharp on most screens and on paper
    title          what stands above it

    PNG and SVG need Selenium, chromedriver and Chromium or Chrome on this machine (`python -m pip install
    "transformer-intuition-lab[pictures]"` and, on Debian, `apt install chromium chromium-driver`); nothing is fetched from
    the network. Raises PictureError that says what is missing, or what of this can't be drawn.
    """
    path, theme = Path(path), theme_of(theme)
    draw = _check(path, width, height, scale)
    figure = _figure(element, width, height, theme, title)
    picture = draw(figure, theme, scale)
    try:
        write_whole(path, picture)
    except OSError as error:
        raise PictureError(f"{path} can't be written: {reason(error)}.") from error
    return path


def _check(path: Path, width: int, height: int, scale: float):
    """Return the function that makes the kind of picture that `path` asks for; PictureError for what can't be made."""
    suffix = path.suffix.casefold()
    if suffix not in KINDS:
        hint = did_you_mean(suffix, KINDS) if suffix else ""
        raise PictureError(f"{str(path)!r} is no name for a picture: it must end in {_listed(KINDS)}.{hint}")
    for name, value in {"width": width, "height": height}.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 100 <= value <= MOST_PIXELS:
            raise PictureError(f"{name} = {value!r} is not allowed: it must be a whole number from 100 to {MOST_PIXELS:,}.")
    real = isinstance(scale, int | float) and not isinstance(scale, bool) and 0.5 <= scale <= 4
    if not real or scale * max(width, height) > MOST_PIXELS:
        raise PictureError(f"scale = {scale!r} is not allowed: it must be a number from 0.5 to 4 that leaves each side of "
                           f"{width} × {height} at {MOST_PIXELS:,} pixels or fewer.")
    if not path.parent.is_dir():
        raise PictureError(f"there is no folder {str(path.parent)!r} to write {path.name!r} to: make it first.")
    return KINDS[suffix]


# ---- the figure


def _figure(element: Any, width: int, height: int, theme: Theme, title: str) -> LayoutDOM:
    """Return a plot as a Bokeh model of this size, on a card of the theme's colour."""
    from tlab_dash.live import DRAWING, plotted  # which stands on the views

    try:
        with DRAWING:
            figure = plotted(element).state
    except Exception as error:
        raise PictureError(f"{type(element).__name__} can't be drawn: {error}. It must be a HoloViews element or overlay, "
                           "such as views.loss(run).") from error
    if isinstance(figure, GridPlot):  # elements side by side share the picture
        rows, columns = (1 + max(child[place] for child in figure.children) for place in (1, 2))
        figure.update(sizing_mode="fixed", width=width, height=height, toolbar_location=None)
        for plot, *_ in figure.children:
            _dress(plot, width // columns, height // rows, theme)
        if title:
            figure.children[0][0].add_layout(_title(title, theme), "above")
    elif isinstance(figure, Plot):
        _dress(figure, width, height, theme)
        if title:
            figure.add_layout(_title(title, theme), "above")
    else:
        raise PictureError(f"{type(element).__name__} is no picture: it must be a HoloViews element or overlay, such as "
                           "views.loss(run), or several side by side.")
    return figure


def _dress(plot: Plot, width: int, height: int, theme: Theme) -> None:
    """Give a plot a size and a card of its own: on a page it has both from what is around it."""
    # A canvas begins half a pixel from its corner, and what is below shows through there.
    plot.styles = {**plot.styles, "background-color": theme.surface}
    plot.update(sizing_mode="fixed", width=width, height=height, background_fill_color=theme.surface,
                background_fill_alpha=1, border_fill_color=theme.surface, border_fill_alpha=1,
                min_border_top=MARGIN, min_border_right=max(MARGIN, plot.min_border_right or 0))  # fmt: skip


def _title(title: str, theme: Theme) -> Title:
    return Title(text=title, text_font=look.FONT, text_font_size="15px", text_font_style="bold", text_color=theme.text,
                 standoff=6)  # fmt: skip


# ---- the three kinds of file


def _png(figure: LayoutDOM, theme: Theme, scale: float) -> bytes:
    with _browser(scale) as driver:
        image = _asked(driver, lambda: export.get_screenshot_as_png(
            figure, driver=driver, timeout=PATIENCE, scale_factor=scale))  # fmt: skip
    out = BytesIO()
    image.convert("RGB").save(out, "PNG", optimize=True)
    return out.getvalue()


def _svg(figure: LayoutDOM, theme: Theme, scale: float) -> bytes:
    with _browser(1) as driver:
        drawn = _asked(driver, lambda: export.get_svg(figure, driver=driver, timeout=PATIENCE))
    root, _, inside = drawn[0].partition(">")
    root += f' viewBox="0 0 {figure.width} {figure.height}"'  # a page may then show it at any size
    card = f'<rect width="100%" height="100%" fill="{theme.surface}"/>'
    return f"{root}>{card}{inside}".encode()


def _html(figure: LayoutDOM, theme: Theme, scale: float) -> bytes:
    # Bokeh's own page would also ask a server, which isn't there, for what Panel adds to every page.
    bokeh = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    script, place = components(figure)
    return PAGE.format(card=theme.surface, bokeh=bokeh, place=place, script=script).encode("utf-8")


KINDS = {".png": _png, ".svg": _svg, ".html": _html}


def _asked(driver: WebDriver, draw: Any) -> Any:
    """Return what Bokeh's export draws; PictureError where the browser fails, or was not done in time."""
    from selenium.common.exceptions import WebDriverException

    try:
        drawn = draw()
        finished = driver.execute_script("return window._bokeh_render_complete")
    except (WebDriverException, RuntimeError) as error:
        raise PictureError(f"the browser could not draw the picture: {_first_line(error)}.") from error
    if not finished:
        raise PictureError(f"the browser had not finished the picture after {PATIENCE} seconds. Try again when the machine "
                           "is less busy.")
    return drawn


# ---- the browser


@contextmanager
def _browser(scale: float) -> Iterator[WebDriver]:
    """Start a browser that draws, and end it, whatever happens; PictureError that says what of it is not there.

    Chromedriver is started by its path, and spoken to directly: Selenium then neither searches nor fetches one.
    """
    driver_path = _driver_path()
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import Remote
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.proxy import Proxy, ProxyType
    from selenium.webdriver.remote.client_config import ClientConfig

    options = Options()
    if browser := next(filter(None, map(which, BROWSERS)), None):  # elsewhere chromedriver knows where Chrome is
        options.binary_location = browser
    for flag in ("headless", "hide-scrollbars", f"force-device-scale-factor={scale}", "force-color-profile=srgb"):
        options.add_argument(f"--{flag}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium starts for root in no other way; it only opens what is made here
    service, driver = Service(driver_path), None
    try:
        try:
            service.start()
            direct = Proxy({"proxyType": ProxyType.DIRECT})  # a proxy someone has set knows nothing of this port
            config = ClientConfig(remote_server_addr=service.service_url, proxy=direct)
            driver = Remote(command_executor=service.service_url, options=options, client_config=config)
        except WebDriverException as error:
            raise PictureError(f"{driver_path} did not start a browser: {_first_line(error)}. {ADVICE}") from error
        yield driver
    finally:
        if driver is not None:
            driver.quit()
        service.stop()


def _driver_path() -> str:
    """Return the path of chromedriver, or raise PictureError for what is missing."""
    if find_spec("selenium") is None:
        raise PictureError("a PNG or SVG is drawn in a browser, and Selenium, which steers it, is not installed: python -m "
                           'pip install "transformer-intuition-lab[pictures]". A picture that ends in .html needs none.')
    given = settings.chromedriver_path()
    if given is not None and not Path(given).is_file():
        raise PictureError(f"BOKEH_CHROMEDRIVER_PATH is {given!r}, and there is no such file. {ADVICE}")
    path = given or next(filter(None, map(which, DRIVERS)), None)
    if path is None:
        raise PictureError("a PNG or SVG is drawn in a browser, and chromedriver, which starts it, is not on the PATH. "
                           f"{ADVICE} A picture that ends in .html needs none.")
    return path


def _first_line(error: BaseException) -> str:
    """Return the first line of an error of Selenium, without the word that begins each."""
    text = str(getattr(error, "msg", None) or error).strip()
    return (text.splitlines() or [type(error).__name__])[0].removeprefix("Message: ").rstrip(".")


def _listed(names: Any) -> str:
    """Return names as a sentence has them: "'light' or 'dark'".

    >>> _listed([".png", ".svg", ".html"])
    "'.png', '.svg' or '.html'"
    """
    *first, last = map(repr, names)
    return f"{', '.join(first)} or {last}" if first else last
