"""The notebooks in examples/: they are kept clean, they run as they stand, and their pictures come out."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
PICTURE = "application/vnd.holoviews_exec.v0+json"  # what HoloViews and Panel put beside each picture
PICTURES = {"compare_norms": 2, "first_steps": 2, "look_inside_a_head": 4}
# Each warning is an error, but one that pyviz_comms, of Panel's makers, earns by opening a connection in the old way.
STRICT = """import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", "The `ipykernel.comm.Comm` class has been deprecated", DeprecationWarning)"""
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_all_are_here():
    assert [path.stem for path in NOTEBOOKS] == sorted(PICTURES)


@each
def test_it_is_kept_without_what_a_run_leaves(path):
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    nbformat.validate(content)
    assert text == json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    assert content["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in content["cells"]:
        assert cell["metadata"] == {}
        assert "".join(cell["source"]).strip(), cell["id"]
        if cell["cell_type"] == "code":
            assert (cell["execution_count"], cell["outputs"]) == (None, [])


@each
def test_its_code_is_clean_and_short_enough_to_be_read(path):
    done = subprocess.run([sys.executable, "-m", "ruff", "check", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            assert max(map(len, cell.source.splitlines())) <= 105, cell.id


@each
def test_it_asks_lets_guess_and_leads_on(path):
    cells = nbformat.read(path, 4).cells
    assert cells[0].source.startswith("# ")
    assert "**The question.**" in cells[0].source
    assert any(cell.cell_type == "code" and cell.source.startswith("guess = ") for cell in cells)
    assert cells[-1].source.startswith("## Try next\n")


@each
def test_its_words_state_no_result(path):
    """A number that another run may contradict is computed where it is said."""
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\d[.,]\d|\d ?%", re.sub(r"`[^`]*`", "", cell.source)), cell.id


@each
def test_what_it_links_to_is_there(path):
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(((?!http)[^)]+)\)", cell.source):
                assert (path.parent / link).exists(), link


@pytest.mark.slow
@pytest.mark.timeout(600)
@each
def test_it_runs_and_its_pictures_come_out(path, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody answers there: it has to do without a network
    notebook = nbformat.read(path, 4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()

    outputs = [(cell.id, output) for cell in notebook.cells[1:] if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for _, output in outputs if output.output_type == "stream"] == []
    pictures = [name for name, output in outputs if name != "setup" and PICTURE in output.get("data", {})]
    assert len(pictures) == PICTURES[path.stem], pictures
    told = [output.data["text/markdown"] for _, output in outputs if "text/markdown" in output.get("data", {})]
    assert len(told) >= 2
    assert not re.search(r"\b(nan|inf)\b", " ".join(told))
    assert list(tmp_path.iterdir()) == []
