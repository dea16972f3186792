"""A notebook that a kernel has run, exported as HTML and opened without a network: its pictures are there."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

pytestmark = [
    pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600),
    # What takes an earlier output away leaves one without content, at which the exporter wonders.
    pytest.mark.filterwarnings("ignore:Your element with mimetype:UserWarning"),
]
CELLS = [
    "from tlab_core import LiveRun, default_experiment\nfrom tlab_dash import Lab, notebook, views\nnotebook()",
    "run = LiveRun(default_experiment())\nrow = views.live(run, 'loss')\nrow",
    "row",
    "records = run.advance(steps=4)",
    "views.live(run, 'heads', 'attention', 'qk', layer=1, head=2)",
    "views.signal(run)",
    "lab = Lab()\nlab",
    "lab.close()",
]
# How many canvases of Bokeh's have ink, wherever in the tree of shadow roots they are.
DRAWN = """() => {
  const found = (root) => [...root.querySelectorAll("*")].flatMap((one) =>
    [...(one instanceof HTMLCanvasElement ? [one] : []), ...(one.shadowRoot ? found(one.shadowRoot) : [])])
  return found(document).filter((canvas) => canvas.width && canvas.height &&
    canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0)).length
}"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    file = folder / "notebook.html"
    file.write_text(html, encoding="utf-8")
    return notebook, file


def test_no_cell_complains(exported):
    notebook, _ = exported
    said = [output for cell in notebook.cells for output in cell.outputs if output.output_type in ("stream", "error")]
    assert said == []


def test_wherever_a_row_was_shown_it_shows_the_same_run(exported):
    """At the end of a cell each of its outputs is brought up to date, not the first alone."""
    notebook, _ = exported
    numbers = [re.findall(r'"type":\s*"bytes",\s*"data":\s*"([^"]+)"', str(cell.outputs)) for cell in notebook.cells[1:3]]
    assert len(numbers[0]) > 10
    assert numbers[0] == numbers[1]


def test_its_pictures_are_there_without_a_network(exported, chromium):
    _, file = exported
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, offline=True)
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    # A loss, twice, three pictures in a row, a HoloViews overlay, and six on the lab's bench.
    page.wait_for_function(f"() => ({DRAWN})() >= 12", timeout=120_000)
    for words in ("Heads of layer 1", "What it writes"):
        page.get_by_text(words).first.wait_for()
    context.close()
    # The exporter's own page has scripts of MathJax and the like; nothing of this lab's may be among them.
    ours = [url for url in asked if any(word in url for word in ("bokeh", "panel", "holoviz", "holoviews"))]
    assert ours == []
    assert errors == []
