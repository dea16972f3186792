"""How little a model expected each character of a text: shades for the page, and words for whoever points at one."""

from __future__ import annotations

from collections.abc import Sequence

from tlab_core.generation import Choice
from tlab_dash.readable import isolated, readable

# A character that was likelier than all others together is expected; one that came against odds of 19 to 1 surprises.
SHADES = (0.5, 0.2, 0.05)
NO_BREAK = "\N{NO-BREAK SPACE}"
NAMED = {" ": "a space", "\n": "a new line", "\t": "a tab"}


def shade(probability: float) -> int:
    """Return 0 for a character the model expected, up to 3 for one that it held hardly possible.

    >>> [shade(probability) for probability in (0.9, 0.3, 0.1, 0.001)]
    [0, 1, 2, 3]
    """
    return sum(probability < limit for limit in SHADES)


def shades(choices: Sequence[Choice[str]]) -> str:
    """Return the shade of each character, one digit each."""
    return "".join(str(shade(choice.probability)) for choice in choices)


def words(choice: Choice[str]) -> str:
    """Return how likely a character was, and which others could have stood in its place.

    >>> words(Choice("e", 0.62, (("e", 0.62), (" ", 0.2), ("a", 0.004)))).replace(NO_BREAK, " ")
    '“e” 62 %: also a space 20 %, “a” 0.4 %'
    """
    others = [f"{named(other)} {percent(p)}" for other, p in choice.alternatives if other != choice.token]
    said = f"{named(choice.token)} {percent(choice.probability)}"
    return f"{said}: also {', '.join(others)}" if others else said


def named(character: str) -> str:
    """Return a character in quotes, or its name where there is nothing to see between them.

    >>> named("e"), named("\\u202e")
    ('“e”', 'U+202E')
    """
    if character not in NAMED and readable(character) != character:
        return f"U+{ord(character):04X}"
    return NAMED.get(character) or f"“{isolated(character)}”"


def percent(probability: float) -> str:
    """Return a probability for readers; what is neither sure nor impossible never reads as if it were.

    >>> [percent(probability).replace(NO_BREAK, " ") for probability in (0.9999, 0.616, 0.034, 0.0041, 0.0000001)]
    ['over 99 %', '62 %', '3 %', '0.4 %', 'under 0.1 %']
    """
    if probability > 0.99:
        said = "100" if probability == 1 else "over 99"
    elif probability < 0.001:
        said = "0" if probability == 0 else "under 0.1"
    else:
        said = f"{100 * probability:.{0 if probability >= 0.0095 else 1}f}"
    return f"{said}{NO_BREAK}%"


def bars(choice: Choice[str]) -> list[dict]:
    """Return the likeliest characters and, where it is none of them, the written one: name, share and percent of each."""
    listed = list(choice.alternatives)
    if all(character != choice.token for character, _ in listed):
        listed.append((choice.token, choice.probability))
    return [
        {"name": named(character), "share": probability, "percent": percent(probability),
         "written": character == choice.token}
        for character, probability in listed
    ]
