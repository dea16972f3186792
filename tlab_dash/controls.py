"""The knobs: one for each parameter of an experiment, made from what the parameter says of itself."""

from __future__ import annotations

import math
import re

import numpy as np
import panel as pn
import param

from tlab_core.absent import Absent
from tlab_core.corpora import CORPORA, corpus_title
from tlab_core.corpora.own import is_own
from tlab_core.cost import Estimate, available_memory, estimate
from tlab_core.experiment import Experiment
from tlab_core.knobs import BooleanKnob, ChoiceKnob, CountOrAutoKnob, IntegerKnob, NumberKnob
from tlab_core.limits import in_bytes
from tlab_core.settings import Problem
from tlab_dash.component import STATIC, Component
from tlab_dash.knob_names import differences, knob_value, with_knobs
from tlab_dash.own_text import OwnText
from tlab_dash.session import Session
from tlab_dash.step_time import StepTime
from tlab_dash.text_names import text_name

# What stands on the page by name: open groups, then folded ones; every knob that is named nowhere joins the last.
GROUPS = {
    "Wiring": (
        "architecture.residual_type", "architecture.norm_type", "architecture.activation_type",
        "architecture.pos_encoding_type",
    ),
    "Size": (
        "architecture.num_layers", "architecture.hidden_dim", "architecture.num_heads", "architecture.ff_dim",
        "training.seq_len",
    ),
    "Training": (
        "training.optimizer", "training.learning_rate", "training.batch_size", "training.warmup_steps", "training.schedule",
        "training.weight_decay", "training.grad_clip",
    ),
    "Data": ("corpus", "architecture.seed"),
}
FOLDED = {
    "Regularisation": ("training.dropout", "training.label_smoothing", "training.z_loss"),
    "Optimizer": ("training.beta1", "training.beta2", "training.gradient_accumulation_steps"),
}
REST = "More"
# The corpus decides the vocabulary, the prompt has a field of its own, the probe text is the corpus's.
NOT_KNOBS = ("architecture", "training", "architecture.vocab_size", "prompt", "probe_text")
NONE_MEANS = {"training.grad_clip": "off"}
ROUND_NUMBERS = (1, 1.5, 2, 3, 5, 7)  # the stops within each power of ten
MOST_STOPS = 64  # more and a slider of 220 pixels skips some
PATIENCE = 3.0  # seconds that a step may take before the page warns of it
FALLBACK_BOUNDS = {"training.min_learning_rate": (1e-6, 1e-1)}


class Knobs(Component):
    """The column of knobs of one session, with what does not fit written beside the knob it is about."""

    groups = param.List(default=[], doc="What each knob is called, offers and explains.")
    values = param.Dict(default={}, doc="Value by full name.")
    unheeded = param.Dict(default={}, doc="Why it changes nothing as the others stand, by the full name of a knob.")
    problems = param.List(default=[], doc="knob, message, and the words on the button that fixes it.")
    summary = param.String(default="", doc="What the draft costs: parameters, memory, time of a step.")
    warning = param.String(default="", doc="Why it would not fit; empty where it would.")
    texts = param.List(default=[], doc="The texts of one's own that can be learned: value, label and title.")

    own_text = pn.custom.Child(doc="The button that takes a text of one's own.")

    _esm = STATIC / "knobs.js"

    def __init__(self, session: Session, **params):
        groups = knob_groups(session.draft)
        self._own = OwnText(session, self.refresh, problem_in_words)
        super().__init__(groups=groups, own_text=self._own, sizing_mode="stretch_both", **params)
        self._session = session
        self._step_time = StepTime()
        self._choices = [knob["name"] for group in groups for knob in group["knobs"] if knob["kind"] == "choice"]
        self._offered = self._what_is_offered()
        self._weighed: tuple[Experiment, dict] | None = None  # a draft, and what a slider that is still held would change
        self.refresh()

    def refresh(self) -> None:
        """Show what the session's draft, problems and run are now."""
        session = self._session
        if (offered := self._what_is_offered()) != self._offered:  # a component was registered meanwhile
            self._offered, self.groups = offered, knob_groups(session.draft)
        names = [knob["name"] for group in self.groups for knob in group["knobs"]]
        self._own.refresh()
        self.param.update(
            texts=[{"value": name, "label": text_name(name), "title": corpus_title(name)} for name in self._own.offered],
            values={name: knob_value(session.draft, name) for name in names},
            unheeded={f"{part}.{name}": f"{why[:1].upper()}{why[1:]}." for part in ("architecture", "training")
                      for name, why in getattr(session.draft, part).unheeded.items()},
            problems=[self._describe(i, problem) for i, problem in enumerate(session.problems)],
            **self._cost(),
        )

    def _what_is_offered(self) -> list[list[str]]:
        return [describe(self._session.draft, name)["options"] for name in self._choices]

    def _cost(self) -> dict[str, str]:
        draft, run = self._session.draft, self._session.run
        if self._weighed is not None and self._weighed[0] is draft:
            draft = with_knobs(draft, self._weighed[1])
        held = waiting(self._session)
        if draft.architecture.missing() or draft.training.missing():
            return {"summary": "", "warning": held}  # nobody knows what something costs that is not here
        self._step_time.note(run)
        cost = estimate(draft, self._step_time.known(draft))
        # A run that is there fits, and is counted among what is taken.
        built = run is not None and draft is run.experiment
        beyond = "" if built else warning(cost, available_memory())
        return {"summary": summary(cost, draft, run), "warning": held or beyond}

    def _describe(self, index: int, problem: Problem) -> dict:
        return {
            "index": index,
            "knob": problem.knob,
            "message": in_words(self._session.draft, problem.allowed),
            "fix": fix_label(self._session.draft, problem),
        }

    def on_turn(self, turned: dict) -> None:
        """Turn the knob `turned["knob"]` to `turned["value"]`, if that is something the page offers.

        Anything else did not come from the page. Text is the reason: only a person at the server may name a file on it.
        """
        if self._is_offered(turned):
            self._session.change({turned["knob"]: turned["value"]})
        self._weighed = None
        self.refresh()

    def on_weigh(self, turned: dict) -> None:
        """Show what it would cost to turn the knob `turned["knob"]` to `turned["value"]`, whose slider is still held."""
        if self._is_offered(turned):
            self._weighed = self._session.draft, {turned["knob"]: turned["value"]}
            self.param.update(**self._cost())

    def _is_offered(self, turned: dict) -> bool:
        described = {knob["name"]: knob for group in self.groups for knob in group["knobs"]}
        knob, value = described.get(turned.get("knob")), turned.get("value")
        return knob is not None and (offers(knob, value) or (knob["name"] == "corpus" and value in self._own.offered))

    def on_fix(self, index: int) -> None:
        """Apply the fix of the problem with this index."""
        if 0 <= index < len(self._session.problems):
            self._session.fix(self._session.problems[index])
        self.refresh()


def offers(knob: dict, value) -> bool:
    """Return whether the page offers `value` for a knob, as `describe` gave it.

    >>> offers({"kind": "choice", "options": ["stories"]}, "/etc/passwd")
    False
    """
    if knob["kind"] == "choice":
        return value in knob["options"]
    if knob["kind"] == "slider":
        return any(value == stop["value"] for stop in knob["stops"])
    return isinstance(value, bool if knob["kind"] == "switch" else int)


def summary(cost: Estimate, draft: Experiment, run) -> str:
    """Return what a draft costs in words. Its text decides the vocabulary, so before there is a run on it the count is
    rounded.

    >>> from tlab_core.experiment import default_experiment
    >>> summary(Estimate(812_544, 60_400_000, 0.0449), default_experiment(), None)
    'about 810,000 parameters · about 60 MB · about 45 ms a step'
    """
    known = run is not None and run.experiment.corpus == draft.corpus
    count = f"{cost.parameters:,}" if known else f"about {int(float(f'{cost.parameters:.2g}')):,}"
    return f"{count} parameters · about {in_bytes(cost.memory_bytes)} · about {in_seconds(cost.step_seconds)} a step"


def warning(cost: Estimate, available: int | None) -> str:
    """Return why a run would not fit this machine's memory, or a person's patience; empty where it would."""
    if available is not None and cost.memory_bytes > available:
        return f"It would not fit: {in_bytes(available)} of memory are free here."
    if cost.step_seconds > PATIENCE:
        return f"A hundred steps would take about {round(100 * cost.step_seconds / 60)} minutes."
    return ""


def waiting(session: Session) -> str:
    """Return which turned knobs the run on show does not have, as something about them does not go together."""
    turned = [parameter(session.draft, knob).label for knob in differences(session.experiment, session.draft)
              if knob not in NOT_KNOBS]
    if not session.problems or not turned:
        return ""
    *others, last = turned
    names = f"{', '.join(others)} and {last} wait" if others else f"{last} waits"
    return f"{names}: until what is marked is mended, the model stays as the map shows it. Undo turns back."


def in_seconds(seconds: float) -> str:
    """Return a time with two digits: "0.83 ms", "45 ms", "1.2 s".

    >>> in_seconds(0.00083), in_seconds(0.0449), in_seconds(1.234), in_seconds(250)
    ('0.83 ms', '45 ms', '1.2 s', '250 s')
    """
    value, unit = (seconds, "s") if seconds >= 0.995 else (1000 * seconds, "ms")
    return f"{np.format_float_positional(float(f'{value:.2g}'), trim='-')} {unit}"


def in_words(experiment: Experiment, message: str) -> str:
    """Return a problem as a sentence that calls the knobs by the labels they have on the page.

    >>> from tlab_core.experiment import default_experiment
    >>> in_words(default_experiment(), "it must divide hidden_dim = 128")
    'It must divide Width = 128.'
    """
    for knob in (*all_knobs(experiment), "architecture.vocab_size"):
        name = knob.split(".")[-1]
        message = re.sub(rf"\b(architecture\.|training\.)?{name}\b(?= =)", parameter(experiment, knob).label, message)
    return f"{message[:1].upper()}{message[1:]}".rstrip(".") + "."


def problem_in_words(experiment: Experiment, problem: Problem) -> str:
    """Return a problem and what to do first, where no button does it: "… Set Context to 99 first."."""
    fix = fix_label(experiment, problem)
    return f"{in_words(experiment, problem.allowed)}{f' {fix} first.' if fix else ''}"


def fix_label(experiment: Experiment, problem: Problem) -> str:
    """Return the words on the button that applies a problem's fix: "Set Heads to 4"; empty where there is none."""
    parts = []
    for knob, value in problem.fix.items():
        parts.append(f"{parameter(experiment, knob).label} to {value_label(knob, value)}")
    return f"Set {' and '.join(parts)}" if parts else ""


def knob_groups(experiment: Experiment) -> list[dict]:
    """Return the groups of knobs as the page wants them, each knob with name, label, unit, doc, kind and what it offers."""
    named = GROUPS | FOLDED
    placed = {name for names in named.values() for name in names}
    rest = [name for name in all_knobs(experiment) if name not in placed]
    return [
        {"title": title, "folded": title not in GROUPS, "knobs": [describe(experiment, name) for name in names]}
        for title, names in (named | {REST: rest}).items()
    ]


def all_knobs(experiment: Experiment) -> list[str]:
    """Return the full names of all knobs that the page offers."""
    own = [*experiment.knobs()]
    for part in ("architecture", "training"):
        own += [f"{part}.{knob}" for knob in getattr(experiment, part).knobs()]
    return [name for name in own if name not in NOT_KNOBS]


def parameter(experiment: Experiment, knob: str) -> param.Parameter:
    """Return the parameter object behind a knob given by its full name."""
    *part, name = knob.split(".")
    return (getattr(experiment, part[0]) if part else experiment).param[name]


def describe(experiment: Experiment, knob: str) -> dict:
    """Return one knob as the page wants it."""
    p = parameter(experiment, knob)
    about = {"name": knob, "label": p.label, "unit": getattr(p, "unit", ""), "doc": p.doc}
    if knob == "corpus":
        names = CORPORA.names()
        given = [] if experiment.corpus in names or is_own(experiment.corpus) else [experiment.corpus]
        return about | {"kind": "choice", "options": [*given, *names]}
    if isinstance(p, ChoiceKnob):
        value = knob_value(experiment, knob)  # of a run that was made with something that is not here
        given = [value] if isinstance(value, Absent) and value not in p.options else []
        return about | {"kind": "choice", "options": [*given, *p.names()]}
    if isinstance(p, BooleanKnob):
        return about | {"kind": "switch"}
    if p.name == "seed":
        return about | {"kind": "number", "minimum": p.bounds[0]}
    return about | {
        "kind": "slider", "stops": [{"value": value, "label": value_label(knob, value)} for value in stops(p, knob)],
    }


def value_label(knob: str, value) -> str:
    """Return a knob's value as text, never in exponent notation.

    >>> value_label("training.learning_rate", 1e-05)
    '0.00001'
    >>> value_label("training.grad_clip", None)
    'off'
    """
    if value is None:
        return NONE_MEANS.get(knob, "auto")
    if knob == "corpus":
        return text_name(str(value))
    if value == "":
        return "the usual one"
    if isinstance(value, float):
        return np.format_float_positional(float(f"{value:.6g}"), trim="-")
    return str(value)


def stops(p: IntegerKnob | NumberKnob, knob: str = "") -> list:
    """Return the values that a slider stops at: even steps, or round numbers where the range spans powers of ten."""
    low, high = p.softbounds or FALLBACK_BOUNDS[knob]
    whole = isinstance(p, IntegerKnob)
    if p.step:
        step = p.step
        while (high - low) / step > MOST_STOPS:
            step *= 2
        values = [low + i * step for i in range(int((high - low) / step) + 1)]
    elif whole and high - low <= MOST_STOPS:
        values = list(range(low, high + 1))
    elif not whole and 0.5 <= low < high < 1:  # what matters is how far from one: 0.9, 0.95, 0.99
        values = [round(1 - x, 6) for x in reversed(round_numbers(1 - high, 1 - low))]
    else:
        values = round_numbers(low, high)
        values = sorted({int(value) for value in values if value == int(value)}) if whole else values
    if p.default is not None and p.default not in values and not isinstance(p.default, str):
        values = sorted([*values, p.default])
    first = ["auto"] if isinstance(p, CountOrAutoKnob) else [None] if p.allow_None else []
    return first + values


def round_numbers(low: float, high: float) -> list[float]:
    """Return the round numbers from `low` to `high`, a few in each power of ten; a low of 0 comes first.

    >>> round_numbers(0.1, 1)
    [0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0]
    """
    start = low if low > 0 else high / 100
    exponents = range(math.floor(math.log10(start)), math.ceil(math.log10(high)) + 1)
    values = [float(f"{digit * 10.0**exponent:.6g}") for exponent in exponents for digit in ROUND_NUMBERS]
    inside = [value for value in values if start * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return ([0.0] if low == 0 else []) + inside
