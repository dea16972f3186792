"""What the tests of the command line share: the command called in this process, and a settings file of a tiny run."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from tests.core.saved_runs import tiny_experiment
from tlab_core.cli import tlab
from tlab_core.share import as_yaml


def call(*arguments: object, code: int = 0, answer: str | None = None) -> Result:
    """Run `tlab` with these arguments and return what it printed; its exit code must be `code`."""
    result = CliRunner().invoke(tlab, [str(argument) for argument in arguments], input=answer)
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    return result


def call_json(*arguments: object) -> object:
    """Run `tlab` with --json and return what it printed on standard output."""
    return json.loads(call(*arguments, "--json").stdout)


def tiny_config(folder: Path, **training) -> Path:
    """Write the settings of a run that takes a moment, and return the file."""
    path = folder / "tiny.yaml"
    path.write_text(as_yaml(tiny_experiment(folder, **training)), encoding="utf-8")
    return path


def trained(home: Path, *names: str, steps: int = 20, store: Path | None = None, **training) -> Path:
    """Train runs of different seeds with these names on a text in `home`, and return the folder that they are in."""
    config, folder = tiny_config(home, **training), store or home / "runs"
    for seed, name in enumerate(names):
        call("train", "--config", config, "--folder", folder, "--name", name, "--steps", steps,
             "--set", f"training.seed={seed}", "--set", f"architecture.seed={seed}")
    return folder
