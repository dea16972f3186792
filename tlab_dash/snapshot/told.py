"""What a snapshot says in words and tables: settings, how the runs went, what they wrote, their code."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from tlab_core import compare
from tlab_core.absent import Absent
from tlab_core.display.numbers import loss_figure
from tlab_core.experiment import default_experiment
from tlab_core.knob_text import flat, knobs
from tlab_core.knobs import ChoiceKnob
from tlab_core.registry import Registry
from tlab_core.run import Run, Sample
from tlab_dash.controls import value_label

PARTS = {"architecture": "Architecture", "training": "Training", "": "Text"}
UNTOLD = ("architecture.vocab_size", "training.shards", "training.executor", "prompt")
MACHINES = ("training.executor",)  # components that say who computes, not what
MOST_SAMPLES = 12


class Setting(NamedTuple):
    """A row of the table of settings; `marked` where the runs differ, or one run is not as the lab opens."""

    part: str
    label: str
    values: tuple[str, ...]
    marked: bool


class Component(NamedTuple):
    """A component that some of the runs use, and the code that defines it."""

    kind: str
    name: str
    used_by: tuple[str, ...]
    source: str


def settings(runs: Mapping[str, Run]) -> list[Setting]:
    """Return every knob's value in each run."""
    usual, chosen = flat(default_experiment()), [flat(run.experiment) for run in runs.values()]
    found = []
    for knob, param in knobs():
        if knob in UNTOLD:
            continue
        values = [values[knob] for values in chosen]
        differs = any(value != values[0] for value in values) if len(runs) > 1 else values[0] != usual[knob]
        texts = tuple(value_label(knob, value) for value in values)
        found.append(Setting(PARTS[knob.rpartition(".")[0]], param.label, texts, differs))
    return found


def facts(runs: Mapping[str, Run]) -> list[tuple[str, tuple[str, ...]]]:
    """Return how each run went: (what, one text a run)."""
    sums = compare.summary(runs)

    def loss(value: float | None) -> str:
        return "–" if value is None else f"{loss_figure(value)} nats" if isfinite(value) else "no finite number"

    rows = {
        "Steps": [f"{run.steps:,}" for run in sums],
        "Characters read": [f"{run.tokens:,}" for run in sums],
        f"Training loss, mean of the last {compare.WINDOW}": [loss(run.train_final) for run in sums],
        "Loss on unseen text": [loss(run.validation_final) for run in sums],
        "Lowest on unseen text": [loss(run.validation_best) for run in sums],
    }
    return [(what, tuple(texts)) for what, texts in rows.items() if any(texts)]


def samples(run: Run) -> list[Sample]:
    """Return what the run wrote, at most `MOST_SAMPLES` texts, the first and the last among them."""
    kept = list(run.samples)
    if len(kept) <= MOST_SAMPLES:
        return kept
    return [kept[round(place * (len(kept) - 1) / (MOST_SAMPLES - 1))] for place in range(MOST_SAMPLES)]


def components(runs: Mapping[str, Run]) -> list[Component]:
    """Return the code of each component that the runs' settings name, in the order of the knobs."""
    found = []
    chosen = {name: flat(run.experiment) for name, run in runs.items()}
    for knob, param in knobs():
        if not (isinstance(param, ChoiceKnob) and isinstance(param.options, Registry)) or knob in MACHINES:
            continue
        users: dict[str, list[str]] = {}
        for run, values in chosen.items():
            users.setdefault(values[knob], []).append(run)
        for name, used_by in users.items():
            source = f"# {name.message}" if isinstance(name, Absent) else _source(param.options.get(name))
            found.append(Component(param.label, name, tuple(used_by), source))
    return found


def _source(component: Any) -> str:
    try:
        return inspect.getsource(component).rstrip()
    except (OSError, TypeError):  # one that was typed into a console has no file
        return "# The code of this one is in no file that could be read."
