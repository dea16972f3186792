"""Imports run one way: apps -> tlab_dash -> tlab_core, and inside the engine trainer -> transformer -> blocks -> layers."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ["registry", "knobs", "settings", "parameters", "workspace", "norms", "activations", "positions", "linear",
          "attention", "feedforward", "embedding", "residuals", "config", "transformer"]
SCREEN = {"panel", "holoviews", "bokeh", "panel_material_ui", "tlab_dash", "apps"}


def imported(path: Path) -> set[str]:
    """Return the dotted names of the modules that a file imports, whatever the form."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written out in full here"
            found.add(node.module)
    return found


def test_the_engine_knows_nothing_of_the_screen():
    files = sorted((ROOT / "core" / "tlab_core").rglob("*.py"))
    assert files
    for path in files:
        assert not {name.split(".")[0] for name in imported(path)} & SCREEN, path


def test_the_dashboard_does_not_import_the_apps():
    files = sorted((ROOT / "tlab_dash").rglob("*.py"))
    assert files
    for path in files:
        assert "apps" not in {name.split(".")[0] for name in imported(path)}, path


@pytest.mark.parametrize("index", range(len(LAYERS)), ids=LAYERS)
def test_a_layer_of_the_engine_imports_only_what_lies_below(index):
    path = ROOT / "core" / "tlab_core" / f"{LAYERS[index]}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # An import for a type annotation alone (`if TYPE_CHECKING`) or inside a function closes no circle.
    top = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    above = {f"tlab_core.{name}" for name in (*LAYERS[index:], "trainer", "statistics", "history", "run", "generation")}
    assert not top & above


def test_a_worker_needs_no_xarray():
    """It would start in three times the time and take 60 MB more."""
    heavy = "import sys, tlab_core.worker; print({'xarray', 'pandas', 'pooch', 'zarr'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


def test_the_package_has_what_it_names():
    import tlab_core

    for name in tlab_core.__all__:
        assert getattr(tlab_core, name).__name__ == name
        assert name in dir(tlab_core)
    with pytest.raises(AttributeError, match="no attribute 'Transformr'"):
        tlab_core.Transformr  # noqa: B018
