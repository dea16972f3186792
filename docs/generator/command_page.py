"""The page about the command line: every command with what it takes, read off the parser that the program itself uses."""

import inspect
from collections.abc import Iterator

import click

from docs.generator import prose
from tlab_core.cli import tlab

INTRO = (
    "`tlab` does from a terminal what the page does: it trains, writes with, keeps, compares and exports runs. "
    "What stands here each command says with `--help`, too; `tlab knobs` explains what `--set` may set."
)


def page() -> str:
    """Return the page as reStructuredText."""
    with click.Context(tlab, info_name="tlab") as context:
        lines = [prose.title("Command line"), "", prose.paragraph(INTRO), "", "The knobs have :doc:`pages of their own <knobs/index>`.",
                 "", *_about(tlab, context), ""]
        for depth, context in commands(tlab, context):
            lines += [prose.title(context.command_path, depth), "", *_about(context.command, context), ""]
    return "\n".join(lines)


def commands(group: click.Group, context: click.Context, depth: int = 1) -> Iterator[tuple[int, click.Context]]:
    """Yield (depth, context) of each command of a group, and of those below it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        with click.Context(command, info_name=name, parent=context) as own:
            yield depth, own
            if isinstance(command, click.Group):
                yield from commands(command, own, depth + 1)


def _about(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [prose.literal([usage], "console"), "", *prose.docstring(inspect.cleandoc(command.help))]
    records = [option.get_help_record(context) for option in command.get_params(context) if option.name != "help"]
    rows = [f"   * - ``{names}``\n     - {prose.paragraph(about)}" for names, about in filter(None, records) if about]
    if not rows:
        return lines
    return [*lines, ".. list-table::", "   :widths: 32 68", "   :class: options", "", *rows]
