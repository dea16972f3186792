"""A comparison as a part of the page's address, so that a reload or a link shows the same.

    compare=runs:slow 0/slow 1;against:tokens;measure:validation;view:signal;left:slow 1;at:3

Only what was chosen is in it. No run's name has a slash, a colon or a semicolon in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tlab_core.registry import did_you_mean
from tlab_core.runs.files import shortened
from tlab_dash.compare import AGAINST, MEASURES
from tlab_dash.pair import recorded_views

FIELD = "compare"  # of the address
LONGEST = 4000  # characters; some servers and programs cut an address at 8,000
LARGEST = 10**9  # of a number
NUMBERS = {"layer": "layer", "head": "head", "at": "stop of the slider"}
SIDES = {"left": "run on the left", "right": "run on the right"}
SEEDS = {"apart": False, "joined": True}


def written(runs: Iterable[str], choice: Mapping[str, Any], chosen: Iterable[str]) -> str | None:
    """Return the comparison of `runs` with those of the choices that were `chosen`; None when that is too long.

    >>> written(["slow 0", "fast 0"], {"against": "tokens", "view": "signal", "at": None}, {"against"})
    'runs:slow 0/fast 0;against:tokens'
    """
    fields = {"runs": "/".join(runs)} | {name: _text(name, choice[name]) for name in choice if name in set(chosen)}
    text = ";".join(f"{name}:{value}" for name, value in fields.items())
    return text if len(text) <= LONGEST else None


def read(text: str) -> tuple[list[str], dict[str, Any], list[str]]:
    """Return the runs and the choices that an address asks for, and what is wrong with it, a sentence each.

    What can't be used is left out. Whether there is such a run, layer or head is not known here.
    """
    if len(text) > LONGEST:
        return [], {}, [f"The address says more of a comparison than is read: at most {LONGEST:,} characters."]
    runs, choice, wrong = [], {}, []
    for field in filter(None, text.split(";")):
        name, _, value = field.partition(":")
        if name == "runs":
            runs = list(dict.fromkeys(filter(None, value.split("/"))))
        elif name in choice:
            wrong.append(f"The address says twice what “{name}” is; the first is used.")
        else:
            try:
                choice[name] = _value(name, value)
            except ValueError as error:
                wrong.append(str(error))
    return runs, choice, wrong


def absent(asked: Mapping[str, Any], shown: Mapping[str, Any] | None) -> list[str]:
    """Return a sentence for each of the choices asked for that two runs side by side turn out not to have."""
    words = SIDES | NUMBERS
    missing = [name for name in words if name in asked and (shown is None or shown[name] != asked[name])]
    return [f"The address asks for {words[name]} {shortened(asked[name])}, which is not there." for name in missing]


def _text(name: str, value: Any) -> str:
    return next(word for word, joined in SEEDS.items() if joined == value) if name == "seeds" else str(value)


def _value(name: str, text: str) -> Any:
    options = {"measure": MEASURES, "against": AGAINST, "view": recorded_views(), "seeds": SEEDS}
    if name in options:
        if text not in options[name]:
            raise ValueError(f"The address asks for {name} {shortened(text)}; it can be {', '.join(options[name])}."
                             f"{did_you_mean(text[:60], options[name])}")
        return SEEDS[text] if name == "seeds" else text
    if name in SIDES:
        return text
    if name in NUMBERS:
        if not (text.isascii() and text.isdecimal() and int(text[:12]) < LARGEST):
            raise ValueError(f"The address asks for {NUMBERS[name]} {shortened(text)}, which is no whole number from 0 on.")
        return int(text)
    known = ["runs", *options, *SIDES, *NUMBERS]
    raise ValueError(f"The address speaks of {shortened(name)}, which is no part of a comparison."
                     f"{did_you_mean(name[:60], known)}")
