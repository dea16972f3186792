"""What a lesson is: a question, a guess, runs that differ in a knob, numbers read from them, and what these say.

A lesson is one file that registers one `Lesson`. What counts as seen is fixed in that file before anything is trained:
the outcome that the paper would lead one to expect, and the thresholds that tell outcomes apart.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tlab_core.expected import Made
from tlab_core.experiment import Experiment
from tlab_core.knob_text import with_values
from tlab_core.registry import Registry, UnknownNameError, did_you_mean
from tlab_core.run import Run

SEEDS = (0, 1, 2)  # chosen in advance; no lesson picks its own
ENOUGH = 2 / 3  # the share of seeds that has to show an effect for it to count as seen: 2 of 3, 4 of 5

Numbers = Mapping[str, float]  # what was measured with one seed, by the names in Lesson.numbers


@dataclass(frozen=True)
class Prediction:
    """The guess that is asked for before anything runs; `options` maps each answer's key to its words."""

    question: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class LessonRun:
    """One run of a lesson: what people call it, and the knobs, by full name, in which it differs from the base."""

    label: str
    knobs: Mapping[str, Any]


@dataclass(frozen=True)
class Repair:
    """One knob that mends a run, for whoever takes the lesson to find.

    sentence  the invitation in words
    run       the key of the run to be mended
    by        the key of the run that differs from it in that knob alone
    compares  pairs of names in `Lesson.numbers`: what it was, and what the knob made of it
    hides     names of those numbers that would give it away: the page says them when the knob was turned
    """

    sentence: str
    run: str
    by: str
    compares: tuple[tuple[str, str], ...]
    hides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fresh:
    """What there is to be read from a run before its first step: its name, how to read it, the number and its format."""

    label: str
    meaning: str
    measure: Callable[[Run], float]
    style: str = ".2f"


@dataclass(frozen=True)
class Paper:
    """Who measured the effect first, where to read it, and what they found, in `found`; its numbers are the paper's own.

    authors  their last names, as "A", "A & B" or "A, B & C"; "et al." in place of those who are not named
    """

    authors: str
    year: int
    title: str
    url: str
    section: str
    found: str

    @property
    def cited(self) -> str:
        """Return the paper as one cites it: one name or two, and "et al." where there are more.

        >>> [Paper(names, 2020, "", "", "", "").cited for names in ("A", "A & B", "A, B & C", "A, B et al.")]
        ['A 2020', 'A & B 2020', 'A et al. 2020', 'A et al. 2020']
        """
        first, *others = re.split(r", | & | (?=et al\.)", self.authors)
        several = len(others) > 1 or others == ["et al."]
        return f"{first} et al. {self.year}" if several else f"{self.authors} {self.year}"


@dataclass(frozen=True)
class Number:
    """What a measured number is in words, and how it is written: `style` is a format such as ".2f" or ".0%"."""

    label: str
    style: str = ".2f"

    def text(self, value: float) -> str:
        """Return a value as it is written; what has no value says so.

        >>> Number("loss").text(1.234), Number("share", ".0%").text(0.5), Number("loss").text(float("inf"))
        ('1.23', '50%', 'infinite')
        """
        if math.isnan(value):
            return "none"
        return format(value, self.style) if math.isfinite(value) else "infinite"


@dataclass(frozen=True)
class Verdict:
    """What the seeds say.

    outcomes  the prediction's key that each seed's numbers point to
    outcome   the key that more seeds point to than to any other; None where no key leads
    seen      whether the share of seeds that shows what the paper found is at least `ENOUGH`
    agree, of how many seeds show it, and how many there were
    sentence  both numbers, the seeds, and seen or not, in plain words
    mended    what the lesson's repair changed, in plain words; "" where there is none
    """

    outcome: str | None
    outcomes: tuple[str, ...]
    seen: bool
    agree: int
    of: int
    sentence: str
    mended: str = ""


@dataclass(frozen=True)
class Lesson:
    """One question with everything that is needed to answer it by training small models.

    name        what `tlab lesson` takes
    title       the question that a person asks
    look        what to look at on the map first; ends in a question
    prediction  the guess
    expected    the key of the answer that the paper's finding is
    base        the experiment that all runs start from
    runs        by key, in the order of the race; the first two race on the page
    steps       how many steps each run makes
    views       which plots to watch, by the names that the dashboard gives them; "text" is what the model writes
    numbers     what `measure` returns, by name: the words and the format of each
    headline    the number, one of `numbers`, that a table shows for the lesson
    measure     (runs by key, all of one seed) -> numbers by name; reads, and never trains
    judge       (numbers of each seed) -> Verdict
    take_away   one sentence to keep
    effect      the paper's finding in a few words
    paper       where it was found
    seconds     what one seed takes on two cores, measured
    repair      the knob that mends a run, where there is one
    fresh       what to read from the runs before they train, where the lesson is about it
    examples    (runs by key, all of one seed) -> what they write, by a few words on how; reads, and never trains
    """

    name: str
    title: str
    look: str
    prediction: Prediction
    expected: str
    base: Experiment
    runs: Mapping[str, LessonRun]
    steps: int
    views: tuple[str, ...]
    numbers: Mapping[str, Number]
    headline: str
    measure: Callable[[Mapping[str, Run]], dict[str, float]]
    judge: Callable[[Sequence[Numbers]], Verdict]
    take_away: str
    effect: str
    paper: Paper
    seconds: float
    repair: Repair | None = None
    fresh: Fresh | None = None
    examples: Callable[[Mapping[str, Run]], dict[str, str]] | None = None

    def __post_init__(self) -> None:
        self._known("expected", self.expected, self.prediction.options)
        self._known("headline", self.headline, self.numbers)
        if self.repair is not None:
            self._known("repair.run", self.repair.run, self.runs)
            self._known("repair.by", self.repair.by, self.runs)
            for number in (*self.repair.hides, *(name for pair in self.repair.compares for name in pair)):
                self._known("repair", number, self.numbers)
            if len(turned := self._turned()) != 1:
                knobs = ", ".join(knob for knob, _ in turned) or "no knob"
                raise ValueError(f"the lesson {self.name!r}: the runs {self.repair.run!r} and {self.repair.by!r} differ in "
                                 f"{knobs}; a repair turns exactly one.")

    def verdict(self, measured: Sequence[Numbers]) -> Verdict:
        """Return what the numbers of one seed or more say. Raises ValueError for none, or for numbers that are missing."""
        if not measured:
            raise ValueError(f"the lesson {self.name!r} can't be judged without numbers: run it with at least one seed.")
        for numbers in measured:
            if set(numbers) != set(self.numbers):
                wrong = sorted(set(numbers) ^ set(self.numbers))
                raise ValueError(f"the lesson {self.name!r} measures {', '.join(self.numbers)}; these are missing or "
                                 f"unknown: {', '.join(wrong)}.")
        verdict = self.judge(measured)
        others = Counter(verdict.outcomes)
        del others[self.expected]
        if len(measured) == 1 or not others:
            return verdict
        said = " ".join(f"With {count} of {verdict.of} seeds the runs say: {self.prediction.options[key]}."
                        for key, count in others.most_common())
        return replace(verdict, sentence=f"{verdict.sentence} {said}")

    def experiment(self, run: str, seed: int = 0) -> Experiment:
        """Return the experiment of a run with a seed, the same for the weights' dice and for the batches."""
        self._known("run", run, self.runs)
        seeds = {"architecture.seed": seed, "training.seed": seed}
        return with_values(self.base, {**self.runs[run].knobs, **seeds})

    @property
    def mending(self) -> tuple[str, Any]:
        """Return the full name of the knob that the repair turns, and its new value. Raises ValueError without a repair."""
        if self.repair is None:
            raise ValueError(f"the lesson {self.name!r} has no repair.")
        return self._turned()[0]

    def _turned(self) -> list[tuple[str, Any]]:
        broken, mended = (self.runs[key].knobs for key in (self.repair.run, self.repair.by))
        return [(knob, mended.get(knob)) for knob in {**broken, **mended} if mended.get(knob) != broken.get(knob)]

    def _known(self, what: str, key: str, allowed: Mapping[str, Any]) -> None:
        if key not in allowed:
            raise UnknownNameError(f"the lesson {self.name!r}: {what} = {key!r} is not among {', '.join(allowed)}."
                                   f"{did_you_mean(key, allowed)}")


LESSONS = Registry("lesson", Made(Lesson, "`add(Lesson(...))` registers one."))  # in the order in which one would take them


def add(lesson: Lesson) -> Lesson:
    """File a lesson under its name, and return it."""
    return LESSONS.register(lesson.name)(lesson)


def judged(measured: Sequence[Numbers], outcome: Callable[[Numbers], str], expected: str, said: str,
           mended: str = "") -> Verdict:
    """Return the verdict where `outcome` tells the prediction's key that one seed's numbers point to.

    said    a sentence or two with the numbers; what is added is the same whether an effect was seen or not
    mended  a sentence with what the lesson's repair changed
    """
    outcomes = tuple(outcome(numbers) for numbers in measured)
    agree, of = outcomes.count(expected), len(outcomes)
    seen = agree >= ENOUGH * of
    ranked = Counter(outcomes).most_common(2)
    leads = len(ranked) == 1 or ranked[0][1] > ranked[1][1]
    means = f" Each number is the mean of {of} seeds." if of > 1 else ""
    seeds = f"{agree} of {of} seeds agree{'s' if agree == 1 else ''} with the paper: {'seen' if seen else 'not seen'}"
    one = f"One seed was run, and it {'agrees' if agree else 'does not agree'} with the paper"
    sentence = f"{said}{means} {seeds if of > 1 else one}."
    return Verdict(ranked[0][0] if leads else None, outcomes, seen, agree, of, sentence, mended)


def lower(first: float, second: float, names: tuple[str, str], margin: float) -> str:
    """Return which of two names has the lower number, or "same" where they differ by `margin` at most.

    A run that broke has an infinite loss, and has the higher one. Two that broke are the same.

    >>> lower(1.0, 1.2, ("pre", "post"), 0.05), lower(1.0, 1.02, ("pre", "post"), 0.05)
    ('pre', 'same')
    """
    if first == second or abs(first - second) <= margin:
        return "same"
    return names[0] if first < second else names[1]


def mean(measured: Sequence[Numbers], number: str) -> float:
    """Return the mean over seeds of one number."""
    return math.fsum(numbers[number] for numbers in measured) / len(measured)
