"""All heads of a layer as small attention maps: the menu from which one is chosen."""

from __future__ import annotations

import holoviews as hv
import numpy as np

from tlab_dash.theme import Theme, attention_palette
from tlab_dash.views import look
from tlab_dash.views.view import Columns, Range, Table, View, row

# What a head is called when that share of its attention is large: in itself, and against reading everything alike.
ROLES = {"previous_token": "previous", "first_token": "first", "induction": "induction"}
SHORT = {"previous": "prev", "induction": "induct"}  # where four tiles or more stand side by side
ROLE_FROM, ROLE_TIMES = 0.2, 2.0
EVEN_FROM = 0.9  # share of the entropy of reading everything alike
MOST_PIXELS = 200  # a side of the mosaic; maps that are finer than the screen are pooled

ACROSS, DOWN = hv.Dimension("across", unit="tiles"), hv.Dimension("down", unit="tiles")
WEIGHT = hv.Dimension("weight", label="weight", unit="1/255", range=(0, 255))  # a byte each: it is sent five times a second


def columns(run, selection, ghost=None) -> Columns:
    """Return the layer's maps as one mosaic with a tile a unit, a frame and a name for each, and the chosen one's frame."""
    layer, head, _ = selection.resolve(run)
    maps = row(run, "attention", selection.step)["weight"][layer]
    per_row = tiles_across(len(maps))
    mosaic, side = _mosaic(maps, per_row)
    left, top = np.arange(len(maps)) % per_row, np.arange(len(maps)) // per_row
    frames = {"left": left + 0.0, "bottom": top + 0.0, "right": left + side, "top": top + side}
    return {
        "tiles": {"per_row": np.array([per_row]), "heads": np.array([len(maps)])},
        "map": mosaic,
        "frames": frames,
        "chosen": {edge: places[head : head + 1] for edge, places in frames.items()},
        "names": {"across": left + side - 0.02, "down": top + 0.03, "name": _names(run, selection, layer, per_row)},
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


def role(scores: dict[str, float], positions: int) -> str:
    """Return a head's role in a word with its score, from the head statistics.

    >>> role({"previous_token": 0.39, "first_token": 0.1, "induction": 0.05, "entropy": 1.0}, positions=64)
    'previous 0.39'
    """
    if not np.isfinite(scores["entropy"]):
        return "broken"
    best = max(ROLES, key=lambda name: np.nan_to_num(scores[name]))
    count = np.arange(1, positions + 1)  # a query reads itself and what came before; an even head gives each 1/count
    if scores[best] >= max(ROLE_FROM, ROLE_TIMES * (1 / count).mean()):
        return f"{ROLES[best]} {scores[best]:.2f}"
    return "even" if scores["entropy"] >= EVEN_FROM * np.log(count).mean() else "mixed"


def _names(run, selection, layer: int, per_row: int) -> np.ndarray:
    record = row(run, "heads", selection.step)
    scores = {name: record[name][layer] for name in (*ROLES, "entropy")}
    positions = len(run.recorder.coordinates["query"])
    names = []
    for head in range(len(scores["entropy"])):
        word, *score = role({name: float(values[head]) for name, values in scores.items()}, positions).split()
        if per_row >= 4:
            word = SHORT.get(word, word)
        names.append("\n".join([f"{head} {word}", *score]))
    return np.array(names, dtype=object)


def _mosaic(maps: np.ndarray, per_row: int) -> tuple[Table, float]:
    """Lay maps (head, query, key) out row by row with gaps between; return the picture and a tile's side without gap."""
    count = maps.shape[-1]
    pool = max(1, int(np.ceil(count * per_row / MOST_PIXELS)))
    if pool > 1:
        maps = _pooled(maps, pool)
    side = maps.shape[-1]
    gap = max(1, round(0.05 * side))
    pitch = side + gap
    rows = -(-len(maps) // per_row)
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
    caption="Each square is one head's attention: a row a character, ink where it reads. Pick one.",
    columns=columns,
    draw=draw,
    limits=limits,
    fixed=("tiles",),
    pick=pick,
)
