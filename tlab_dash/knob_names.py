"""Knobs by their full name, such as "architecture.num_layers": reading and setting them, and which ones differ."""

from __future__ import annotations

from tlab_core.experiment import Experiment

# Filled in from the corpus when a run is built, so not what anyone turned.
DECIDED_BY_CORPUS = frozenset({"architecture.vocab_size", "prompt"})


def locate(experiment: Experiment, knob: str) -> str:
    """Return the full name of a knob: "architecture.num_layers" for "num_layers". A seed is the architecture's.

    Raises KeyError for a knob that no part has.
    """
    if "." in knob or knob in experiment.knobs():
        return knob
    for part in ("architecture", "training"):
        if knob in getattr(experiment, part).knobs():
            return f"{part}.{knob}"
    raise KeyError(f"no part of an experiment has a knob {knob!r}")


def knob_value(experiment: Experiment, knob: str):
    """Return the value of a knob given by its full name."""
    for name in knob.split("."):
        experiment = getattr(experiment, name)
    return experiment


def with_knobs(experiment: Experiment, knobs: dict) -> Experiment:
    """Return a copy of `experiment` with knobs, given by full name, set otherwise. Raises KnobError for a bad value."""
    values = experiment.to_dict()
    for knob, value in knobs.items():
        *part, name = knob.split(".")
        (values[part[0]] if part else values)[name] = value
    return type(experiment).from_dict(values)


def differences(before: Experiment, after: Experiment) -> dict:
    """Return {full name: (value before, value after)} of the knobs that differ, without what the corpus decides."""
    found = {}
    for name in before.knobs():
        if hasattr(getattr(before, name), "knobs"):
            mine, other = getattr(before, name), getattr(after, name)
            pairs = {f"{name}.{knob}": (getattr(mine, knob), getattr(other, knob)) for knob in mine.knobs()}
        else:
            pairs = {name: (getattr(before, name), getattr(after, name))}
        found |= {knob: pair for knob, pair in pairs.items() if pair[0] != pair[1]}
    return {knob: pair for knob, pair in found.items() if knob not in DECIDED_BY_CORPUS}
