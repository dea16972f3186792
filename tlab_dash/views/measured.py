"""What is said of a measure that is taken on demand: that it is on its way, of which step it is, and its numbers."""

from __future__ import annotations

import numpy as np

from tlab_dash.views.view import Table

MEASURING = "Measuring …"


def remark(run, selection, found) -> str:
    """Return what has to be said of an analysis `found` (None: not taken yet) before its numbers; mostly nothing."""
    if found is None:
        return MEASURING
    step = found.attrs["step"]
    if selection.step is not None and selection.step != step:
        return f"Measured at step {step:,}; past steps were not kept."
    return ""


def told(run, selection, found, **more) -> Table:
    """Return the remark as a part of columns that is not drawn, with whatever else a note needs, one value each."""
    known = {"remark": remark(run, selection, found)} | more
    return {name: np.array([value], dtype=object) for name, value in known.items()}


def noted(table: Table, say) -> str:
    """Return the remark of such a part and, where something was measured, the sentence `say()` after it."""
    remark = str(table["remark"][0])
    return remark if remark == MEASURING else " ".join(filter(None, (remark, say())))


def number(value: float, sign: bool = False) -> str:
    """Return a number for readers: two digits after the point, more where it is small, none where it is large.

    >>> number(-0.256), number(1.5, sign=True), number(0.00123), number(float("inf"))
    ('−0.26', '+1.50', '0.0012', '∞')
    """
    if np.isnan(value):
        return "not a number"
    size = abs(value)
    if np.isinf(size):
        said = "∞"
    elif size >= 100:
        said = f"{size:,.0f}"
    else:
        said = f"{size:.2f}" if size >= 0.1 or size == 0 else f"{size:#.2g}"
    return ("−" if value < 0 else "+" if sign and value > 0 else "") + said
