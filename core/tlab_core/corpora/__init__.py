"""Texts to learn from: each one string, found by its name, or read from any text file."""

import os
from dataclasses import replace
from os import PathLike

# Importing a file registers its corpora, in this order: the default first.
from tlab_core.corpora import stories, python_text, tasks, shakespeare  # noqa: F401 # isort: skip
from tlab_core.absent import Absent
from tlab_core.corpora.base import CORPORA, Corpus, CorpusError
from tlab_core.corpora.files import text_file
from tlab_core.corpora.own import OWN_TEXTS, is_own, missing
from tlab_core.registry import UnknownNameError, did_you_mean
from tlab_core.tokenizers import CharacterTokenizer

__all__ = ["CORPORA", "Corpus", "CorpusError", "corpus", "corpus_title", "load_corpus", "why_not"]


def corpus(name_or_path: str | PathLike) -> Corpus:
    """Return the corpus of that name, the text of one's own (`corpora.own`), or else the one in the text file at that path.

    A name wins over a file that is called the same: write "./stories" for the file. Raises UnknownNameError when
    there is neither, and CorpusError when the text can't be had or used.
    """
    if isinstance(name_or_path, str) and name_or_path in CORPORA:
        found = CORPORA.get(name_or_path)()
        if not isinstance(found, Corpus):
            raise CorpusError(f"the corpus {name_or_path!r} came to {type(found).__name__}: its function must return a "
                              f"Corpus, such as Corpus(name={name_or_path!r}, text=..., description=..., prompt=...).")
        known = CORPORA.canonical(name_or_path)
        return found if found.name == known else replace(found, name=known)
    if is_own(name_or_path) and (own := OWN_TEXTS.find(name_or_path)) is not None:
        return own
    if problem := why_not(name_or_path):
        raise UnknownNameError(problem)
    return text_file(name_or_path)


def load_corpus(name_or_path: str | PathLike) -> tuple[str, CharacterTokenizer]:
    """Return the text of a corpus (see `corpus`) and the tokenizer that knows its characters.

    >>> text, tokenizer = load_corpus("stories")
    >>> tokenizer.decode(tokenizer.encode(text[:8]))
    'One day '
    """
    found = corpus(name_or_path)
    return found.text, found.tokenizer


def why_not(name_or_path: str | PathLike) -> str:
    """Return why there is no such corpus, or nothing when there is one. Reads no text and needs no network."""
    if isinstance(name_or_path, str) and name_or_path in CORPORA:
        return ""
    if isinstance(name_or_path, Absent):
        return name_or_path.message
    if is_own(name_or_path):
        return missing(name_or_path)
    if os.path.exists(os.path.expanduser(name_or_path)):
        return ""
    names = CORPORA.names()
    return (f"there is no corpus {str(name_or_path)!r}, and no such file in {os.getcwd()}."
            f"{did_you_mean(name_or_path, names)} The corpora are {', '.join(map(repr, names))}; "
            "or pass the path of a UTF-8 text file.")


def corpus_title(name_or_path: str) -> str:
    """Return what to call a corpus: its name, a text of one's own by the title it was given, a file without its folder.

    >>> corpus_title("stories"), corpus_title("/home/ada/letters.txt"), corpus_title("own:0123456789abcdef")
    ('stories', 'letters.txt', 'own text')
    """
    if is_own(name_or_path):
        own = OWN_TEXTS.find(name_or_path)
        return own.name if own is not None else "own text"
    return name_or_path.replace("\\", "/").rpartition("/")[2]
