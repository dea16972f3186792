"""What is being looked at: a layer, one of its heads, a position of the probe text, a step.

Whatever is stored is kept as it is and clamped only when it is read against a run, so that layer 5 comes back when a
run with enough layers does.
"""

from __future__ import annotations

import numpy as np
import param

# The head that is followed gives way only to one whose map moves this many times as much, or the page would hop about.
RESTLESSNESS = 1.5
MEASURES = ("rms", "mean", "std", "max")  # of the signal at a site
WEIGHT_MEASURES = ("weight_rms", "distance", "update_ratio", "gradient_rms")  # of a parameter
HEAD_MEASURES = ("previous_token", "first_token", "induction", "largest_weight", "entropy")  # of what a head reads
QK_MEASURES = ("qk_max", "qk_mean", "qk_std", "query_norm", "key_norm")  # of how its queries and keys match
# How something is shown. Turning to another leaves it open which layer and head that is.
MANNERS = frozenset({
    "measure", "weight_measure", "head_measure", "qk_measure", "own_statistic", "own_view", "scale", "order"})


class Selection(param.Parameterized):
    """The layer, head, position and step that every view shows.

    Until something is chosen (`pinned` is False) layer and head follow the liveliest head of the run. While an earlier step
    is looked at they stay, since whoever looks back wants to see one head become what it is.
    """

    layer = param.Integer(default=0, bounds=(0, None), doc="Layer, counted from 0.")
    head = param.Integer(default=0, bounds=(0, None), doc="Head within the layer, counted from 0.")
    position = param.Integer(default=None, bounds=(0, None), allow_None=True, doc=(
        "Position within the probe text whose row of attention is lit. None is the last one, which may read all others."))
    step = param.Integer(default=None, bounds=(0, None), allow_None=True, doc=(
        "Step whose records are shown. None follows the newest."))
    site = param.String(default="activation", doc="Place inside a layer that is looked at, one of `schema.SITES`.")
    matrix = param.String(default="attention.qkv.weight", doc=(
        "Parameter that is looked at: one of the chosen layer's by its name within the layer, or any by its whole name."))
    unit = param.Integer(default=None, bounds=(0, None), allow_None=True, doc=(
        "Feed-forward unit of the layer. None is the one that varies most."))
    measure = param.Selector(default="rms", objects=list(MEASURES), doc="What is shown of the signal at each place.")
    weight_measure = param.Selector(default="weight_rms", objects=list(WEIGHT_MEASURES), doc=(
        "What is shown of each parameter: its RMS, how far it is from its start, the last update over it, its gradient."))
    head_measure = param.String(default="previous_token", doc=(
        "What is shown of each head's reading: its share on some character, or how spread out it is; one of HEAD_MEASURES, "
        "or a statistic of one's own that heads have. Where a run has no such statistic, the first of them."))
    qk_measure = param.Selector(default="qk_max", objects=list(QK_MEASURES), doc=(
        "What is shown of each head's match scores before softmax, or of its query and key vectors."))
    own_statistic = param.String(default="", doc="Statistic of one's own that is shown. Empty is the run's first.")
    own_view = param.String(default="", doc="Picture of one's own that is shown. Empty is the first.")
    scale = param.Selector(default="even", objects=["even", "log"], doc="Whether the loss's axis is even or logarithmic.")
    order = param.Selector(default="spread", objects=["spread", "character"], doc=(
        "What units are sorted by: how much each varies over a text, or its activation at the chosen character."))
    pinned = param.Boolean(default=False, doc="Whether layer and head stay put. Off, they follow the liveliest head.")

    _followed = None  # (history, step of its last map, layer, head): worked out once a record

    def resolve(self, run) -> tuple[int, int, int]:
        """Return (layer, head, position), each within what `run` has."""
        layers, heads, positions = sizes(run)
        layer, head = (self.layer, self.head) if self.pinned else self._follow(run)
        position = positions - 1 if self.position is None else self.position
        return (_clamp(layer, layers), _clamp(head, heads), _clamp(position, positions))

    def parameter(self, run) -> str:
        """Return the whole name of the chosen parameter; where the run has none of that name, the layer's Q, K and V."""
        layer = self.resolve(run)[0]
        names = run.recorder.coordinates["parameter"]
        for name in (f"blocks.{layer}.{self.matrix}", self.matrix):
            if name in names:
                return name
        return f"blocks.{layer}.attention.qkv.weight"

    def head_measure_of(self, run) -> str:
        """Return the chosen measure of heads, or where the run doesn't have it the usual one."""
        return self.head_measure if self.head_measure in run.recorder.group("heads").variables else HEAD_MEASURES[0]

    def unit_of(self, run) -> int | None:
        """Return the chosen unit; None is the one that varies most, which is also shown where the run has no such unit."""
        known = self.unit is not None and self.unit < run.experiment.architecture.resolved_ff_dim
        return self.unit if known else None

    def held(self, run) -> Selection:
        """Return a selection that stays with the layer and head that are shown of `run`, to look at another run with."""
        if self.pinned:
            return self
        layer, head, _ = self.resolve(run)
        return Selection(**{name: value for name, value in self.param.values().items() if name != "name"}
                         | {"layer": layer, "head": head, "pinned": True})

    def choose(self, run, **chosen) -> None:
        """Pin what is given; layer and head otherwise stay as they are shown now. Another layer's units are others.

        What is in MANNERS pins nothing.
        """
        if chosen.keys() <= MANNERS:
            self.param.update(**chosen)
            return
        layer, head, _ = self.resolve(run)
        if chosen.get("layer", layer) != layer:
            chosen = {"unit": None} | chosen
        self.param.update(**{"layer": layer, "head": head, "pinned": True} | chosen)

    def move(self, run, layers: int = 0, heads: int = 0) -> None:
        """Choose the layer and head so many further on; at the first and the last it stays."""
        layer, head, _ = self.resolve(run)
        count, heads_of_each, _ = sizes(run)
        self.choose(run, layer=_clamp(layer + layers, count), head=_clamp(head + heads, heads_of_each))

    def release(self) -> None:
        """Let go of what was chosen and follow the liveliest head again."""
        self.param.update(pinned=False, position=None)

    def _follow(self, run) -> tuple[int, int]:
        history = run.recorder
        if self.step is not None and self._followed is not None and self._followed[0] == id(history):
            return self._followed[2:]
        key = (id(history), history.last_step("attention"))
        if self._followed is None or self._followed[:2] != key:
            known = self._followed is not None and self._followed[0] == key[0]
            shown = self._followed[2:] if known else None
            self._followed = (*key, *liveliest_head(run, shown))
        return self._followed[2:]


def liveliest_head(run, shown: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return (layer, head) of the head whose attention map changed most between the last two records.

    Change is the mean over queries of ½ · Σ_key |weight now - weight before|: the share of its reading that a head
    moved elsewhere. `shown`, the head looked at so far, is kept while none changes `RESTLESSNESS` times as much. Before
    there are two records it is the first head of the middle layer.
    """
    recorded = run.recorder.group("attention").variables["weight"]
    layers, heads, _ = sizes(run)
    if len(recorded) < 2:
        return shown or (layers // 2, 0)
    maps = recorded[-2:].values  # of a saved run, these alone are read
    change = np.abs(maps[-1] - maps[-2]).mean(axis=-2).sum(axis=-1) / 2
    # A map that has gone NaN has changed beyond measure, but there is nothing left to see.
    change = np.nan_to_num(change, nan=0.0)
    layer, head = np.unravel_index(np.argmax(change), change.shape)
    if shown is not None and shown[0] < layers and shown[1] < heads and (
        change[layer, head] <= RESTLESSNESS * change[shown]
    ):
        return shown
    return int(layer), int(head)


def sizes(run) -> tuple[int, int, int]:
    """Return how many layers, heads a layer and positions of the probe text `run` has recorded.

    The probe text's last token is only ever predicted, so it is no position.
    """
    coordinates = run.recorder.coordinates
    return len(coordinates["layer"]), len(coordinates["head"]), len(coordinates["query"])


def _clamp(value: int, count: int) -> int:
    return max(0, min(value, count - 1))
