"""What a corpus is, and the registry that corpora file themselves in."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tlab_core.expected import Function
from tlab_core.registry import Registry
from tlab_core.tokenizers import CharacterTokenizer

# The docstring is what a menu shows.
CORPORA = Registry("corpus", Function(returns="a Corpus"))


class CorpusError(ValueError):
    """A text that can't be had or can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class Corpus:
    """A text to learn from.

    `prompt` is a beginning that suits it. Where lines hold a question and an answer, `answer_marker` is the character
    between them; where answers lie elsewhere, `find_answers` marks them.
    """

    name: str
    text: str
    description: str
    prompt: str
    answer_marker: str | None = None
    find_answers: Callable[[str], np.ndarray] | None = None

    @cached_property
    def tokenizer(self) -> CharacterTokenizer:
        """The tokenizer that knows exactly this text's characters."""
        return CharacterTokenizer.from_text(self.text)

    @cached_property
    def sha256(self) -> str:
        """The fingerprint of the text as UTF-8, in hexadecimal."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()

    def answer_mask(self) -> np.ndarray | None:
        """Return bool (characters,): True where a character can be worked out from its line, None without answers."""
        if self.find_answers is not None:
            return self.find_answers(self.text)
        if self.answer_marker is not None:
            return after_marker(self.text, self.answer_marker)
        return None


def after_marker(text: str, marker: str) -> np.ndarray:
    """Return bool (characters,): True behind a line's marker, up to and without the newline. One marker a line.

    >>> after_marker("ab>ba\\n", ">").astype(int)
    array([0, 0, 0, 1, 1, 0])
    """
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    is_marker = codes == ord(marker)
    markers_before = np.cumsum(is_marker) - is_marker
    line_ends = np.cumsum(codes == ord("\n"))
    return markers_before > line_ends
