"""Where the page looks: the breadcrumb "Layer 2 › Head 3 › “e”", and the probe text shaded by what that head reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import param

from tlab_core.schema import SITES
from tlab_dash import views
from tlab_dash.component import STATIC, Component
from tlab_dash.own_picture import chosen_view, own_views
from tlab_dash.selection import sizes
from tlab_dash.session import Session
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views.head_scores import head_measure_words
from tlab_dash.views.own_statistic import chosen_statistic, own_statistics
from tlab_dash.views.tokens import visible
from tlab_dash.views.wording import QK_MEASURE_WORDS

FOLLOWING = "Following the liveliest head"
UNITS_NAMED = 2048  # a select with more options is of no use to anyone


class Part(NamedTuple):
    """One thing that can be selected: its label, what there is as (value, words), and which of them is on show."""

    label: str
    options: Callable[..., list[tuple]]
    at: Callable[..., object]


def _positions(run) -> list[tuple]:
    return [(i, f"“{visible(token)}” at {i}") for i, token in enumerate(run.probe_tokens[: sizes(run)[2]])]


def _sites(run) -> list[tuple]:
    measured = run.recorder.group("layers").variables["rms"][0].values[0]  # later ones may be NaN, as a run broke
    return [(site, PLACES.get(site, site)) for site, rms in zip(SITES, measured, strict=True) if rms == rms]


def _matrices(run) -> list[tuple]:
    """The parameters of one layer by their names within it, and then those of no layer."""
    names = [str(name) for name in run.recorder.coordinates["parameter"]]
    layer = [name.removeprefix("blocks.0.") for name in names if name.startswith("blocks.0.")]
    others = [name for name in names if not name.startswith("blocks.")]
    return [(name, views.parameter_words(name)) for name in layer + others]


def _units(run) -> list[tuple]:
    count = min(run.experiment.architecture.resolved_ff_dim, UNITS_NAMED)
    return [("", "the one that varies most"), *((i, f"unit {i}") for i in range(count))]


PLACES = {site: words for words, site, _ in views.PLACES if isinstance(site, str)}
PARTS = {
    "layer": Part("Layer", lambda run: [(i, str(i)) for i in range(sizes(run)[0])], lambda run, s: s.resolve(run)[0]),
    "head": Part("Head", lambda run: [(i, str(i)) for i in range(sizes(run)[1])], lambda run, s: s.resolve(run)[1]),
    "position": Part("Character", _positions, lambda run, s: s.resolve(run)[2]),
    "site": Part("Place", _sites, lambda run, s: s.site),
    "matrix": Part("Weights", _matrices, lambda run, s: s.matrix),
    "measure": Part("Measure", lambda run: list(views.MEASURE_WORDS.items()), lambda run, s: s.measure),
    "weight_measure": Part(
        "Measure", lambda run: list(views.WEIGHT_MEASURE_WORDS.items()), lambda run, s: s.weight_measure),
    "head_measure": Part(
        "Measure", lambda run: list(head_measure_words(run).items()), lambda run, s: s.head_measure_of(run)),
    "qk_measure": Part("Measure", lambda run: list(QK_MEASURE_WORDS.items()), lambda run, s: s.qk_measure),
    "own_statistic": Part(
        "Statistic", lambda run: [(name, name.replace("_", " ")) for name in own_statistics(run)] or [("", "none")],
        lambda run, s: chosen_statistic(run, s)),
    "own_view": Part(
        "Picture", lambda run: [(name, view.title) for name, view in own_views().items()] or [("", "none")],
        lambda run, s: view.name if (view := chosen_view(s)) is not None else ""),
    "scale": Part("Loss axis", lambda run: [("even", "even"), ("log", "logarithmic")], lambda run, s: s.scale),
    "unit": Part("Unit", _units, lambda run, s: "" if s.unit_of(run) is None else s.unit),
    "order": Part(
        "Sorted by", lambda run: [("spread", "how much they vary"), ("character", "activation at the character")],
        lambda run, s: s.order),
}
TRAIL = ("layer", "head", "position")


class Breadcrumb(Component):
    """Some parts of the session's selection, each as a labelled select: on the bench layer, head and character."""

    trail = param.Dict(default={}, doc="Label, options and place of each select, whether it is pinned, a note.")

    _esm = STATIC / "breadcrumb.js"

    def __init__(self, session: Session, parts: tuple[str, ...] = TRAIL, **params):
        super().__init__(trail=trail(session, parts), sizing_mode="stretch_width", **params)
        self._session, self._parts = session, parts

    def refresh(self) -> None:
        """Show what is selected now."""
        self.trail = trail(self._session, self._parts)

    def on_choose(self, chosen: dict) -> None:
        """Pin `chosen["value"]` as the selection's `chosen["part"]`, if that is something the page offers."""
        run, part, value = self._session.run, chosen.get("part"), chosen.get("value")
        if run is not None and part in self._parts and value in [option for option, _ in PARTS[part].options(run)]:
            self._session.selection.choose(run, **{part: None if value == "" else value})

    def on_release(self, _) -> None:
        """Follow the liveliest head again."""
        self._session.selection.release()


class Probe(Component):
    """The probe text of the session's run; a click on a character chooses it, pointing at one lights up what it reads."""

    markup = param.String(default="", doc="The text as escaped HTML.")
    weights = param.String(default="", doc="All of the head's weights, see `views.reading`.")
    ink = param.String(default="", doc="The colour of a weight of 1, as #RRGGBB.")
    told = param.Boolean(default=False, doc="Whether what is read most is said below the text.")

    _esm = STATIC / "probe.js"

    def __init__(self, session: Session, theme: Theme = LIGHT, **params):
        super().__init__(sizing_mode="stretch_width", **params)
        self._session = session
        self.theme = theme
        self.refresh()

    def refresh(self) -> None:
        """Show the shading as it is now."""
        run, selection = self._session.run, self._session.selection
        if run is not None:
            self.param.update(
                markup=views.probe_text(run, selection, self.theme), weights=views.reading(run, selection),
                ink=self.theme.attention,
            )

    def on_position(self, position: int) -> None:
        """Pin a character."""
        if self._session.run is not None:
            self._session.selection.choose(self._session.run, position=int(position))


def trail(session: Session, parts: tuple[str, ...] = TRAIL) -> dict:
    """Return what the breadcrumb shows; there are no options until there is a run."""
    run, selection = session.run, session.selection
    shown = [
        {
            "part": part, "label": PARTS[part].label,
            "options": [] if run is None else PARTS[part].options(run),
            "at": None if run is None else PARTS[part].at(run, selection),
        }
        for part in parts
    ]
    follows = run is not None and not selection.pinned and "head" in parts
    return {"parts": shown, "pinned": selection.pinned and "head" in parts, "note": FOLLOWING if follows else ""}
