"""How far an axis goes on which two runs are drawn: it serves the run on show, and cuts a ghost that goes far beyond."""

from __future__ import annotations

import numpy as np

Range = tuple[float, float]

FURTHER = 1.0  # times the run's own stretch: what an axis may go on for the ghost to either side
ROOM = 0.06  # of the run's own stretch, beyond the ghost's last point


def widened(own: Range, ghost: np.ndarray, log: bool = False) -> Range:
    """Return an axis that holds what the run needs, `own`, and goes on for the ghost where the run keeps a third of it.

    A side on which the ghost would need more stays as the run needs it.

    >>> widened((0, 10), np.array([4, 12])), widened((0, 10), np.array([4, 3e12])), widened((1, 10), np.array([1e-9]), True)
    ((0.0, 12.6), (0.0, 10.0), (1.0, 10.0))
    """
    ghost = _drawn(ghost, log)
    low, high = np.log10(own) if log else own
    if len(ghost) == 0 or not high > low:
        return own
    places = np.log10(ghost) if log else ghost
    span = high - low
    last, first = places.max() + ROOM * span, places.min() - ROOM * span
    if places.max() > high and last <= high + FURTHER * span:
        high = last
    if places.min() < low and first >= low - FURTHER * span:
        low = first
    return (float(10**low), float(10**high)) if log else (float(low), float(high))


def cut(axis: Range, ghost: np.ndarray, log: bool = False) -> str:
    """Return where the ghost goes beyond an axis, in words; empty where all of it is to be seen.

    >>> cut((0, 20), np.array([4, 3.04e12])), cut((-3, 3), np.array([-412.6, 0.5])), cut((0, 20), np.array([4]))
    ('ghost up to 3e12, off this scale', 'ghost down to −410, off this scale', '')
    """
    ghost = _drawn(ghost, log)
    if len(ghost) == 0:
        return ""
    below, above = ghost.min() < min(axis), ghost.max() > max(axis)
    if below and above:
        where = f"{_about(ghost.min())} to {_about(ghost.max())}"
    elif below or above:
        where = f"up to {_about(ghost.max())}" if above else f"down to {_about(ghost.min())}"
    else:
        return ""
    return f"ghost {where}, off this scale"


def _drawn(ghost: np.ndarray, log: bool) -> np.ndarray:
    there = np.isfinite(ghost)
    return ghost[there & (ghost > 0) if log else there]


def _about(number: float) -> str:
    """A number in two digits, with an exponent where it would be long."""
    sign, size = "−" if number < 0 else "", abs(float(number))
    digits, power = f"{size:.1e}".split("e")
    if size and not -4 <= int(power) < 6:
        return f"{sign}{digits.removesuffix('.0')}e{int(power)}"
    rounded = float(f"{size:.2g}")
    return sign + (f"{rounded:,.0f}" if rounded >= 10 else np.format_float_positional(rounded, trim="-"))
