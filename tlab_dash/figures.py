"""Numbers as one reads them, knobs as one says them, and where the losses of a run stand."""

from __future__ import annotations

import numpy as np

from tlab_core.display.numbers import with_exponent
from tlab_dash.controls import parameter, value_label

RECENT = 20  # steps that a loss is averaged over


def nats(loss: float) -> str:
    """Return a loss as one reads it.

    >>> nats(0.694), nats(1.57e14), nats(1900.0), nats(float("inf"))
    ('0.69', '1.6e14', '1.9e3', 'inf')
    """
    if not abs(loss) >= 1000 or not np.isfinite(loss):
        return f"{loss:.2f}"
    return with_exponent(loss)


def short(x: float) -> str:
    """Return a number to two figures; with an exponent from 10¹² on, and where five zeros would follow the point.

    >>> short(0.0182), short(3825), short(9.04), short(8.2e-8), short(2.43e6), short(2.25e24)
    ('0.018', '3,825', '9', '8.2e-8', '2.4 million', '2.3e24')
    """
    if not np.isfinite(x):
        return str(x)
    for word, size in (("billion", 1e9), ("million", 1e6)):
        if 0.995 * size <= abs(x) < 0.995 * 1000 * size:
            return f"{short(x / size)} {word}"
    if 0 < abs(x) < 1e-5 or abs(x) >= 1e6:
        return with_exponent(x)
    if abs(x) >= 100:
        return f"{x:,.0f}"
    return np.format_float_positional(float(f"{x:.2g}"), trim="-")


def percent(share: float) -> str:
    """Return a share as one reads it.

    >>> percent(0.0042), percent(0.127), percent(0.0)
    ('0.4 %', '13 %', '0 %')
    """
    return f"{short(round(100 * share, 0 if share >= 0.1 else 1))} %"


def knob_words(session, knob: str, value) -> str:
    """Return a knob and its value as one says them: "Post-LN" for a choice, "learning rate 0.01", "QK-norm on"."""
    label = parameter(session.draft, knob).label
    if isinstance(value, bool):
        return f"{label} {'on' if value else 'off'}"
    if isinstance(value, str) and value != "None":
        return value_label(knob, value)
    name = label[:1].lower() + label[1:] if label[1:2].islower() else label
    return f"{name} {value_label(knob, value)}"


def recent_loss(run, step: int) -> float:
    """Return the mean loss of the last batches up to `step`; the same batches in two runs that share their data."""
    train = run.recorder.group("train")
    return float(train["loss"].values[train["step"].values <= step][-RECENT:].mean())


def untrained_loss(run) -> float:
    """Return the loss on unseen text at step 0."""
    return float(run.recorder.group("validation")["loss"].values[0])


def equal_step(run, ghost, shown: int | None = None) -> int | None:
    """Return the last step, up to the one shown, at which both runs were looked into, None if there is none."""
    steps = [r.recorder.group("residual")["step"].values for r in (run, ghost)]
    common = np.intersect1d(*steps)
    common = common if shown is None else common[common <= shown]
    return int(common[-1]) if len(common) else None
