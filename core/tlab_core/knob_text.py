"""Knobs as people type them: `num_layers=8` on a command line, `a.num_layers=8` in a link."""

from collections.abc import Iterator, Mapping
from typing import Any

import param

from tlab_core.experiment import PARTS, Experiment
from tlab_core.knobs import BooleanKnob, ChoiceKnob, KnobError, TextKnob
from tlab_core.registry import did_you_mean
from tlab_core.runs.settings_file import SWITCHES, number_of

SHORT = {"architecture": "a", "training": "t"}  # what a link calls the parts
BITS = {"1": True, "0": False}  # what a switch may also be called


def full_names() -> list[str]:
    """Return every knob by its full name, such as "architecture.num_layers" or "corpus"."""
    return [name for name, _ in knobs()]


def knobs() -> Iterator[tuple[str, param.Parameter]]:
    """Yield (full name, knob) in the order they are written down."""
    for name in Experiment.knobs():
        if name in PARTS:
            yield from ((f"{name}.{inner}", PARTS[name].param[inner]) for inner in PARTS[name].knobs())
        else:
            yield name, Experiment.param[name]


def full_name(name: str) -> str:
    """Return the full name of a knob given in full, by a part's letter, or by its own name where only one part has it.

    >>> full_name("num_layers"), full_name("t.seed"), full_name("corpus")
    ('architecture.num_layers', 'training.seed', 'corpus')

    Raises KnobError for a knob that doesn't exist and for one that two parts have.
    """
    known = full_names()
    part, _, inner = name.rpartition(".")
    wanted = f"{next((long for long, short in SHORT.items() if short == part), part)}.{inner}".lstrip(".")
    if wanted in known:
        return wanted
    fitting = [full for full in known if full.rpartition(".")[2] == name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise KnobError(f"there is more than one knob {name!r}: write {' or '.join(fitting)}.")
    own = {full.rpartition(".")[2]: full for full in known}
    raise KnobError(f"there is no knob {_shown(name)}.{did_you_mean(inner, own) or did_you_mean(name, known)}")


def knob_named(full: str) -> param.Parameter:
    """Return the knob of a full name."""
    return dict(knobs())[full]


def value_of(full: str, text: str) -> Any:
    """Return the value that `text` means to a knob; KnobError, in the knob's own words, when it can't take it.

    >>> value_of("training.grad_clip", "none"), value_of("architecture.use_bias", "off"), value_of("corpus", "1")
    (None, False, '1')
    """
    knob, folded = knob_named(full), text.casefold().strip()
    if isinstance(knob, TextKnob):
        return text
    if isinstance(knob, ChoiceKnob):
        return knob.canonical(text.strip())
    value = (SWITCHES | BITS).get(folded, text) if isinstance(knob, BooleanKnob) else _plain(folded, text)
    if not (value is None and knob.allow_None):
        knob.check(value)
    return value


def _plain(folded: str, text: str) -> Any:
    """Return the number that is written there, None, or the text itself."""
    if folded in ("none", "null"):
        return None
    found = number_of(folded)
    return found if found != folded or folded == "auto" else text


def text_of(value: Any) -> str:
    """Return a knob's value as `value_of` reads it."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def flat(experiment: Experiment) -> dict[str, Any]:
    """Return every knob's value by full name."""
    values = experiment.to_dict()
    return {full: values[part][inner] if part else values[inner]
            for full in full_names() for part, _, inner in (full.rpartition("."),)}  # fmt: skip


def with_values(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """Return a copy with knobs, given by full name, set otherwise. Raises KnobError for a value that one can't take."""
    nested = experiment.to_dict()
    for full, value in values.items():
        part, _, inner = full.rpartition(".")
        (nested[part] if part else nested)[inner] = value
    return Experiment.from_dict(nested)


def _shown(name: str) -> str:
    return repr(name) if len(name) <= 60 else repr(name[:60]) + "..."
