"""Options that several commands share, and how what was asked for becomes an experiment."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from tlab_core.cli.words import printable
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.knob_text import full_name, value_of, with_values
from tlab_core.runs import RunError, RunStore, SavedRun, default_folder
from tlab_core.runs.files import shortened
from tlab_core.runs.settings_file import read_knobs
from tlab_core.share import DECIDED_BY_TEXT, from_query

LONGEST = 200  # characters of what was typed that a message repeats


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
    values, given = assigned(assignments), []
    if config is not None:
        try:
            experiment, given = read_knobs(config, default_experiment())
        except RunError as error:
            raise Refused(str(error)) from error
    elif link is not None:
        if "=" not in link and "://" not in link:
            file = f" Settings from a file: --config {shlex.quote(link)}." if len(link) <= LONGEST else ""
            raise click.UsageError(f"{shortened(link, LONGEST)} is no link.{file} One knob: --set num_layers=8.")
        experiment = from_query(link, limits=False, text=values.get("corpus"))
    else:
        experiment = default_experiment()
    experiment = with_values(experiment, values)
    experiment.check()
    if DECIDED_BY_TEXT in given:
        say_who_decides(experiment, config)
    return experiment


def say_who_decides(experiment: Experiment, config: Path) -> None:
    """Say so where a file asks for a number of different characters that its text hasn't."""
    found = (experiment, experiment.resolved(), default_experiment())
    asked, own, untouched = (one.architecture.vocab_size for one in found)
    if asked not in (own, untouched):
        click.echo(f"Note: {DECIDED_BY_TEXT} = {asked} in {printable(str(config))} is passed over: the text decides it. It "
                   f"has {own} different characters.", err=True)


def assigned(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the values that single knobs are set to, by full name."""
    values = {}
    for assignment in assignments:
        knob, equals, text = assignment.partition("=")
        if not equals:
            shown = shlex.quote(assignment) if len(assignment) <= LONGEST else shortened(assignment, LONGEST)
            raise click.UsageError(f"--set {shown} has no value: write --set {knob[:LONGEST]}=VALUE.")
        full = full_name(knob.strip())
        if full == DECIDED_BY_TEXT:
            raise Refused(f"{full} is the number of different characters in the text: set corpus instead.")
        values[full] = value_of(full, text)
    return values


def opened(store: RunStore, name: str) -> SavedRun:
    """Return a saved run, after a note on each thing that is lost of it."""
    saved = store.open(name)
    for remark in saved.remarks:
        click.echo(f"Note: {printable(remark)}", err=True)
    return saved


def again(command: str, name: str, folder: Path, *rest: str) -> str:
    """Return a command line about this run, to be copied."""
    where = [] if folder.absolute() == default_folder().absolute() else ["--folder", str(folder)]
    return shlex.join(["tlab", *command.split(), name, *rest, *where])
