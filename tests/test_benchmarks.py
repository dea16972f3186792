"""The benchmarks run, at a size where they say nothing; what they measure is never asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def run(name, *arguments):
    """Run a benchmark and return what it printed."""
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training():
    lines = run("training", "1,16,2,32,4,16", "--seconds", "0.1", "--rounds", "2", "--executor", "threads").splitlines()
    assert lines[1].startswith("1,16,2,32,4,16")
    assert "openblas" in lines[1].lower()
    assert float(lines[1].split()[3]) > 0


def test_every_combination_has_an_opponent_of_the_same_size():
    torch_model = pytest.importorskip("tests.benchmarks.torch_model")
    from tests.benchmarks.contest import GPT, LLAMA, Setting
    from tests.benchmarks.training import COMBINATIONS
    from tlab_core.transformer import Transformer

    for change in [GPT, LLAMA, *COMBINATIONS]:
        architecture = Setting((2, 16, 2, 32, 4, 8), GPT | change).architecture()
        theirs = torch_model.Model(architecture)
        # QK-norm's weights are one set a layer and part in both
        assert sum(parameter.numel() for parameter in theirs.parameters()) == Transformer(architecture).parameter_count


def test_generation():
    lines = run("generation", "1,16,2,32,16", "--seconds", "0.1", "--rounds", "1").splitlines()
    assert lines[1].startswith("1,16,2,32,16")


def test_growth(tmp_path):
    pytest.importorskip("matplotlib")
    run("growth", "layers", "--seconds", "0.05", "--rounds", "1", "--write", str(tmp_path / "growth"))
    assert "| 12 |" in (tmp_path / "growth.md").read_text()
    assert "</svg>" in (tmp_path / "growth.svg").read_text()


def test_looking():
    assert "2,32,2,64,16,64" in run("looking", "2,32,2,64,16,64", "--rounds", "1")


def test_recording():
    printed = run("recording", "2,32,2,64,16,64", "--rounds", "1", "--seconds", "0.5", "--steps", "600", "--runs", "20")
    assert "2,32,2,64,16,64" in printed
    assert "600 steps" in printed
    assert "20 runs" in printed


@pytest.mark.parametrize(("arguments", "said"), [
    (["training", "--rounds", "0"], "must be above 0"),
    (["training", "--seconds", "-1"], "must be above 0"),
    (["training", "a,b"], "whole numbers with commas"),
    (["training", "1,16,3,32,4,16"], "the heads divide the width"),
    (["generation", "foo"], "whole numbers with commas"),
    (["dashboard", "--size", "9,9"], "6 numbers"),
    (["growth", "nothing"], "choose from layers"),
    (["recording", "--steps", "10"], "10 steps are too few"),
    (["snapshots", "6,8,64"], "4 whole numbers with commas"),
    (["training", "1,16,2,32,4,16", "--executor", "gpu"], "a side ended early"),
])
def test_wrong_arguments_are_answered(arguments, said):
    done = subprocess.run([sys.executable, "-m", f"tests.benchmarks.{arguments[0]}", *arguments[1:]], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode != 0
    assert said in done.stderr
