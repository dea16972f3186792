"""The page about the command line: every command with what it takes, read off the parser that the program itself uses."""

import inspect
import re
from collections.abc import Iterator

import click

from docs.generator import prose
from tlab_core.cli import tlab

OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
INTRO = (
    "`tlab` does from a terminal what the page does: it trains, writes with, keeps, compares and exports runs. "
    "What stands here each command says with `--help`, too; `tlab knobs` explains what `--set` may set."
)


def page() -> str:
    """Return the page as reStructuredText."""
    root = click.Context(tlab, info_name="tlab")
    lines = [prose.title("Command line"), "", prose.paragraph(INTRO), "",
             "Each knob has :doc:`a page of its own <knobs/index>`.", "", *_about(root), ""]  # fmt: skip
    for depth, context in commands(root):
        lines += [prose.title(context.command_path, depth), "", *_about(context), ""]
    return "\n".join(lines)


def commands(context: click.Context, depth: int = 1) -> Iterator[tuple[int, click.Context]]:
    """Yield (depth, context) of each command of a group, and of those below it."""
    for name in context.command.list_commands(context):
        own = click.Context(context.command.get_command(context, name), info_name=name, parent=context)
        yield depth, own
        if isinstance(own.command, click.Group):
            yield from commands(own, depth + 1)


def _about(context: click.Context) -> list[str]:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [prose.literal([usage], "text"), "", *prose.docstring(marked(inspect.cleandoc(command.help)))]
    records = [taken.get_help_record(context) for taken in command.get_params(context) if "--help" not in taken.opts]
    told = [(names, about) for names, about in filter(None, records) if about]  # an argument has nothing to say
    rows = [f"   * - ``{names}``\n     - {prose.paragraph(marked(about))}" for names, about in told]
    if not rows:
        return lines
    return [*lines, ".. list-table::", "   :widths: 32 68", "   :class: options", "", *rows]


def marked(text: str) -> str:
    """Return a help text with its options as code, whose dashes stay as they are.

    >>> marked("With --seeds N, or `tlab --json`.")
    'With `--seeds` N, or `tlab --json`.'
    """
    return "`".join(piece if place % 2 else OPTION.sub(r"`\g<0>`", piece) for place, piece in enumerate(text.split("`")))
