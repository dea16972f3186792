"""The code page: the source of a part of the model, and beside it the shapes and numbers that flowed through it."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import param

from tlab_dash import views
from tlab_dash.component import STATIC, STYLE, Component
from tlab_dash.session import Session
from tlab_dash.source import PARTS, listings
from tlab_dash.surprise import named
from tlab_dash.theme import LIGHT, Theme
from tlab_dash.views.measured import remark
from tlab_dash.views.view import analysis, row

SITE_WORDS = {site: words for words, site, _ in views.PLACES if isinstance(site, str)} | {
    "scores": "match scores", "weights": "attention weights", "heads": "what the heads gathered",
    "final_norm": "final norm", "logits": "scores of next characters",
}
STREAM_WORDS = ("stream in", "stream between", "stream out")


def flow_needs(run, selection) -> dict[str, dict]:
    """Return the analysis of what flowed through the chosen layer."""
    layer, head, position = selection.resolve(run)
    return {"flow": {"layer": layer, "position": position, "head": head}}


class CodePage(Component):
    """The code of one part of a session's settings, and what went through it at the last look."""

    title = "What runs"
    caption = "The code of each part, and the numbers that went through it. Turn a knob, and it follows."
    needs = staticmethod(flow_needs)

    part = param.Selector(default="norm", objects=list(PARTS), doc="Which part is shown.")
    parts = param.List(default=[], doc="[key, words] of each part there is.")
    code = param.List(default=[], doc="name, place, first line, lines as escaped HTML, missing: each class or function.")
    flow = param.Dict(default={}, doc="remark, where, head (the names of the columns) and rows of the table.")

    _esm = STATIC / "code_page.js"
    _stylesheets = [STYLE, (STATIC / "code_page.css").read_text(encoding="utf-8")]

    def __init__(self, session: Session, theme: Theme = LIGHT, **params):
        """Colours are the page's own custom properties, so that no theme needs to be known here."""
        super().__init__(sizing_mode="stretch_both", **params)
        self._session = session
        self._listed: list | None = None
        self.refresh()

    def refresh(self) -> None:
        """Show the part's code by the present settings, and the newest numbers."""
        experiment = self._session.experiment
        listed = listings(self.part, experiment)
        if listed != self._listed:
            self._listed = listed
            self.code = [asdict(one) | {"lines": list(one.lines)} for one in listed]
        self.param.update(
            parts=[[key, ": ".join(filter(None, (part.label, part.chosen(experiment))))] for key, part in PARTS.items()],
            flow={} if self._session.run is None else self._flow(),
        )

    def on_part(self, part) -> None:
        """Show another part, if it is one of those offered."""
        if isinstance(part, str) and part in PARTS:
            self.part = part
            self.refresh()

    def _flow(self) -> dict:
        run, selection = self._session.run, self._session.selection
        if self.part == "optimizer":
            return _parameters(run, selection)
        if self.part == "schedule":
            return _rate(run, selection)
        options = flow_needs(run, selection)["flow"]
        found = analysis(run, "flow", options)
        if found is None:
            return {"remark": remark(run, selection, None)}
        rows = _sites(found, PARTS[self.part].sites, options["layer"])
        if not rows:
            part = PARTS[self.part]
            named_choice = f"{part.label} is {part.chosen(self._session.experiment)}"
            return {"remark": f"{named_choice}: nothing stands in the signal's way, so there are no numbers to show."}
        position = options["position"]
        return {
            "remark": remark(run, selection, found),
            "where": f"Layer {options['layer']} · probe text, “first” at {named(run.probe_tokens[position])} ({position}), "
                     f"head {options['head']} · step {found.attrs['step']:,}",
            "head": ["place", "RMS", "largest", "gradient RMS"],
            "rows": rows,
        }


def _sites(found, wanted: tuple[str, ...], layer: int) -> list[dict]:
    """Return a row for each of the part's sites that the model has, in the order in which a signal meets them."""
    rows = []
    for i, site in enumerate(found["site"].values):
        words = _site_words(str(site), wanted, layer)
        if words:
            rows.append({
                "name": words, "site": str(site),
                "shape": f"{found['axes'].values[i]} = {found['shape'].values[i]}",
                "cells": [figure(found[name].values[i]) for name in ("rms", "max", "gradient_rms")],
                "first": _first(found["first"].values[i], str(site)),
            })
    return rows


def _site_words(site: str, wanted: tuple[str, ...], layer: int) -> str:
    """Return what a site is called, empty if it is none of those wanted."""
    head, _, last = site.rpartition(".")
    if head == "residual":
        depth = int(last)
        if "embedding" in wanted and depth == 0:
            return "characters with position"
        return STREAM_WORDS[depth - 2 * layer] if "residual" in wanted and 0 <= depth - 2 * layer <= 2 else ""
    return SITE_WORDS.get(last, last) if last in wanted else ""


def _first(numbers: np.ndarray, site: str) -> str:
    known = numbers[~np.isnan(numbers)]
    masked = site.endswith(".scores")
    return "  ".join("masked" if masked and number == -np.inf else figure(number) for number in known)


def _parameters(run, selection) -> dict:
    """Return what the optimizer did last to each parameter of the chosen layer, and to those of no layer."""
    layer = selection.resolve(run)[0]
    names = [str(name) for name in run.recorder.coordinates["parameter"]]
    record = row(run, "parameters", selection.step)
    if record is None:
        return {"remark": "Nothing was recorded yet."}
    sizes = [record[name] for name in ("weight_rms", "gradient_rms", "update_ratio")]
    return {
        "remark": "", "where": f"Layer {layer}, and what belongs to no layer",
        "head": ["parameter", "RMS", "gradient RMS", "last update ÷ weights"],
        "rows": [
            {"name": views.parameter_words(name), "site": name, "shape": "", "first": "",
             "cells": [figure(size[i]) for size in sizes]}
            for i, name in enumerate(names) if name.startswith(f"blocks.{layer}.") or not name.startswith("blocks.")
        ],
    }


def _rate(run, selection) -> dict:
    """Return the learning rate that the schedule gave the last update."""
    record = row(run, "train", selection.step)
    if record is None:
        return {"remark": "No update was made yet."}
    step = run.recorder.last_step("train") if selection.step is None else selection.step
    return {"remark": "", "where": f"Step {step:,}", "head": ["", "now"], "rows": [
        {"name": "learning rate", "site": "", "shape": "", "first": "", "cells": [figure(record["learning_rate"])]}]}


def figure(value: float) -> str:
    """Return a number in three digits, with a real minus; a dash for what was not measured.

    >>> [figure(value) for value in (0.01234, -1.5, float("-inf"), float("nan"))]
    ['0.0123', '−1.50', '−∞', '–']
    """
    if np.isnan(value):
        return "–"
    return ("∞" if np.isinf(value) else f"{value:#.3g}".rstrip(".")) if value >= 0 else "−" + figure(-value)
