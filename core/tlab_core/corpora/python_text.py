"""Texts that ship inside Python: its language reference and the source of its standard library."""

import re
import sys
import sysconfig
from functools import cache
from pathlib import Path

from tlab_core.corpora.base import CORPORA, Corpus, CorpusError

SOURCE_SIZE = 1_000_000  # characters, at most
LARGEST_MODULE = 30_000  # bytes; a few huge modules would leave no room for the others
# A joke in rot13, tables of code points, and modules that only forward to another: not what source code looks like.
LEFT_OUT = {"this", "antigravity", "stringprep", "sre_compile", "sre_constants", "sre_parse"}


@CORPORA.register("python-docs")
@cache
def python_docs() -> Corpus:
    """The language reference that ships inside Python: prose about code, with tables and examples."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise CorpusError(
            "the corpus 'python-docs' is the text behind Python's help(), and this Python comes without it: there is "
            "no module pydoc_data.topics. Use another Python, such as the one from python.org, or another corpus."
        ) from None
    text = "\n\n".join(plain(topics[topic]).strip() for topic in sorted(topics)) + "\n"
    return Corpus("python-docs", text, python_docs.__doc__, prompt="The ")


@CORPORA.register("python-source")
@cache
def python_source() -> Corpus:
    """Source code of Python's own standard library: indentation, names that come back, brackets that must close."""
    folder = Path(sysconfig.get_path("stdlib"))
    texts, size = [], 0
    for module in sorted(sys.stdlib_module_names - LEFT_OUT):
        file = folder / f"{module}.py"
        if module.startswith("_") or not file.is_file() or file.stat().st_size > LARGEST_MODULE:
            continue
        try:
            text = file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:  # a source file may declare another encoding
            continue
        text = plain(text) + "\n\n\n"
        if size + len(text) > SOURCE_SIZE:
            break
        texts.append(text)
        size += len(text)
    if not texts:
        raise CorpusError(
            f"the corpus 'python-source' is the source code of the standard library, and this Python keeps none in "
            f"{folder}. Use another Python, such as the one from python.org, or another corpus."
        )
    return Corpus("python-source", "".join(texts), python_source.__doc__, prompt="def ")


def plain(text: str) -> str:
    """Return `text` in printable ASCII and newlines: tabs become spaces, other characters are dropped.

    >>> plain("naïve\\n\\tcafé")
    'nave\\n        caf'
    """
    return re.sub(r"[^\n -~]", "", text.expandtabs(8))
