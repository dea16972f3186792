"""What becomes of the loss when a text goes on past the length that the model was trained on."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.measured import noted, told
from tlab_dash.views.series import BEYOND
from tlab_dash.views.view import Columns, Range, Table, View, analysis, empty

POSITION = hv.Dimension("position", label="position in the text", unit="characters")
LOSS = hv.Dimension("loss", label="loss", unit="nats")
FACTOR = 8  # texts of so many times the training length
CLOSE = 0.05  # nats: what differs by less, or by less than two standard errors, is too close to call


def long_needs(run, selection) -> dict[str, dict]:
    """Return the analysis of long texts."""
    return {"long_context": {"factor": FACTOR}}


def long_of(run, selection):
    """Return what was measured on long texts, None until it is."""
    return analysis(run, "long_context", long_needs(run, selection)["long_context"])


def columns(run, selection, ghost=None) -> Columns:
    """Return the loss by position with its standard error, the end of the trained positions, and the ghost's loss."""
    found = long_of(run, selection)
    now, then = _curve(found), _curve(long_of(ghost, selection) if ghost else None)
    errors = empty("position", "loss", "end", "top")
    if found is not None:
        error = np.nan_to_num(found["loss_error"].values)  # of a single window there is none
        errors = {"position": now["position"], "loss": now["loss"] - error, "end": now["position"],
                  "top": now["loss"] + error}
    return {
        "trained": trained(found, "loss"),
        "trained_name": trained_name(found, "loss", _losses(errors)),
        "ghost": then,
        "errors": errors,
        "now": now,
        "told": told(run, selection, found, limit=found.attrs["limit"] if found is not None else "", **_sides(found)),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: the loss as a line with bars of one standard error, the ghost dashed, where training ended."""
    c = columns
    return hv.Overlay([
        *trained_elements(c, "loss", theme),
        hv.Curve(c["ghost"], POSITION, LOSS, label="ghost").opts(
            color=theme.ghost, line_width=2, line_dash="dashed", backend="bokeh"),
        hv.Segments(c["errors"], [POSITION, LOSS, "end", "top"], label="± one standard error").opts(
            color=theme.muted, line_width=1.5, backend="bokeh"),
        hv.Curve(c["now"], POSITION, LOSS, label="now").opts(color=theme.residual, line_width=2.5, backend="bokeh"),
    ]).opts(**look.frame(theme, xlabel="position in the text (characters)", ylabel="loss (nats)"), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every position that was read; at least half a nat, so that noise looks like noise."""
    return reach(columns, "now", "ghost"), _losses(columns["errors"])


def note(columns: Columns) -> str:
    """Return how the loss beyond the trained length compares with that in the trained length's second half."""
    known = {name: column[0] for name, column in columns["told"].items()}

    def say():
        within, beyond, error, length = known["within"], known["beyond"], known["error"], known["length"]
        before = f"{within:.2f} at {known['start']:,} to {length:,}" if within is not None else ""
        if beyond is None:
            said = f"Nothing past {length:,} characters could be read."
        elif not np.isfinite([within, beyond]).all():
            said = f"Past {length:,} characters the loss is no longer a finite number."
        else:
            gap = beyond - within
            if abs(gap) < max(CLOSE, 2 * error):
                said = f"Past {length:,} characters the loss is {beyond:.2f}, and {before}: too close to call."
            else:
                more = f"{_nats(abs(gap))} {'higher' if gap > 0 else 'lower'}"
                said = f"Past {length:,} characters the loss is {more} ({beyond:.2f} against {before})."
        return f"{said} {known['limit']}".rstrip()

    return noted(columns["told"], say)


# What other plots by position share ----------------------------------------------------------------------------------


def trained(found, name: str) -> Table:
    """Return an upright line between the last trained position and the next."""
    at = np.array([] if found is None else [found.attrs["trained_length"] - 0.5])
    return {"position": at, name: np.full(len(at), -BEYOND), "end": at, "top": np.full(len(at), BEYOND)}


def trained_name(found, name: str, axis: Range) -> Table:
    """Return what that line says, at the top of the plot."""
    at = np.array([] if found is None else [found.attrs["trained_length"] - 0.5])
    words = [] if found is None else [f" trained on {found.attrs['trained_length']:,}"]
    return {"position": at, name: np.full(len(at), axis[1]), "words": np.array(words, dtype=object)}


def trained_elements(columns: Columns, name: str, theme: Theme) -> list[hv.Element]:
    """Return the elements of the parts "trained" and "trained_name"."""
    return [
        hv.Segments(columns["trained"], [POSITION, hv.Dimension(name), "end", "top"]).opts(
            color=theme.accent, line_width=1.5, line_dash="dotted", backend="bokeh"),
        hv.Labels(columns["trained_name"], [POSITION, hv.Dimension(name)], "words").opts(
            **look.text(theme, text_baseline="top", text_color=theme.text), backend="bokeh"),
    ]


def reach(columns: Columns, *parts: str) -> Range:
    """Return an axis of positions that holds all parts."""
    last = max((float(columns[part]["position"].max(initial=1.0)) for part in parts), default=1.0)
    return -0.01 * last, 1.03 * last


def _losses(errors: Table) -> Range:
    return limits_of(errors["loss"], errors["top"])


def limits_of(*values: np.ndarray, least: float = 0.5) -> Range:
    """Return an axis around all that is finite, with room for a name above, never narrower than `least`."""
    values = np.concatenate(values)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    spare = max(0.0, least - (high - low)) / 2
    room = 0.15 * max(high - low, least)
    return low - spare - room / 3, high + spare + room


def _curve(found) -> Table:
    if found is None:
        return empty("position", "loss")
    return {"position": found["position"].values.astype(float), "loss": found["loss"].values.astype(float)}


def _sides(found) -> dict:
    """Return the mean loss in the second half of the trained positions and beyond them, and a bound on their difference's
    standard error: as if all blocks erred alike."""
    if found is None:
        return {"within": None, "beyond": None, "error": None, "length": None, "start": None}
    length, first, last = found.attrs["trained_length"], found["first"].values, found["last"].values
    size, loss, error = last - first + 1, found["loss"].values, np.nan_to_num(found["loss_error"].values)
    inside, outside = last < length, first >= length
    half = inside & (first >= length / 2)
    inside = half if half.any() else inside

    def mean(values, taken):
        return float(np.average(values[taken], weights=size[taken])) if taken.any() else None

    both = float(np.hypot(*(mean(error, taken) or 0.0 for taken in (inside, outside))))
    start = int(first[inside].min()) if inside.any() else 0
    return {"within": mean(loss, inside), "beyond": mean(loss, outside), "error": both, "length": length, "start": start}


def _nats(gap: float) -> str:
    return f"{gap:.1f}" if gap >= 0.95 else f"{gap:.2f}"


long_loss = View(
    name="long_loss",
    title="Loss on long texts",
    caption="How surprised the model is the further it reads. Right of the dots are positions it never trained on.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "loss"}},
    told=("told",),
    note=note,
    needs=long_needs,
)
