"""`tlab compare`: runs beside each other, and what seeds say of two settings."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tlab_core.cli.options import folder_option, json_option, opened
from tlab_core.cli.words import UNDER_LOSSES, duration, echo_json, echo_table, loss_of, printable, validation_of
from tlab_core.compare import Comparison, SeedGroup, by_seed, compare_groups, settings_table, summary
from tlab_core.knob_text import text_of
from tlab_core.run import Run
from tlab_core.runs import RunStore

LOSSES = ("steps", "tokens", "time", "loss", "best", "validation", "best validation", "at step")


@click.command()
@click.argument("names", metavar="NAME NAME...", nargs=-1, required=True)
@click.option("--groups", is_flag=True,
              help="Take runs that differ only in seeds as one group, and compare the first with each other.")
@folder_option
@json_option
def compare(names: tuple[str, ...], groups: bool, folder: Path, as_json: bool) -> None:
    """Compare runs: their losses, and the settings in which they differ.

    Losses are in nats a character. With --groups, seeds of one setting become mean and spread, and a sentence says what
    they show, with a 95 % bootstrap interval and an effect size.
    """
    names = tuple(dict.fromkeys(names))
    if len(names) < 2:
        raise click.UsageError("give the names of at least two runs.")
    store = RunStore(folder)
    found = {name: opened(store, name) for name in names}
    seeds = by_seed(found) if groups else []
    verdicts = [compare_groups(seeds[0].runs, other.runs, (seeds[0].label, other.label)) for other in seeds[1:]]
    if as_json:
        echo_json(as_values(found, seeds, verdicts))
        return
    echo_losses(found)
    echo_settings(found)
    if groups:
        echo_groups(seeds, verdicts)


def echo_losses(found: Mapping[str, Run]) -> None:
    """Print where each run stands, and which ones have learned nothing yet."""
    rows = [
        (run.name, f"{run.steps:,}", f"{run.tokens:,}", duration(run.seconds), loss_of(run.train_final),
         loss_of(run.train_best), validation_of(run), loss_of(run.validation_best),
         "-" if run.validation_best_step is None else f"{run.validation_best_step:,}")
        for run in summary(found)
    ]  # fmt: skip
    echo_table(("run", *LOSSES), rows, right=LOSSES)
    click.echo(UNDER_LOSSES)
    for name in (name for name, run in found.items() if run.step == 0):
        click.echo(f"{printable(name)} is at step 0: nothing was learned yet.")


def echo_settings(found: Mapping[str, Run]) -> None:
    """Print the knobs in which they differ."""
    table = settings_table(found)
    click.echo()
    if not table:
        click.echo("Their settings are the same.")
        return
    echo_table(("knob", *found), [(row.knob, *(text_of(row.values[name]) for name in found)) for row in table])


def echo_groups(seeds: list[SeedGroup], verdicts: list[Comparison]) -> None:
    """Print mean and spread of each setting, and what can be said."""
    click.echo()
    rows = [(group.label, str(group.count), loss_of(group.mean), loss_of(group.spread),
             "-" if group.step is None else f"{group.step:,}") for group in seeds]  # fmt: skip
    echo_table(("setting", "runs", "mean validation", "spread", "at step"), rows,
               right=("runs", "mean validation", "spread", "at step"))
    click.echo()
    if not verdicts:
        click.echo("All of them are of one setting: name runs of another to compare it with.")
    for verdict in verdicts:
        click.echo(verdict.sentence)
    if len(verdicts) > 1:
        click.echo(f"These are {len(verdicts)} comparisons: the more one makes, the likelier that luck looks like more.")


def as_values(found: Mapping[str, Run], seeds: list[SeedGroup], verdicts: list[Comparison]) -> dict[str, Any]:
    """Return the comparison for JSON."""
    values: dict[str, Any] = {
        "runs": [asdict(run) for run in summary(found)],
        "settings": {row.knob: row.values for row in settings_table(found)},
    }
    if seeds:
        values["groups"] = [{"label": group.label, "losses": group.losses, "step": group.step, "count": group.count,
                             "mean": group.mean, "spread": group.spread} for group in seeds]  # fmt: skip
        values["comparisons"] = [asdict(verdict) | {"sentence": verdict.sentence} for verdict in verdicts]
    return values
