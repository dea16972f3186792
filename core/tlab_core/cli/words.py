"""How numbers, times, tables and foreign texts look in a terminal."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlab_core.compare import Summary
from tlab_core.display.description import printable
from tlab_core.display.numbers import loss_figure
from tlab_core.run import WINDOW

BARS = "▁▂▃▄▅▆▇█"
AVERAGED = f"mean of the last {WINDOW} steps"
UNDER_LOSSES = f"loss: {AVERAGED}, in nats a character"


def duration(seconds: float) -> str:
    """Return a time as one reads it.

    >>> duration(4.24), duration(75), duration(3_700)
    ('4.2 s', '1:15 min', '1:01 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes}:{int(seconds) % 60:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def loss_of(loss: float | None) -> str:
    """Return a loss (`loss_figure`), or a dash where there is none."""
    return "-" if loss is None else loss_figure(loss)


def validation_of(found: Summary) -> str:
    """Return a run's validation loss, with its step where the run has gone on since."""
    past = found.validation_step is not None and found.validation_step != found.steps
    return loss_of(found.validation_final) + (f" (at step {found.validation_step:,})" if past else "")


def sparkline(values: np.ndarray, width: int) -> str:
    """Return a curve as a row of bars, each the mean of as many values; the lowest bar is the lowest mean.

    >>> sparkline(np.array([8.0, 8.0, 4.0, 4.0, 1.0, 1.0]), 3)
    '█▄▁'
    """
    values = values[np.isfinite(values)]
    width = min(width, values.size)
    if not width:
        return ""
    edges = np.linspace(0, values.size, width + 1).astype(int)
    means = np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    low, high = means.min(), means.max()
    heights = (means - low) / (high - low) if high > low else np.zeros(width)
    return "".join(BARS[int(height * (len(BARS) - 1))] for height in heights)


def echo_json(content: Any) -> None:
    """Print a value as JSON; a number that is not finite becomes null, as JSON has no word for it."""
    click.echo(json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False))


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> None:
    """Print a table: cut to the width of a terminal, whole where the output goes elsewhere."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(column), justify="right" if column in right else "left", overflow="ellipsis", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell).replace("\n", " ")) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(table)


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, float | np.floating):
        return float(content) if np.isfinite(content) else None
    return content.item() if isinstance(content, np.generic) else content
