"""Synthetic tasks: lines whose last part can be worked out from what stands before it.

Lengths and periods are random, so that counting characters from a line's beginning solves none of them.
"""

import string
from collections.abc import Callable
from functools import cache

import numpy as np

from tlab_core.corpora.base import CORPORA, Corpus
from tlab_core.corpora.dice import Dice

SIZE = 300_000  # characters
LETTERS = string.ascii_lowercase
PAIRS = {"(": ")", "[": "]", "{": "}"}
MODULUS = 97
SHUFFLES = 3  # how often each sum of modular addition comes up, each time between other sums
HELD_OUT = 0.1  # the share of the text whose sums are not in the rest; the default validation share


@CORPORA.register("induction")
@cache
def induction() -> Corpus:
    """Random letters that begin again after a random number of steps: look back for the letter, copy what followed."""
    return Corpus("induction", _lines(_induction_line, seed=2), induction.__doc__, "qgwkzqgw",
                  find_answers=follows_seen)


@CORPORA.register("copy")
@cache
def copy() -> Corpus:
    """Random letters, then the same letters once more behind a '>'."""
    return Corpus("copy", _lines(_copy_line, seed=3), copy.__doc__, "hello>", answer_marker=">")


@CORPORA.register("reverse")
@cache
def reverse() -> Corpus:
    """Random letters, then the same letters backwards behind a '>'."""
    return Corpus("reverse", _lines(_reverse_line, seed=4), reverse.__doc__, "hello>", answer_marker=">")


@CORPORA.register("addition")
@cache
def addition() -> Corpus:
    """Sums of numbers with one to three digits, such as 58+7=65: the first digit depends on a carry still to come."""
    return Corpus("addition", _lines(_addition_line, seed=5), addition.__doc__, "12+34=", answer_marker="=")


@CORPORA.register("modular-addition")
@cache
def modular_addition() -> Corpus:
    """Sums on a clock with 97 hours, such as 60+50=13; the last tenth holds only sums the rest never shows."""
    return Corpus("modular-addition", _modular_sums(Dice(6)), modular_addition.__doc__, "60+50=", answer_marker="=")


@CORPORA.register("brackets")
@cache
def brackets() -> Corpus:
    """Brackets of three kinds, some closed again; behind a '>' what closes the rest: last opened, first closed."""
    return Corpus("brackets", _lines(_brackets_line, seed=7), brackets.__doc__, "([]{>", answer_marker=">")


def follows_seen(text: str) -> np.ndarray:
    """Return bool (characters,): True where the character before was already seen earlier in its line.

    In a line of `induction` no letter comes twice within a period, so what follows a letter that was seen before is what
    followed it then. The first repeated letter itself can't be foreseen, and is no answer.

    >>> follows_seen("abcab\\n").astype(int)
    array([0, 0, 0, 0, 1, 0])
    """
    mask = np.zeros(len(text), bool)
    seen: set[str] = set()
    repeats = False
    for place, character in enumerate(text):
        mask[place] = repeats and character != "\n"
        if character == "\n":
            seen.clear()
        repeats = character in seen
        seen.add(character)
    return mask


def _lines(line: Callable[[Dice], str], seed: int) -> str:
    dice, lines, size = Dice(seed), [], 0
    while size < SIZE:
        lines.append(line(dice) + "\n")
        size += len(lines[-1])
    return "".join(lines)


def _induction_line(dice: Dice) -> str:
    period = dice.between(3, 12)
    block = "".join(dice.sample(LETTERS, period))
    length = period + dice.between(3, 2 * period)
    return (block * 3)[:length]


def _word(dice: Dice) -> str:
    return "".join(dice.pick(LETTERS) for _ in range(dice.between(2, 12)))


def _copy_line(dice: Dice) -> str:
    word = _word(dice)
    return f"{word}>{word}"


def _reverse_line(dice: Dice) -> str:
    word = _word(dice)
    return f"{word}>{word[::-1]}"


def _addition_line(dice: Dice) -> str:
    first, second = (dice.below(10 ** dice.between(1, 3)) for _ in range(2))
    return f"{first}+{second}={first + second}"


def _brackets_line(dice: Dice) -> str:
    written, still_open = [], []
    # As many openings as closings would mostly end at depth 1, so openings are a little more likely.
    for _ in range(dice.between(2, 16)):
        if still_open and dice.below(5) < 2:
            written.append(PAIRS[still_open.pop()])
        else:
            still_open.append(dice.pick("([{"))
            written.append(still_open[-1])
    if not still_open:
        still_open.append(dice.pick("([{"))
        written.append(still_open[-1])
    return f"{''.join(written)}>{''.join(PAIRS[bracket] for bracket in reversed(still_open))}"


def _modular_sums(dice: Dice) -> str:
    """Return every sum of two numbers below the modulus, `SHUFFLES` times; those held out stand at the end.

    Power et al. 2022, "Grokking: Generalization beyond overfitting on small algorithmic datasets".
    """
    sums = [f"{a}+{b}={(a + b) % MODULUS}\n" for a in range(MODULUS) for b in range(MODULUS)]
    dice.shuffle(sums)
    ends = np.cumsum([len(line) for line in sums])
    cut = int(np.searchsorted(ends, (1 - HELD_OUT) * ends[-1]))
    lines = []
    for part in (sums[:cut], sums[cut:]):
        for _ in range(SHUFFLES):
            lines += dice.shuffle(part)
    return "".join(lines)
