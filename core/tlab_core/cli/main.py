"""The command itself: its subcommands, and how each kind of error ends it.

Exit codes: 0 done, 1 it failed, 2 it was asked for something it can't be asked for, 130 interrupted (143 by SIGTERM).
"""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click

from tlab_core.absent import MODULE
from tlab_core.batches import DataError
from tlab_core.cli.comparing import compare
from tlab_core.cli.early import INTERRUPTED
from tlab_core.cli.exporting import export
from tlab_core.cli.knobs import knobs
from tlab_core.cli.lessons import lesson
from tlab_core.cli.options import LONGEST, Refused
from tlab_core.cli.page import lab
from tlab_core.cli.picture import picture
from tlab_core.cli.runs import runs
from tlab_core.cli.snapshot import snapshot
from tlab_core.cli.training import resume, train
from tlab_core.cli.words import printable
from tlab_core.cli.writing import generate
from tlab_core.compare import CompareError
from tlab_core.corpora import CorpusError
from tlab_core.crew import WorkerError
from tlab_core.divergence import DivergedError
from tlab_core.extensions import VARIABLE, ExtensionWarning
from tlab_core.generation import GenerationError
from tlab_core.knobs import KnobError
from tlab_core.own_statistics import StatisticWarning
from tlab_core.registry import UnknownNameError, did_you_mean
from tlab_core.runs import RunError
from tlab_core.runs.files import reason
from tlab_core.settings import SettingsError
from tlab_core.share import ShareError
from tlab_core.tokenizers import TokenizerFileError, UnknownCharacterError

WRONG_USE = (SettingsError, KnobError, ShareError, UnknownNameError, UnknownCharacterError, GenerationError)
FAILED = (RunError, CorpusError, DataError, CompareError, DivergedError, TokenizerFileError, WorkerError,
          OSError)  # fmt: skip


class Tlab(click.Group):
    """The commands, with one clear message for whatever goes wrong."""

    def resolve_command(self, ctx: click.Context, args: list[str]):
        """Find a command, or name the nearest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"there is no command {args[0]!r}.{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which one needs them."""
        return list(self.commands)

    def invoke(self, ctx: click.Context):
        """Run a command; what it raises becomes a message and an exit code."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nInterrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except WRONG_USE as error:
            raise Refused(str(error)) from error
        except FAILED as error:
            if getattr(error, "errno", None) == errno.EPIPE:  # whoever read the output has gone
                raise
            where = f"{error.filename}: " if getattr(error, "filename", None) else ""
            raise click.ClickException(where + reason(error)) from error
        except MemoryError as error:
            raise click.ClickException("there is not enough memory. Take a smaller model, batch or context.") from error


@click.group(cls=Tlab, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="transformer-intuition-lab", prog_name="tlab")
@click.option("--import", "modules", multiple=True, metavar="MODULE",
              help="Import a module of your own first, with norms, corpora ... in it; as $TLAB_IMPORT does.")
def tlab(modules: tuple[str, ...]):
    """Train small transformers and see what happens inside.

    Runs are kept in folders: in $TLAB_RUNS, or in ./runs, unless --folder says otherwise.
    """
    if modules:
        import_own(modules)


def import_own(modules: tuple[str, ...]) -> None:
    """Import modules from here, and let what this process starts do so too. Raises Refused for one that can't be."""
    sys.path.append(str(Path.cwd()))  # last, as a file called random.py must not be in other modules' way
    for module in modules:
        if module.endswith(".py") or not MODULE.fullmatch(module):
            stem = Path(module).stem[:LONGEST]
            hint = f" Without its ending it is one: --import {stem}." if module.endswith(".py") else ""
            raise Refused(f"--import: {module[:LONGEST]!r} is no module's name.{hint}")
        try:
            import_module(module)
        except (Exception, SystemExit) as error:  # whatever one's own module does when it is imported
            raise Refused(f"--import: {module} could not be imported. {type(error).__name__}: {error}") from error
    named = [name for name in os.environ.get(VARIABLE, "").split(",") if name and name not in modules]
    os.environ[VARIABLE] = ",".join([*named, *modules])


for command in (lab, lesson, train, resume, generate, runs, compare, export, snapshot, picture, knobs):
    tlab.add_command(command)


def shown(usual: Callable[..., None]) -> Callable[..., None]:
    """Return what shows warnings: the lab's own as notes, any other in the `usual` way."""

    def show(message: Warning, category: type[Warning], *where: object) -> None:
        if issubclass(category, ExtensionWarning | StatisticWarning):
            click.echo(f"Note: {printable(str(message))}", err=True)
        else:
            usual(message, category, *where)

    return show


def main() -> None:
    """Run the command with this process's arguments."""
    warnings.showwarning = shown(warnings.showwarning)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows ? in its place
    tlab(prog_name="tlab")
