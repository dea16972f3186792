"""Options that several commands share, and how what was asked for becomes an experiment."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from tlab_core.experiment import Experiment, default_experiment
from tlab_core.knob_text import full_name, value_of, with_values
from tlab_core.runs import RunError, default_folder
from tlab_core.runs.settings_file import read_settings
from tlab_core.share import from_query

DECIDED_BY_TEXT = "architecture.vocab_size"


class Refused(click.ClickException):
    """Something that can't be asked for, said without the command's usage."""

    exit_code = 2


def folder_option(command: Callable) -> Callable:
    """Add --folder, the folder of runs."""
    return click.option(
        "--folder", type=click.Path(file_okay=False, path_type=Path), default=default_folder, metavar="FOLDER",
        help="Where the runs are kept.  [default: $TLAB_RUNS, or ./runs]",
    )(command)  # fmt: skip


def json_option(command: Callable) -> Callable:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def settings_options(command: Callable) -> Callable:
    """Add what says how to train: a link, a settings file, single knobs."""
    command = click.option(
        "--set", "assignments", multiple=True, metavar="KNOB=VALUE",
        help="Set one knob, as num_layers=8 or training.seed=1. May be given many times.",
    )(command)  # fmt: skip
    command = click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE",
        help="Take the settings from a YAML file, such as the settings.yaml of a run.",
    )(command)  # fmt: skip
    return click.argument("link", required=False)(command)


def chosen(link: str | None, config: Path | None, assignments: Sequence[str]) -> Experiment:
    """Return the experiment of a link or a file (else the lab's first one), with single knobs set on top of it."""
    if link is not None and config is not None:
        raise click.UsageError("take the settings from a link or from --config, not from both.")
    if config is not None:
        try:
            experiment = read_settings(config)
        except RunError as error:
            raise Refused(str(error)) from error
    elif link is not None:
        if "=" not in link and "://" not in link:
            raise click.UsageError(f"{link!r} is no link. Settings from a file: --config {shlex.quote(link)}. One knob: "
                                   "--set num_layers=8.")
        experiment = from_query(link, files=True)
    else:
        experiment = default_experiment()
    values = {}
    for assignment in assignments:
        knob, equals, text = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set {shlex.quote(assignment)} has no value: write --set {knob}=VALUE.")
        full = full_name(knob.strip())
        if full == DECIDED_BY_TEXT:
            raise Refused(f"{full} is the number of different characters in the text: set corpus instead.")
        values[full] = value_of(full, text)
    experiment = with_values(experiment, values)
    experiment.check()
    return experiment


def again(command: str, name: str, folder: Path, *rest: str) -> str:
    """Return a command line about this run, to be copied."""
    where = [] if folder.absolute() == default_folder().absolute() else ["--folder", str(folder)]
    return shlex.join(["tlab", *command.split(), name, *rest, *where])
