"""Turns text into whole numbers and back: one number for each different character."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np

KIND = "tlab character tokenizer"
SCHEMA = 1
LARGEST_FILE = 16_000_000  # bytes; all of Unicode, escaped, is smaller


class UnknownCharacterError(ValueError):
    """A character that the tokenizer has no number for; `.character` and `.position` say which and where."""

    def __init__(self, character: str, position: int, known: str):
        self.character = character
        self.position = position
        super().__init__(
            f"character {_named(character)} at position {position} is not one of the {len(known)} that this tokenizer "
            f"knows: {_shown(known)}. {_replacement(character, known)}, or make a tokenizer from a text that has it."
        )


class TokenizerFileError(ValueError):
    """A file that can't be read as a tokenizer; the message names the file and what is wrong with it."""


class CharacterTokenizer:
    """Gives each character its place in the alphabet of a text.

    id(c) = the number of characters in the alphabet that come before c in Unicode order.

    >>> tokenizer = CharacterTokenizer.from_text("to be or not to be")
    >>> tokenizer.characters
    ' benort'
    >>> tokenizer.encode("not")
    array([3, 4, 6], dtype=int32)
    >>> tokenizer.decode([1, 2])
    'be'
    """

    def __init__(self, characters: Iterable[str]):
        """Take the alphabet, each character once; ValueError when it is empty or holds anything else."""
        alphabet = sorted(characters)
        if not alphabet:
            raise ValueError("a tokenizer needs at least one character: give it a text that is not empty.")
        for character in alphabet:
            if not isinstance(character, str) or len(character) != 1:
                raise ValueError(f"{character!r} is not a single character.")
            if "\ud800" <= character <= "\udfff":
                raise ValueError(f"{_named(character)} is half of a surrogate pair, not a character.")
        for before, after in pairwise(alphabet):
            if before == after:
                raise ValueError(f"{_named(after)} is there twice: each character must be there once.")
        self.characters = "".join(alphabet)
        self._codes = _code_points(self.characters)
        # From code point to id; the place past the end stands for every higher code point, and -1 for "unknown".
        self._ids = np.full(int(self._codes[-1]) + 2, -1, np.int32)
        self._ids[self._codes] = np.arange(len(alphabet), dtype=np.int32)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the tokenizer that knows exactly the characters of `text`."""
        return cls(set(text))

    @property
    def vocab_size(self) -> int:
        """Return how many characters there are."""
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Return the ids of `text`, int32 (characters,); UnknownCharacterError for the first character without one."""
        codes = _code_points(text)
        ids = self._ids[np.minimum(codes, len(self._ids) - 1)]
        if len(ids) and ids.min() < 0:
            position = int(np.argmax(ids < 0))
            raise UnknownCharacterError(text[position], position, self.characters)
        return ids

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """Return the text of one sequence of ids; ValueError for anything that is not a whole number in range."""
        ids = np.asarray(ids)
        if ids.ndim != 1:
            raise ValueError(f"decode takes one sequence of ids, but this has the shape {ids.shape}: "
                             "decode each row by itself.")
        if ids.size == 0:
            return ""
        if not np.issubdtype(ids.dtype, np.integer):
            raise ValueError(f"ids are whole numbers, but these are {ids.dtype}.")
        outside = (ids < 0) | (ids >= self.vocab_size)
        if outside.any():
            position = int(np.argmax(outside))
            raise ValueError(f"id {ids[position]} at position {position} is outside this tokenizer's "
                             f"0 to {self.vocab_size - 1}: the ids come from another tokenizer or model.")
        return self._codes[ids].tobytes().decode("utf-32-le")

    def unknown(self, text: str) -> list[str]:
        """Return the different characters of `text` that have no id, in the order in which they appear."""
        return [character for character in dict.fromkeys(text) if character not in self.characters]

    def pad(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Lay sequences of different lengths side by side in one batch.

        Returns ids, int32 (B, T), and a mask, bool (B, T), that is True where there is a real character. T is the
        longest length; the ids behind a sequence's end are 0 and mean nothing.
        """
        if len(sequences) == 0:
            raise ValueError("pad needs at least one sequence.")
        lengths = np.array([len(sequence) for sequence in sequences])
        mask = np.arange(lengths.max()) < lengths[:, None]  # (B, T)
        ids = np.zeros(mask.shape, np.int32)
        ids[mask] = np.concatenate([np.asarray(sequence, np.int32) for sequence in sequences])
        return ids, mask

    def save(self, path: str | PathLike) -> None:
        """Write the alphabet as a small JSON file."""
        content = {"kind": KIND, "schema": SCHEMA, "characters": self.characters}
        Path(path).write_text(json.dumps(content, indent=1) + "\n", encoding="ascii")

    @classmethod
    def load(cls, path: str | PathLike) -> Self:
        """Read what `save` wrote; TokenizerFileError when the file holds anything else, OSError when there is none."""

        def refuse(what: str):
            raise TokenizerFileError(f"{path} is not a tokenizer file: {what}. "
                                     "Make one with CharacterTokenizer.from_text(text).save(path).") from None

        with Path(path).open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            refuse(f"it is larger than {LARGEST_FILE:,} bytes")
        try:
            content = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            refuse(f"byte {error.start} is not UTF-8")
        except json.JSONDecodeError as error:
            refuse(f"it is not JSON, or only the beginning of it ({error})")
        except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of nested lists
            refuse(f"its JSON can't be read ({error})")
        if not isinstance(content, dict):
            refuse(f"it holds a JSON {type(content).__name__} where an object should be")
        if content.get("kind") != KIND:
            refuse(f"its 'kind' is {_short(content.get('kind'))}, not {KIND!r}")
        if content.get("schema") != SCHEMA or isinstance(content["schema"], bool):
            refuse(f"its schema is {_short(content.get('schema'))}, and this version reads {SCHEMA}")
        characters = content.get("characters")
        if not isinstance(characters, str):
            refuse(f"'characters' is {_short(characters)}, and should be text")
        try:
            tokenizer = cls(characters)
        except ValueError as error:
            refuse(f"in 'characters', {error}".rstrip("."))
        if tokenizer.characters != characters:  # another order would give each character another number
            refuse("its characters are not in Unicode order, so their numbers are not certain")
        return tokenizer

    def __eq__(self, other):
        return isinstance(other, CharacterTokenizer) and other.characters == self.characters

    def __hash__(self):
        return hash(self.characters)

    def __repr__(self):
        return f"CharacterTokenizer({self.characters!r})"


def _code_points(text: str) -> np.ndarray:
    # surrogatepass: half a surrogate pair gets as far as the message about an unknown character.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _named(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X})"


def _shown(characters: str, most: int = 100) -> str:
    return repr(characters) if len(characters) <= most else f"{characters[:most]!r} and more"


def _short(value: object, most: int = 60) -> str:
    words = repr(value)
    return words if len(words) <= most else words[:most] + "..."


def _replacement(character: str, known: str) -> str:
    """Return the advice for a character: its plain form or its other case where the alphabet has one."""
    plain = unicodedata.normalize("NFKD", character)[0]
    plain = {"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-"}.get(plain, plain)
    for candidate in (plain, character.swapcase(), plain.swapcase()):
        if candidate in known and len(candidate) == 1:
            return f"Write {candidate!r} instead"
    return "Leave it out"
