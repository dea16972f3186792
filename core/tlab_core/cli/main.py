"""The command itself: its subcommands, and how each kind of error ends it.

Exit codes: 0 done, 1 it failed, 2 it was asked for something it can't be asked for, 130 interrupted (143 by SIGTERM).
"""

import errno
import sys

import click

from tlab_core.batches import DataError
from tlab_core.cli.comparing import compare
from tlab_core.cli.early import INTERRUPTED
from tlab_core.cli.exporting import export
from tlab_core.cli.knobs import knobs
from tlab_core.cli.lessons import lesson
from tlab_core.cli.options import Refused
from tlab_core.cli.page import lab
from tlab_core.cli.runs import runs
from tlab_core.cli.snapshot import snapshot
from tlab_core.cli.training import resume, train
from tlab_core.cli.writing import generate
from tlab_core.compare import CompareError
from tlab_core.corpora import CorpusError
from tlab_core.crew import WorkerError
from tlab_core.divergence import DivergedError
from tlab_core.generation import GenerationError
from tlab_core.knobs import KnobError
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
def tlab():
    """Train small transformers and see what happens inside.

    Runs are kept in folders: in $TLAB_RUNS, or in ./runs, unless --folder says otherwise.
    """


for command in (lab, lesson, train, resume, generate, runs, compare, export, snapshot, knobs):
    tlab.add_command(command)


def main() -> None:
    """Run the command with this process's arguments."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows ? in its place
    tlab(prog_name="tlab")
