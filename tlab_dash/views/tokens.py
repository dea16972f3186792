"""The probe text's characters as names on an axis."""

from __future__ import annotations

from collections.abc import Sequence

from tlab_dash.readable import readable

SHOWN_AS = {" ": "␣", "\n": "⏎", "\t": "⇥"}
MOST_CHARACTERS = 16  # an axis with more positions has no room to name each
LONGEST_WORD = 8  # longer ones are cut

Ticks = list[tuple[float, str]]


def visible(token: str) -> str:
    """Return a character as a reader can see it.

    >>> visible(" "), visible("e"), visible("\\u202e")
    ('␣', 'e', '�')
    """
    return SHOWN_AS.get(token) or readable(token)


def axis_ticks(tokens: Sequence[str]) -> tuple[Ticks, bool]:
    """Return ([(position, name)], whether the names are words).

    A short text names every character. A long one names its words, each in its middle, as long as it has words; else
    every so-many-th character.

    >>> axis_ticks("ab c")
    ([(0, 'a'), (1, 'b'), (2, '␣'), (3, 'c')], False)
    """
    if len(tokens) <= MOST_CHARACTERS:
        return [(i, visible(token)) for i, token in enumerate(tokens)], False
    spans = _words(tokens)
    if spans and max(end - start for start, end in spans) <= 2 * LONGEST_WORD:
        return _spread([((start + end - 1) / 2, _cut(tokens[start:end])) for start, end in spans], len(tokens)), True
    every = -(-len(tokens) // MOST_CHARACTERS)
    return [(i, visible(tokens[i])) for i in range(0, len(tokens), every)], False


def _words(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Start and end (beyond the last) of each stretch without blanks."""
    spans, start = [], None
    for i, token in enumerate([*tokens, " "]):
        if token.isspace() and start is not None:
            spans.append((start, i))
            start = None
        elif not token.isspace() and start is None:
            start = i
    return spans


def _cut(word: Sequence[str]) -> str:
    whole = readable("".join(word))
    return whole if len(whole) <= LONGEST_WORD else whole[: LONGEST_WORD - 1] + "…"


def _spread(ticks: Ticks, count: int) -> Ticks:
    """Drop names that would lie on the one before: two need a sixteenth of the axis between them."""
    kept: Ticks = []
    for position, name in ticks:
        if not kept or position - kept[-1][0] >= count / 16:
            kept.append((position, name))
    return kept
