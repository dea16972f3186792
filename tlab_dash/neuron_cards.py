"""What excites one feed-forward unit, in the text itself, and what it then writes."""

from __future__ import annotations

import numpy as np
import param

from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.session import Session
from tlab_dash.surprise import named
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views.measured import number, remark
from tlab_dash.views.tokens import visible
from tlab_dash.views.units import neuron_needs, neuron_of

OWN = (STATIC / "neuron.css").read_text(encoding="utf-8")
SHADES = 10  # the strongest colour; a shade is a whole number from -SHADES to SHADES


class _NeuronCard(Component):
    """One card on the chosen unit of a session's run. Colours are the page's own, so that no theme needs to be known."""

    shown = param.Dict(default={}, doc="What the card shows; a remark alone until the unit is measured.")

    __abstract = True
    _stylesheets = [STYLE, OWN]
    needs = staticmethod(neuron_needs)

    def __init__(self, session: Session, theme: Theme = LIGHT, **params):
        super().__init__(sizing_mode="stretch_both", **params)
        self._session = session
        self.refresh()

    def refresh(self) -> None:
        """Show what was measured last."""
        run, selection = self._session.run, self._session.selection
        if run is None:
            return
        found = neuron_of(run, selection)
        words = {"remark": remark(run, selection, found)}
        self.shown = words if found is None else words | self._of(run, found)


class Excites(_NeuronCard):
    """The probe text and the passages that excite a unit most, each character coloured by the unit's activation there."""

    title = "What excites it"
    caption = "Orange: the unit is active above zero. Blue: below. Choose a character of the probe text."

    _esm = STATIC / "excites.js"

    def on_position(self, position) -> None:
        """Choose a character of the probe text, counted from 0."""
        run = self._session.run
        if run is not None and isinstance(position, int) and not isinstance(position, bool) and position >= 0:
            self._session.selection.choose(run, position=position)

    def _of(self, run, found) -> dict:
        probe = found["probe_activation"].values.astype(float)
        passages, peaks = found["passage_activation"].values, found["passage_peak"].values
        sizes = np.abs(np.concatenate([probe, passages.ravel()]))
        largest = float(sizes[np.isfinite(sizes)].max(initial=0.0))
        position, characters = found.attrs["position"], found["passage_character"].values
        here = named(run.probe_tokens[position])
        return {
            "unit": f"Unit {found.attrs['unit']} of layer {found.attrs['layer']}",
            "said": f"At {here}, character {position}: {number(probe[position])}.",
            "key": [number(-largest), number(largest)],
            "at": position,
            "probe": text(run.probe_tokens[: len(probe)], probe, largest),
            "passages": [
                text(row, values, largest) | {"peak": int(peak), "largest": number(values[peak])}
                for row, values, peak in zip(characters, passages, peaks, strict=True)
            ],
        }


class Writes(_NeuronCard):
    """Which next characters a unit makes likelier, and which less likely."""

    title = "What it writes"
    caption = "What one unit of its activation adds to each next character's score, straight to the output, past the norms."

    _esm = STATIC / "writes.js"

    def _of(self, run, found) -> dict:
        lists = {
            name: (found[f"{name}_character"].values, found[name].values.astype(float)) for name in ("raised", "lowered")
        }
        changes = np.abs(np.concatenate([changes for _, changes in lists.values()]))
        largest = float(changes[np.isfinite(changes)].max(initial=0.0)) or 1.0
        return {
            name: [
                {"name": named(str(character)), "share": min(1.0, abs(float(np.nan_to_num(change))) / largest),
                 "change": number(change, sign=True)}
                for character, change in zip(*pair, strict=True)
            ]
            for name, pair in lists.items()
        }


def text(characters, values: np.ndarray, largest: float) -> dict:
    """Return the characters as a reader can see them, their shades, and in words what the unit does at each."""
    return {
        "characters": [visible(str(character)) for character in characters],
        "shades": [shade(float(value), largest) for value in values],
        "tips": [f"{named(str(character))} {number(value)}" for character, value in zip(characters, values, strict=True)],
    }


def shade(value: float, largest: float) -> int:
    """Return a whole number from -SHADES to SHADES, 0 for what is nearest to nothing or not finite.

    >>> shade(-2.0, 2.0), shade(0.5, 2.0), shade(float("nan"), 2.0), shade(0.0, 0.0)
    (-10, 2, 0, 0)
    """
    if not np.isfinite(value) or largest == 0:
        return 0
    return round(SHADES * value / largest)
