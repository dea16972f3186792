"""What a terminal shows while a run trains: a line that renews itself, or a line now and then where nobody looks."""

import time
from collections import deque

import click
import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from tlab_core.cli.words import duration, loss_of, sparkline
from tlab_core.compare import WINDOW
from tlab_core.run import LiveRun

RECENT = 5.0  # seconds over which speed is measured
PLAIN_EVERY = 5.0  # seconds between two plain lines
LONGEST_CURVE, SHORTEST_CURVE = 40, 8  # bars
WORDS = 64  # characters beside the curve


class Progress:
    """Shows where a run stands on its way to step `until`, on standard error, each time `show` is called."""

    def __init__(self, run: LiveRun, until: int):
        self.run, self.until = run, until
        self.console = Console(stderr=True, highlight=False)
        self.alive = self.console.is_terminal and not self.console.is_dumb_terminal
        self.began = run.step
        self._marks = deque([(time.monotonic(), run.step, run.trainer.tokens)])
        self._shown = time.monotonic()
        self._live = Live(console=self.console, auto_refresh=False) if self.alive else None

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self) -> None:
        """Show the step, the loss, the speed and the time left."""
        now, run = time.monotonic(), self.run
        self._marks.append((now, run.step, run.trainer.tokens))
        while len(self._marks) > 2 and now - self._marks[1][0] > RECENT:
            self._marks.popleft()
        if self._live is not None:
            self._live.update(Text(self.line(), no_wrap=True, overflow="ellipsis"), refresh=True)
        elif now - self._shown >= PLAIN_EVERY or run.step >= self.until:
            self._shown = now
            click.echo(self.words(), err=True)

    def say(self, message: str) -> None:
        """Print a message above the line."""
        if self._live is not None:
            self.console.print(Text(message))
        else:
            click.echo(message, err=True)

    def line(self) -> str:
        """Return the curve of the loss so far, as far along its track as the training is, and the words."""
        if not self.console.encoding.lower().startswith("utf"):
            return self.words()
        track = max(SHORTEST_CURVE, min(LONGEST_CURVE, self.console.width - WORDS))
        done = max(1, track * self.run.step // max(self.until, 1))
        return f"{sparkline(self._losses(), done):·<{track}} {self.words()}"

    def words(self) -> str:
        """Return step, loss, speed and time left as text."""
        (then, step, tokens), (now, newest, seen) = self._marks[0], self._marks[-1]
        losses, spent = self._losses(), now - then
        parts = [f"step {newest:,}/{self.until:,}"]
        if losses.size:
            parts.append(f"loss {loss_of(losses[-WINDOW:].mean())}")
        if newest > step and spent > 0:
            parts.append(f"{(seen - tokens) / spent:,.0f} tokens/s")
            parts.append(f"{duration((self.until - newest) * spent / (newest - step))} left")
        return "  ".join(parts)

    def _losses(self) -> np.ndarray:
        return self.run.recorder.group("train").variables["loss"].values
