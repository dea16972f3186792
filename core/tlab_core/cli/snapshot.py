"""`tlab snapshot`: runs as one HTML file to hand on, whose pictures still answer without a server."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

from tlab_core.cli.options import Refused, folder_option, opened
from tlab_core.runs import RunStore
from tlab_core.runs.files import read_bytes

LONGEST_NOTES = 1_000_000  # bytes of a notes file


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("-o", "--to", "path", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE",
              help="The file to write, such as runs.html.")
@click.option("--title", default="", help="What stands at its top.  [default: the runs' names]")
@click.option("--notes", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="A Markdown file with your own words, such as a hypothesis and a result.  [default: the runs' notes]")
@click.option("--steps", type=click.IntRange(min=1), default=21, show_default=True,
              help="Through how many of the recorded steps its slider goes.")
@click.option("--megabytes", type=click.FloatRange(min=0, min_open=True), default=12.0, show_default=True,
              help="How large the file may become; to stay below, it shows fewer steps, and says so.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@folder_option
def snapshot(names: tuple[str, ...], path: Path, title: str, notes: Path | None, steps: int, megabytes: float, force: bool,
             folder: Path) -> None:
    """Write runs as one HTML file, side by side.

    It opens in any browser, with no server and no network, and can be looked through: steps, layers, heads, attention. It
    holds the settings, what the runs wrote, the code of their parts and the command that makes them again.
    """
    if find_spec("tlab_dash") is None or find_spec("panel") is None:
        raise click.ClickException("the dashboard is not installed: python -m pip install transformer-intuition-lab")
    store = RunStore(folder)
    runs = {name: opened(store, name) for name in dict.fromkeys(names)}
    if path.exists() and not force:
        raise Refused(f"{path} is there already. Take another name, or --force to write over it.")
    words = written(notes) if notes is not None else kept_notes({name: run.meta["note"] for name, run in runs.items()})
    page = import_module("tlab_dash.snapshot")  # found when it is asked for: the engine knows nothing of the screen
    try:
        made = page.snapshot([runs[name] for name in names], path, title=title, notes=words, steps=steps,
                             megabytes=megabytes)  # fmt: skip
    except page.SnapshotError as error:
        raise Refused(str(error)) from error
    for sentence in made.left_out:
        click.echo(f"Note: {sentence}", err=True)
    click.echo(f"Wrote {path} ({path.stat().st_size:,} bytes).")


def written(path: Path) -> str:
    """Return a notes file's text."""
    try:
        return read_bytes(path, LONGEST_NOTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 text: byte {error.start}.") from None


def kept_notes(notes: dict[str, str]) -> str:
    """Return the notes that were kept with the runs as Markdown, a heading each where several have one."""
    kept = {name: note for name, note in notes.items() if note.strip()}
    if len(notes) == 1:
        return "".join(kept.values())
    return "\n\n".join(f"## {escaped(name)}\n\n{note}" for name, note in kept.items())


def escaped(name: str) -> str:
    """Return a run's name so that Markdown shows it as it is.

    >>> escaped("a_b*c")
    'a\\\\_b\\\\*c'
    """
    return "".join(f"\\{character}" if character in r"\`*_[]<>#&!|~" else character for character in name)
