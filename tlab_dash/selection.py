"""What is being looked at: a layer, one of its heads, a position of the probe text, a step.

Whatever is stored is kept as it is and clamped only when it is read against a run, so that layer 5 comes back when a
run with enough layers does.
"""

from __future__ import annotations

import numpy as np
import param

# The head that is followed gives way only to one whose map moves this many times as much, or the page would hop about.
RESTLESSNESS = 1.5


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
    pinned = param.Boolean(default=False, doc="Whether layer and head stay put. Off, they follow the liveliest head.")

    _followed = None  # (history, step of its last map, layer, head): worked out once a record

    def resolve(self, run) -> tuple[int, int, int]:
        """Return (layer, head, position), each within what `run` has."""
        layers, heads, positions = sizes(run)
        layer, head = (self.layer, self.head) if self.pinned else self._follow(run)
        position = positions - 1 if self.position is None else self.position
        return (_clamp(layer, layers), _clamp(head, heads), _clamp(position, positions))

    def choose(self, run, **chosen: int) -> None:
        """Pin what is given of `layer`, `head` and `position`; layer and head otherwise stay as they are shown now."""
        layer, head, _ = self.resolve(run)
        self.param.update(**{"layer": layer, "head": head, "pinned": True} | chosen)

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
    maps = run.recorder.group("attention")["weight"].values
    layers, heads, _ = sizes(run)
    if len(maps) < 2:
        return shown or (layers // 2, 0)
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
