"""How large the signal is on its way down through the layers."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.series import ABOVE, BELOW, log_range
from tlab_dash.views.view import Columns, Range, View, empty, ghost_step, row

DEPTH = hv.Dimension("depth", label="depth", unit="layers")
RMS = hv.Dimension("rms", label="signal RMS")


def columns(run, selection, ghost=None) -> Columns:
    """Return the residual stream's RMS at each depth: 0 after the embedding, 2i+1 after layer i's attention, 2i+2 after
    its feed-forward part; and the stretch that the chosen layer takes."""
    layer, _, _ = selection.resolve(run)
    now = row(run, "residual", selection.step)["rms"]
    then = row(ghost, "residual", ghost_step(run, selection))["rms"] if ghost else None
    edges = np.array([[2 * layer + 0.5, BELOW, 2 * layer + 2.5, ABOVE]])
    return {
        "layers": {"layer": run.recorder.coordinates["layer"]},
        "chosen": dict(zip(("left", "bottom", "right", "top"), edges.T, strict=True)),
        "ghost": _profile(then),
        "ghost_points": _profile(then),
        "now": _profile(now),
        "points": _profile(now),
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay on a logarithmic axis, with each layer named under its two points."""
    c = columns
    ticks = [(0, "in")] + [(2 * layer + 1.5, str(layer)) for layer in c["layers"]["layer"]]
    return hv.Overlay([
        hv.Rectangles(c["chosen"], ["left", "bottom", "right", "top"]).opts(
            color=theme.accent, fill_alpha=0.12, line_alpha=0, backend="bokeh"),
        hv.Curve(c["ghost"], DEPTH, RMS, label="ghost").opts(
            color=theme.ghost, line_width=2, line_dash="dashed", backend="bokeh"),
        hv.Points(c["ghost_points"], [DEPTH, RMS]).opts(color=theme.ghost, size=5, backend="bokeh"),
        hv.Curve(c["now"], DEPTH, RMS, label="now").opts(color=theme.residual, line_width=2.5, backend="bokeh"),
        hv.Points(c["points"], [DEPTH, RMS]).opts(color=theme.residual, size=7, backend="bokeh"),
    ]).opts(**look.frame(
        theme, xlabel="layer (after its attention, after its feed-forward)", ylabel="signal size (RMS)", logy=True,
        xticks=ticks, yticks=look.log_ticker(), yformatter="%g",
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: every depth, and the run's sizes."""
    return (-0.5, 2 * len(columns["layers"]["layer"]) + 0.5), log_range(columns["now"]["rms"])


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap on a layer's two points chooses the layer."""
    layer = int(np.floor((x - 0.5) / 2))
    return {"layer": layer} if 0 <= layer < len(columns["layers"]["layer"]) else None


def _profile(rms: np.ndarray | None) -> dict[str, np.ndarray]:
    if rms is None:
        return empty("depth", "rms")
    return {"depth": np.arange(len(rms), dtype=float), "rms": np.asarray(rms, dtype=float)}


signal = View(
    name="signal",
    title="Signal by depth",
    caption="How large the numbers on the residual stream are, layer by layer.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost": {"y": "rms"}},
    log=lambda columns: "y",
    fixed=("layers",),
    pick=pick,
)
