"""`tlab runs`: list, show, rename, delete, restore and mend runs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tlab_core.cli.options import DECIDED_BY_TEXT, again, folder_option, json_option, opened
from tlab_core.cli.words import (
    AVERAGED,
    UNDER_LOSSES,
    duration,
    echo_json,
    echo_table,
    loss_of,
    printable,
    validation_of,
)
from tlab_core.compare import summary
from tlab_core.corpora import corpus_title
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.knob_text import flat, text_of
from tlab_core.registry import did_you_mean
from tlab_core.runs import RunError, RunInfo, RunStore, SavedRun
from tlab_core.share import to_query

COLUMNS = ("name", "step", "loss", "text", "layers", "width", "saved", "state", "tags", "note")


@click.group()
def runs() -> None:
    """List, show, rename, delete, restore and mend runs."""


@runs.command("list")
@click.option("--deleted", is_flag=True, help="List the deleted runs, which `tlab runs restore` brings back.")
@folder_option
@json_option
def list_runs(deleted: bool, folder: Path, as_json: bool) -> None:
    """List the runs."""
    store = RunStore(folder)
    if deleted:
        names = store.deleted()
        if as_json:
            echo_json(names)
        else:
            click.echo("\n".join(map(printable, names)) or f"Nothing is deleted in {store.folder}.")
        return
    found = store.list()
    if as_json:
        echo_json([asdict(info) for info in found])
    elif found:
        echo_table(COLUMNS, map(row, found), right=("step", "loss", "layers", "width"))
        click.echo(UNDER_LOSSES)
        if any(info.remarks for info in found):
            click.echo("damaged: `tlab runs show NAME` says what is lost")
    else:
        click.echo(f"There are no runs in {printable(str(store.folder))}. Make one with: tlab train")


def row(info: RunInfo) -> tuple[str, ...]:
    """Return a run's line in the list."""
    if info.problem is not None:
        return (info.name, "", "", "", "", "", "", "can't be read", "", "")
    architecture: Any = info.settings.get("architecture", {})
    layers, width = ((architecture.get(knob, "") if isinstance(architecture, dict) else "")
                     for knob in ("num_layers", "hidden_dim"))  # fmt: skip
    states = {"running": info.running, "diverged": info.divergence, "damaged": info.remarks}
    state = ", ".join(word for word, so in states.items() if so)
    text = corpus_title(str(info.settings.get("corpus", "")))
    when = info.written[:16].replace("T", " ")
    return (info.name, f"{info.step:,}", loss_of(info.loss), text, str(layers), str(width), when, state,
            ", ".join(info.tags), info.note)


@runs.command()
@click.argument("name")
@click.option("--link", is_flag=True, help="Print only what a link to its settings has behind the question mark.")
@folder_option
@json_option
def show(name: str, link: bool, folder: Path, as_json: bool) -> None:
    """Show one run: how far it came, its settings, and what it wrote last."""
    saved = opened(RunStore(folder), name)
    if link:
        click.echo(to_query(portable(saved.experiment)))
    elif as_json:
        kept = {key: saved.meta[key] for key in ("created", "tags", "note", "baselines")}
        echo_json(asdict(summary([saved])[0]) | kept | {
            "folder": str(saved.folder), "saved": saved.commit["written"], "settings": saved.experiment.to_dict(),
            "samples": [asdict(sample) for sample in saved.samples], "marks": [asdict(mark) for mark in saved.marks],
            "environment": saved.commit["environment"], "remarks": saved.remarks, "missing": saved.missing,
        })  # fmt: skip
    else:
        describe(saved)


def describe(saved: SavedRun) -> None:
    """Print what there is to say of a run."""
    found = summary([saved])[0]
    where = "" if found.validation_best_step is None else f" at step {found.validation_best_step:,}"
    spent = duration(found.seconds)
    lines = {
        "folder": str(saved.folder),
        "begun": saved.meta["created"],
        "saved": saved.commit["written"],
        "step": f"{found.steps:,} of {saved.experiment.training.steps:,}, {found.tokens:,} tokens, {spent}",
        "loss": f"{loss_of(found.train_final)} ({AVERAGED}), best {loss_of(found.train_best)}",
        "validation": f"{validation_of(found)}, best {loss_of(found.validation_best)}{where}",
        "tags": ", ".join(saved.meta["tags"]),
        "note": saved.meta["note"],
        "diverged": found.divergence or "",
    }
    click.secho(saved.name, bold=True)
    for title, line in lines.items():
        if line:
            click.echo(f"  {title:<12}{printable(line)}")
    for said in saved.missing:
        click.echo(f"Note: {printable(said)}", err=True)
    default = flat(default_experiment())
    unlike = {knob: value for knob, value in flat(portable(saved.experiment)).items()
              if value != default[knob] and knob not in (DECIDED_BY_TEXT, "prompt")}  # fmt: skip
    click.secho("Settings, where they are not what the lab opens with", bold=True)
    for knob, value in unlike.items():
        click.echo(f"  {knob} = {printable(text_of(value))}")
    if saved.samples:
        last = saved.samples[-1]
        click.secho(f"What it wrote at step {last.step:,}", bold=True)
        click.echo(printable(last.prompt + last.text))


def portable(experiment: Experiment) -> Experiment:
    """Return a copy in which each machine cuts a batch as suits it: a saved run holds the number that it came to."""
    shards = default_experiment().training.shards
    return experiment.replace(training=experiment.training.replace(shards=shards))


@runs.command("mend")
@click.argument("name")
@folder_option
def mend_run(name: str, folder: Path) -> None:
    """Mend a damaged run: write anew what is kept elsewhere too, and let go of what isn't.

    That is its settings.yaml, its tags and note, what it wrote and which settings were changed on the way.
    """
    store = RunStore(folder)
    done = store.mend(name)
    for sentence in done:
        click.echo(printable(sentence))
    still = store.open(name).remarks
    for remark in still:
        click.echo(f"Note: {printable(remark)}", err=True)
    if not done and not still:
        click.echo(f"{name} is whole.")


@runs.command()
@click.argument("name")
@click.argument("new")
@folder_option
def rename(name: str, new: str, folder: Path) -> None:
    """Give a run another name."""
    RunStore(folder).rename(name, new)
    click.echo(f"{name} is {new} now.")


@runs.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Don't ask.")
@folder_option
def delete(names: tuple[str, ...], yes: bool, folder: Path) -> None:
    """Delete runs. `tlab runs restore` brings them back."""
    store = RunStore(folder)
    for name in names:
        saved = next((info for info in store.list() if info.name == name), None)
        if saved is None:
            store.open(name)  # says which there are
        if not yes:
            click.confirm(f"Delete {name} (step {saved.step:,}, loss {loss_of(saved.loss)})?", abort=True, err=True)
        store.delete(name)
        click.echo(f"Deleted {name}. Have it back with: {again('runs restore', name, folder)}")


@runs.command()
@click.argument("name")
@click.option("--as", "new", metavar="NAME", help="The name to give it.  [default: the one it had]")
@folder_option
def restore(name: str, new: str | None, folder: Path) -> None:
    """Bring a deleted run back; of several with one name, the one deleted last."""
    store = RunStore(folder)
    deleted = store.deleted()
    had = [token for token in deleted if name in (token, token.rpartition(" ")[0])]
    if not had:
        names = {token.rpartition(" ")[0] for token in deleted}
        raise RunError(f"no run {name!r} is deleted in {store.folder}.{did_you_mean(name, names)}")
    click.echo(f"{store.restore(had[-1], new)} is back.")
