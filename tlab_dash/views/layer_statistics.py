"""One layer from top to bottom: how large the signal is at each place, and how strongly each is told to change."""

from __future__ import annotations

from collections.abc import Iterable

import holoviews as hv
import numpy as np
from bokeh.models import FixedTicker, LinearAxis, NoOverlap

from tlab_core.residuals import RESIDUALS
from tlab_core.schema import SITES
from tlab_dash.theme import Theme
from tlab_dash.views import look
from tlab_dash.views.view import Columns, Range, View, empty, ghost_step, row, values

# In the order a signal meets them: name, site (a number: the residual stream, so many depths below the first), colour.
PLACES = (
    ("stream in", 0, "residual"),
    ("norm 1", "norm1", "norm"),
    ("queries", "q", "attention"),
    ("keys", "k", "attention"),
    ("values", "v", "attention"),
    ("attention", "attention", "attention"),
    ("post-norm 1", "post_norm1", "norm"),
    ("stream between", 1, "residual"),
    ("norm 2", "norm2", "norm"),
    ("before activation", "preactivation", "feed_forward"),
    ("activation", "activation", "feed_forward"),
    ("feed-forward", "mlp", "feed_forward"),
    ("post-norm 2", "post_norm2", "norm"),
    ("stream out", 2, "residual"),
)
Place = tuple[str, str | int, str]
CLOSE = "10px"  # the size of names that stand close

RMS = hv.Dimension("rms", label="RMS")
PLACE = hv.Dimension("place", label="place in the layer")


def columns(run, selection, ghost=None) -> Columns:
    """Return the RMS of signal and gradient at each place of the chosen layer that exists, and the dead share in words."""
    layer, _, _ = selection.resolve(run)
    shown = [place for place in PLACES if exists(run, place)]
    place = np.arange(len(shown), dtype=float)
    signal, gradient = ({"rms": rms, "place": place} for rms in _sizes(run, shown, layer, selection.step))
    ghosts = [empty("rms", "place")] * 2
    if ghost and layer < len(ghost.recorder.coordinates["layer"]):
        ghosts = [{"rms": rms, "place": place} for rms in _sizes(ghost, shown, layer, ghost_step(run, selection))]
    low, high = _decades(table["rms"] for table in (signal, gradient))
    dead = row(run, "layers", selection.step)["dead_share"][layer]
    note = [i for i, (_, site, _) in enumerate(shown) if site == "activation" and np.isfinite(dead)]
    beside = [table["rms"][abs(table["place"] - i) <= 1] for i in note for table in (signal, gradient, *ghosts)]
    return {
        "places": {
            "name": np.array([name for name, _, _ in shown], dtype=object),
            "part": np.array([part for _, _, part in shown], dtype=object),
        },
        "ghost_signal": ghosts[0],
        "ghost_gradient": ghosts[1],
        "gradient": gradient,
        "signal": signal,
        "dead": {
            "rms": np.array([_widest_gap(beside, low, high)] * len(note)),
            "place": np.array(note, dtype=float),
            "note": np.array([f"{dead:.0%} dead units"] * len(note), dtype=object),
        },
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the overlay: a dot a place for the signal, a triangle for its gradient, hollow grey ones for the ghost."""
    c = columns
    colours = np.array([getattr(theme, part) for part in c["places"]["part"]], dtype=object)
    ticks = [(i, name) for i, name in enumerate(c["places"]["name"])]

    def points(part: str, label: str, **style) -> hv.Points:
        return hv.Points(c[part], [RMS, PLACE], label=label).opts(**style, backend="bokeh")

    def coloured(part: str, label: str, **style) -> hv.Points:
        return hv.Points(c[part] | {"colour": colours}, [RMS, PLACE], "colour", label=label).opts(
            color="colour", **style, backend="bokeh")

    hollow = {"fill_alpha": 0, "line_color": theme.ghost, "line_width": 1.5}
    return hv.Overlay([
        points("ghost_signal", "ghost", size=11, **hollow),
        points("ghost_gradient", "", marker="triangle", size=12, **hollow),
        coloured("gradient", "gradient ↑", marker="triangle", size=8),
        coloured("signal", "signal ↓", size=8),
        hv.Labels(c["dead"], [RMS, PLACE], "note").opts(
            **look.text(theme, text_align="center", text_color=theme.text), **look.on_card(theme), backend="bokeh"),
    ]).opts(**_named_on_both_sides(ticks, look.frame(
        theme, xlabel="RMS (signal; gradient in nats per unit)", ylabel="", yticks=ticks, logx=True,
        xticks=look.log_ticker(), xformatter="%g", invert_yaxis=True,
        gridstyle={"grid_line_color": theme.line, "grid_line_width": 1},
    )), backend="bokeh")


def _named_on_both_sides(ticks: list[tuple[int, str]], options: dict) -> dict:
    """Return the options of a plot that names every other row on the left and those between on the right.

    A card of the first page has 9 pixels a row: names that all stood on one side would have to leave each other out.
    """

    def hook(plot, element):
        figure, names = plot.state, dict(ticks)
        left, right = ({place: name for place, name in names.items() if place % 2 == side} for side in (0, 1))
        axis = plot.handles["yaxis"]
        axis.update(ticker=FixedTicker(ticks=list(left)), major_label_overrides=left)
        figure.add_layout(LinearAxis(ticker=FixedTicker(ticks=list(right)), major_label_overrides=right), "right")
        for grid in figure.ygrid:
            grid.ticker = FixedTicker(ticks=list(names))

    def close(plot, element):
        for axis in plot.state.yaxis:
            axis.update(major_label_text_font_size=CLOSE, major_label_policy=NoOverlap(min_distance=-1))

    return options | {"hooks": [hook, *options["hooks"], close]}


def _widest_gap(sizes: list[np.ndarray], low: float, high: float) -> float:
    """Return the middle, on a log scale, of the widest stretch of the axis that has none of these sizes in it."""
    sizes = np.concatenate(sizes) if sizes else np.array([])
    edges = np.sort(np.log10([low, *sizes[(sizes > low) & (sizes < high)], high]))
    widest = np.argmax(np.diff(edges))
    return float(10 ** edges[widest : widest + 2].mean())


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes: whole decades that hold every value of the run; a row a place, the first at the top."""
    count = len(columns["places"]["name"])
    return _decades(columns[part]["rms"] for part in ("signal", "gradient")), (count - 0.5, -0.5)


def exists(run, place: Place) -> bool:
    """Return whether the run's layers have such a place. The first record says so, as a later one may be NaN.

    A norm on the road puts out the residual stream itself, which has a row already.
    """
    _, site, _ = place
    if isinstance(site, int):
        return True
    if site in ("norm1", "norm2") and RESIDUALS.look(run.experiment.architecture.residual_type).norm_on_the_road:
        return False
    return bool(np.isfinite(values(run, "layers", "rms")[0, 0, SITES.index(site)]))


def _sizes(run, places: list[Place], layer: int, step: int | None) -> list[np.ndarray]:
    """RMS of the signal and of the gradient at each place, NaN where the layer has no such place."""
    branch, stream = row(run, "layers", step), row(run, "residual", step)
    return [
        np.array([
            stream[name][2 * layer + site] if isinstance(site, int) else branch[name][layer, SITES.index(site)]
            for _, site, _ in places
        ], dtype=float)
        for name in ("rms", "gradient_rms")
    ]


def _decades(sizes: Iterable[np.ndarray]) -> Range:
    """Whole powers of ten around everything that is finite."""
    sizes = np.concatenate(list(sizes))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(sizes):
        return 0.1, 10.0
    low, high = np.floor(np.log10(sizes.min() / 1.1)), np.ceil(np.log10(sizes.max() * 1.1))
    return float(10**low), float(10**high)


layer_statistics = View(
    name="layer_statistics",
    title="Inside the layer",
    heading="Inside layer {layer}",
    caption="Dots: the signal's size. Triangles: how strongly it is told to change.",
    columns=columns,
    draw=draw,
    limits=limits,
    ghosts={"ghost_signal": {"x": "rms"}, "ghost_gradient": {"x": "rms"}},
    log=lambda columns: "x",
    fixed=("places",),
)
