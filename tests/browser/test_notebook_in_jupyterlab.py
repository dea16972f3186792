"""JupyterLab itself: pictures follow a run while a cell is busy, clicks are heard, and the lab keeps to its cell."""

import contextlib
import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

import nbformat
import playwright.sync_api
import pytest

from tests.browser.conftest import PATIENCE, free_port, wait_for_port

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: python -m pip install -e '.[notebook]'")
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

TOKEN = "for-this-test"
SET_UP = "from tlab_core import LiveRun, default_experiment\nfrom tlab_dash import Lab, notebook, views\nnotebook()"
# Until the test has seen what it came for, and a minute at most.
TRAIN = ("import pathlib, time\nend = time.time() + 60\n"
         "while time.time() < end and not pathlib.Path('seen').exists():\n    records = run.advance(steps=1)")
WIDGETS = SET_UP.replace("notebook()", "notebook('ipywidgets')")  # the way of VS Code and Colab to the browser
ROW = ("run = LiveRun(default_experiment())\n"
       "row = views.live(run, 'loss', 'heads', 'attention', layer=1, head=0)\ndisplay(row)")
NOTEBOOK = "jupyterapp.shell.currentWidget"
READY = f"""() => window.jupyterapp && {NOTEBOOK}?.content?.widgets?.length
  && {NOTEBOOK}.sessionContext?.session?.kernel?.status === "idle\""""
RUN = f"""(i) => {{ {NOTEBOOK}.content.activeCellIndex = i; {NOTEBOOK}.content.deselectAll();
  jupyterapp.commands.execute("notebook:run-cell") }}"""
BUSY = f"(i) => {NOTEBOOK}.content.widgets[i].inputArea.promptNode.textContent.includes('*')"
# How many steps the loss's curve has in the browser.
STEPS = """() => Math.max(0, ...window.Bokeh.documents.flatMap((document) => [...document._all_models.values()])
  .filter((model) => model.type === "ColumnDataSource" && model.data.step && model.data.loss)
  .map((model) => model.data.step.length))"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a JupyterLab, and the folder that its notebooks are in."""
    folder, own = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter")
    settings = own / "config" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True)
    # Or it asks its makers for their news.
    settings.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))
    port, log = free_port(), own / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip", "127.0.0.1", "--port", str(port),
             "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}",
             "--LabApp.expose_app_in_browser=True"],
            cwd=folder, stdout=out, stderr=out,
            env=os.environ | {"JUPYTER_CONFIG_DIR": str(own / "config"), "JUPYTER_DATA_DIR": str(own / "data"),
                              "JUPYTER_RUNTIME_DIR": str(own / "runtime"), "IPYTHONDIR": str(own / "ipython")},
        )  # fmt: skip
        try:
            wait_for_port(port, process, log)
            yield f"http://127.0.0.1:{port}", folder
        finally:
            process.terminate()
            process.wait(30)


class Notebook:
    """One notebook in a tab of its own, in the words of someone who uses it."""

    def __init__(self, page, address, folder, cells):
        self.page, self.folder, self.errors, self.asked, self.sent = page, folder, [], [], []
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=kernel)
        nbformat.write(made, folder / "live.ipynb")
        (folder / "seen").unlink(missing_ok=True)
        page.set_default_timeout(2 * PATIENCE)
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.asked.append(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: socket.on("framesent", lambda sent: self.sent.append(sent)))
        page.goto(f"{address}/lab/tree/live.ipynb?token={TOKEN}&reset")
        page.wait_for_function(READY)

    def run(self, *cells):
        for cell in cells:
            self.start(cell)
            self.wait_for(cell)

    def start(self, cell):
        self.page.evaluate(RUN, cell)
        self.page.wait_for_timeout(200)  # for its star to appear

    def wait_for(self, cell):
        self.page.wait_for_function(f"(i) => !({BUSY})(i)", arg=cell)

    def is_busy(self, cell):
        return self.page.evaluate(BUSY, cell)

    def see_it_train(self, steps=3):
        """Wait until the loss's curve has come some steps further."""
        before = self.page.evaluate(STEPS)
        self.page.wait_for_function(f"(least) => ({STEPS})() >= least", arg=before + steps)

    def click_the_third_head(self, tries=1):
        """Click, again where the kernel may not have heard yet that the browser has drawn what is clicked on."""
        chosen = self.page.get_by_text("Layer 1, head 2", exact=True)
        for _ in range(tries - 1):
            self._click()
            with contextlib.suppress(playwright.sync_api.TimeoutError):
                chosen.wait_for(timeout=3000)
                break
        else:
            self._click()
        chosen.wait_for()
        assert self.page.get_by_label("Head", exact=True).input_value() == "2"

    def _click(self):
        place = self.page.locator(".bk-Canvas").nth(1).bounding_box()
        self.page.mouse.click(place["x"] + 0.25 * place["width"], place["y"] + 0.75 * place["height"])


@pytest.fixture
def open_notebook(server, chromium):
    """Return a function that opens a notebook of these cells; in the end none may have complained or asked another host."""
    address, folder = server
    opened = []

    def open_one(*cells):
        page = chromium.new_page(viewport={"width": 1560, "height": 1500})
        opened.append(Notebook(page, address, folder, cells))
        return opened[-1]

    yield open_one
    (folder / "seen").touch()
    for notebook in opened:
        notebook.page.evaluate(f"{NOTEBOOK}.sessionContext.shutdown()")
        notebook.page.close()
        assert set(notebook.asked) <= {"", urlsplit(address).netloc}
        # The columns that a browser is given stay there: the kernel has them.
        assert [str(message)[:1500] for message in notebook.sent if "ndarray" in str(message)] == []
        # The kernel may have opened a connection before the browser had drawn what it is for; it tries again.
        assert [error for error in notebook.errors if "opening new comm" not in error] == []


def test_a_row_follows_a_busy_cell_and_hears_a_click(open_notebook):
    notebook = open_notebook(SET_UP, ROW, TRAIN)
    notebook.run(0, 1)
    notebook.page.locator(".bk-Canvas").nth(2).wait_for()
    notebook.start(2)
    notebook.see_it_train()
    # Until an earlier message is answered, the page keeps back what follows for five seconds.
    notebook.click_the_third_head(tries=12)
    assert notebook.is_busy(2)  # all this while the cell was training
    notebook.see_it_train()
    (notebook.folder / "seen").touch()
    notebook.wait_for(2)


def test_as_widgets_a_row_follows_a_busy_cell_and_hears_a_click_afterwards(open_notebook):
    notebook = open_notebook(WIDGETS, ROW, TRAIN)
    notebook.run(0, 1)
    notebook.page.locator(".bk-Canvas").nth(2).wait_for()
    notebook.start(2)
    notebook.see_it_train()
    assert notebook.is_busy(2)
    (notebook.folder / "seen").touch()
    notebook.wait_for(2)
    notebook.click_the_third_head()


def test_a_row_follows_the_cell_that_it_is_in_and_hears_a_click_afterwards(open_notebook):
    notebook = open_notebook(SET_UP, f"{ROW}\n{TRAIN}")
    notebook.run(0)
    notebook.start(1)
    notebook.page.locator(".bk-Canvas").nth(2).wait_for()
    notebook.see_it_train()
    assert notebook.is_busy(1)
    (notebook.folder / "seen").touch()
    notebook.wait_for(1)
    notebook.click_the_third_head(tries=20)  # only now does the kernel hear that the browser has drawn it


@pytest.mark.parametrize("set_up", [SET_UP, WIDGETS], ids=["comms", "widgets"])
def test_the_lab_trains_in_a_cell_and_leaves_the_notebook_alone(open_notebook, set_up):
    notebook = open_notebook(set_up, "lab = Lab()\nlab", "lab.close()")
    page, address = notebook.page, notebook.page.url
    notebook.run(0, 1)
    page.get_by_role("button", name="Train", exact=True).click()
    notebook.see_it_train()
    for width, narrow in ((1250, True), (2000, False)):  # it is as wide as its cell; in a narrow one the map is below
        page.set_viewport_size({"width": width, "height": 1500})
        bench = page.locator(f".bench.embedded{'.middling' if narrow else ':not(.middling)'}")
        bench.wait_for()
        cell, lab = page.locator(".jp-OutputArea-output").last.bounding_box(), bench.bounding_box()
        assert lab["width"] <= cell["width"]
    for key in ("d", "d", "ArrowDown"):  # to JupyterLab: delete the cell, go to the next
        page.keyboard.press(key)
    page.get_by_role("button", name="Training", exact=True).click()
    page.get_by_text("Learning rate", exact=True).nth(1).wait_for()  # one is the knob's
    assert page.evaluate(f"{NOTEBOOK}.content.widgets.length") == 3
    assert page.evaluate(f"{NOTEBOOK}.content.activeCellIndex") == 1
    assert page.url.split("?")[0] == address.split("?")[0]
    assert page.evaluate("document.documentElement.dataset.theme ?? ''") == ""
    notebook.run(2)
