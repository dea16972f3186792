"""All heads of a layer as small attention maps: the menu from which one is chosen."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme, attention_palette
from tlab_dash.views import look
from tlab_dash.views.roles import broken_words, role, scores_by_head
from tlab_dash.views.view import Columns, Range, Table, View, row

SHORT = {"previous": "prev", "induction": "induct"}  # where four tiles or more stand side by side
MOST_PIXELS = 200  # a side of the mosaic; maps that are finer than the screen are pooled

ACROSS, DOWN = hv.Dimension("across", unit="tiles"), hv.Dimension("down", unit="tiles")
WEIGHT = hv.Dimension("weight", label="weight", unit="1/255", range=(0, 255))  # a byte each: it is sent five times a second


def columns(run, selection, ghost=None) -> Columns:
    """Return the layer's maps as one mosaic with a tile a unit, a frame and a name for each, and the chosen one's frame."""
    layer, head, _ = selection.resolve(run)
    maps = row(run, "attention", selection.step)["weight"][layer]
    per_row = tiles_across(len(maps))
    picture, side = mosaic(maps, per_row)
    left, top = np.arange(len(maps)) % per_row, np.arange(len(maps)) // per_row
    frames = {"left": left + 0.0, "bottom": top + 0.0, "right": left + side, "top": top + side}
    return {
        "tiles": {"per_row": np.array([per_row]), "heads": np.array([len(maps)])},
        "map": picture,
        "frames": frames,
        "chosen": {edge: places[head : head + 1] for edge, places in frames.items()},
        "names": {"across": left + side - 0.02, "down": top + 0.03, "name": _names(run, selection, layer, per_row)},
        "told": {"broken": np.array([broken_words(run, selection.step)], dtype=object)},
    }


def draw(columns: Columns, theme: Theme) -> hv.Overlay:
    """Return the mosaic; names stand in the empty half of each map, where the future would be."""
    c = columns
    edges = ["left", "bottom", "right", "top"]
    return hv.Overlay([
        hv.Image((c["map"]["across"], c["map"]["down"], c["map"]["weight"]), [ACROSS, DOWN], WEIGHT).opts(
            cmap=attention_palette(theme), clim=(0, 255), backend="bokeh"),
        hv.Rectangles(c["frames"], edges).opts(fill_alpha=0, line_color=theme.line, line_width=1, backend="bokeh"),
        hv.Rectangles(c["chosen"], edges).opts(fill_alpha=0, line_color=theme.accent, line_width=2.5, backend="bokeh"),
        hv.Labels(c["names"], ["across", "down"], "name").opts(
            **look.text(theme, text_align="right", text_baseline="top", text_color=theme.text), backend="bokeh"),
    ]).opts(**look.frame(
        theme, xaxis=None, yaxis=None, invert_yaxis=True, show_grid=False, show_legend=False,
    ), backend="bokeh")


def limits(columns: Columns) -> tuple[Range, Range]:
    """Return the axes in tiles; as many down as across, so that maps stay square."""
    per_row = int(columns["tiles"]["per_row"][0])
    gap = 1 - float(columns["frames"]["right"][0])
    return (-0.02, per_row - gap + 0.02), (per_row - gap + 0.02, -0.02)


def pick(columns: Columns, x: float, y: float) -> dict[str, int] | None:
    """A tap on a tile chooses its head."""
    per_row, heads = int(columns["tiles"]["per_row"][0]), int(columns["tiles"]["heads"][0])
    across, down = int(np.floor(x)), int(np.floor(y))
    head = down * per_row + across
    return {"head": head} if 0 <= across < per_row and 0 <= head < heads else None


def tiles_across(heads: int) -> int:
    """Return how many tiles stand side by side."""
    return int(np.ceil(np.sqrt(heads)))


def tile_name(scores: dict[str, float], positions: int, number: int, per_row: int) -> str:
    """Return what stands in a head's tile: its number and role, and the score below where there is one."""
    word, *score = role(scores, positions).split()
    if per_row >= 4:
        word = SHORT.get(word, word)
    return "\n".join([f"{number} {word}", *score])


def _names(run, selection, layer: int, per_row: int) -> np.ndarray:
    positions = len(run.recorder.coordinates["query"])
    scores = scores_by_head(run, selection.step)[layer]
    return np.array([tile_name(scores[i], positions, i, per_row) for i in range(len(scores))], dtype=object)


def mosaic(maps: np.ndarray, per_row: int, most: int = MOST_PIXELS) -> tuple[Table, float]:
    """Lay maps (head, query, key) out row by row with gaps between, about `most` pixels wide and high at the most; return
    the picture and a tile's side without gap."""
    rows = -(-len(maps) // per_row)
    pool = max(1, int(np.ceil(maps.shape[-1] * max(per_row, rows) / most)))
    if pool > 1:
        maps = _pooled(maps, pool)
    side = maps.shape[-1]
    gap = max(1, round(0.05 * side))
    pitch = side + gap
    tiles = np.zeros((rows * per_row, pitch, pitch), dtype=np.uint8)
    tiles[: len(maps), :side, :side] = np.rint(255 * np.nan_to_num(maps))
    picture = tiles.reshape(rows, per_row, pitch, pitch).swapaxes(1, 2).reshape(rows * pitch, per_row * pitch)
    return {
        "across": (np.arange(per_row * pitch) + 0.5) / pitch,
        "down": (np.arange(rows * pitch) + 0.5) / pitch,
        "weight": picture,
    }, side / pitch


def _pooled(maps: np.ndarray, pool: int) -> np.ndarray:
    """The largest weight of each pool × pool square: a stripe one character wide survives, as a mean would not let it."""
    spare = -maps.shape[-1] % pool
    padded = np.pad(maps, ((0, 0), (0, spare), (0, spare)))
    side = padded.shape[-1] // pool
    return padded.reshape(len(maps), side, pool, side, pool).max(axis=(2, 4))


heads = View(
    name="heads",
    title="Heads",
    heading="Heads of layer {layer}",
    caption="Each square is one head's attention: a row a character, ink where it reads. Pick one.",
    columns=columns,
    draw=draw,
    limits=limits,
    warning=lambda columns: str(columns["told"]["broken"][0]),
    fixed=("tiles",),
    told=("told",),
    pick=pick,
    size=(440, 420),
)
