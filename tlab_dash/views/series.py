"""Curves over the steps of a training: thinned to what a screen can show, averaged, and the axes they are drawn on."""

from __future__ import annotations

import numpy as np

from tlab_dash.views.view import Range, Table, empty

WINDOW = 25  # steps that the moving average looks back on; fewer at first, where a loss falls fast
MOST_POINTS = 2000  # a line of more is thinned; a screen has no more columns
BEYOND = 1e9  # above any axis: a mark runs from the bottom to the top of the plot
BELOW, ABOVE = 1e-30, 1e30  # below and above any logarithmic axis


def series(step, values, name: str = "loss") -> Table:
    """Return steps and values as one table."""
    return {"step": np.asarray(step, dtype=float), name: np.asarray(values, dtype=float)}


def thinned(step: np.ndarray, values: np.ndarray, name: str = "loss") -> Table:
    """Return the lowest and highest value of each stretch of steps, at most `MOST_POINTS` points.

    Stretches are a power of two long, so that they don't shift with every new step.
    """
    stretch = _stretch(len(step))
    if stretch == 1:
        return series(step, values, name)
    whole = len(values) // stretch * stretch
    stretches = values[:whole].reshape(-1, stretch)
    start = np.arange(0, whole, stretch)
    ends = np.sort(np.stack([start + stretches.argmin(axis=1), start + stretches.argmax(axis=1)], axis=1), axis=1)
    kept = np.concatenate([ends.ravel(), np.arange(whole, len(values))])
    return series(step[kept], values[kept], name)


def moving_average(step: np.ndarray, values: np.ndarray, name: str = "loss") -> Table:
    """Return the mean at each step of the last quarter of all values, at most `WINDOW`; thinned as above."""
    if not len(values):
        return empty("step", name)
    kept = np.arange(0, len(values), _stretch(len(values)))
    if kept[-1] != len(values) - 1:
        kept = np.append(kept, len(values) - 1)
    window = np.clip((kept + 1) // 4, 1, WINDOW)
    # Each window is added up by itself: as a difference of running totals, a loss of 1e24 would wipe out those after it.
    back = np.arange(WINDOW)
    held = np.where(back < window[:, None], values[np.maximum(kept[:, None] - back, 0)], 0.0)
    return series(step[kept], held.sum(axis=1) / window, name)


def upright(steps, name: str = "loss", bottom: float = 0.0) -> Table:
    """Return a line from the bottom to the top of the plot at each of these steps."""
    steps = np.array(steps, dtype=float)
    return {"step": steps, name: np.full(len(steps), bottom), "end": steps, "top": np.full(len(steps), BEYOND)}


def shown(selection, name: str, bottom: float = 0.0) -> Table:
    """Return the line at the step that is looked back at; none while the newest is followed."""
    return upright([] if selection.step is None else [selection.step], name, bottom)


def axis_end(*tables: Table) -> float:
    """Return a round number of steps at or beyond the last: the curve grows into the axis, the axis seldom jumps."""
    last = max((float(table["step"][-1]) for table in tables if len(table["step"])), default=0.0)
    unit = 10 ** np.floor(np.log10(max(last, 100.0)))
    return float(next(m * unit for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if m * unit >= last))


def step_range(*tables: Table) -> Range:
    """Return the axis of steps, with room for a dot at step 0."""
    right = axis_end(*tables)
    return -right / 60, right


def log_range(*arrays: np.ndarray, least: float = 10.0) -> Range:
    """Return an axis with a little more room than the sizes need, so that no mark is cut, and never less than a factor of
    `least`, so that noise looks like noise."""
    sizes = np.concatenate(arrays)
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    low, high = (float(sizes.min()), float(sizes.max())) if len(sizes) else (0.1, 10.0)
    room = max(1.25, (high / low) ** 0.06)
    low, high = low / room, high * room
    spare = max(1.0, (least / (high / low)) ** 0.5)
    return low / spare, high * spare


def range_from_zero(*arrays: np.ndarray, least: float = 0.0) -> Range:
    """Return an axis from 0 to a little above all that is finite, at least to `least`."""
    numbers = np.concatenate(arrays)
    high = max(float(numbers[np.isfinite(numbers)].max(initial=0.0)), least)
    return 0.0, 1.12 * high or 1.0


def _stretch(count: int) -> int:
    """The shortest power of two of which two points a stretch stay within `MOST_POINTS`; 1 keeps every point."""
    return 1 if count <= MOST_POINTS else 2 ** int(np.ceil(np.log2(2 * count / MOST_POINTS)))
