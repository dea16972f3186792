"""The README tells the truth: its snippets run, its pictures are there, its options are those that exist."""

import re
from pathlib import Path

import pytest

from tlab_core.activations import ACTIVATIONS
from tlab_core.norms import NORMS
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_are_snippets():
    assert len(SNIPPETS) == 2


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_runs(snippet, capsys):
    exec(compile(snippet, "README.md", "exec"), {})
    if "print(" in snippet:
        assert "One day " in capsys.readouterr().out


@pytest.mark.parametrize("path", re.findall(r"\]\(((?!http)[^)]+)\)", README))
def test_what_it_points_to_is_there(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("knob", "registry"), [
    ("norm", NORMS), ("residual layout", RESIDUALS), ("activation", ACTIVATIONS), ("position encoding", POSITIONS),
])  # fmt: skip
def test_its_table_lists_the_options_that_exist(knob, registry):
    row = next(line for line in README.splitlines() if line.startswith(f"| {knob} |"))
    assert re.findall(r"`([^`]+)`", row) == registry.names()


def test_it_has_the_two_commands_that_it_promises():
    commands = re.findall(r"```bash\n(.*?)\n```", README, re.DOTALL)
    assert commands == [
        "python -m pip install -e . && panel serve apps/lab.py --show",
        'python -m pip install -e ".[test]" && python -m pytest',
    ]
