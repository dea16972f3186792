"""Text that somebody brought, as it can stand on the page: what can't be seen has a sign, and nothing is turned around."""

from __future__ import annotations

import unicodedata

UNSEEN = "�"
JOINERS = "\u200c\u200d"  # which belong to the letters around them
BLANKS = ("Zs",)  # Unicode's kinds of what can't be seen and does no harm
RIGHT_TO_LEFT = ("R", "AL")
ISOLATE, END = "\u2068", "\u2069"  # around what has a direction of its own


def readable(text: str) -> str:
    """Return a text with a sign in place of each character that can't be seen, of which some turn all that follows around.

    Blanks, tabs and line ends stay, as do the joiners of letters; a text keeps its length.

    >>> readable("a\\u202eb\\x07 c")
    'a�b␇ c'
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def _seen(character: str) -> str:
    if character.isprintable() or character in "\n\t" or character in JOINERS or unicodedata.category(character) in BLANKS:
        return character
    return chr(0x2400 + ord(character)) if ord(character) < 0x20 else UNSEEN


def isolated(name: str) -> str:
    """Return a name as it can stand in a sentence: one that is written from right to left must not turn the rest around.

    >>> isolated("stories"), len(isolated("\\u05e9\\u05dc\\u05d5\\u05dd"))
    ('stories', 6)
    """
    name = readable(name)
    if any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in name):
        return f"{ISOLATE}{name}{END}"
    return name
