"""Any text file as a corpus."""

import os
from functools import lru_cache
from os import PathLike
from pathlib import Path

from tlab_core.corpora.base import Corpus, CorpusError

SMALLEST = 1_000  # characters: a tenth of them is for validation, and that must hold a passage or two
LARGEST = 64_000_000  # bytes
PROMPT = 16  # characters of the text that a first prompt quotes

BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def text_file(path: str | PathLike) -> Corpus:
    """Return the corpus in a UTF-8 text file, with or without a byte order mark; Windows line ends become newlines.

    Raises CorpusError when there is no such file, it is not UTF-8, or it has under 1,000 characters or over 64 MB.
    """
    path = Path(os.path.expanduser(path))  # unlike Path.expanduser, leaves an unknown ~name as it is
    if os.path.isdir(path):
        raise CorpusError(f"{path} is a folder. Pass the path of one text file.")
    if not os.path.isfile(path):
        raise CorpusError(f"there is no file {path} (looked for in {Path.cwd()}).")
    state = path.stat()
    if state.st_size > LARGEST:
        raise CorpusError(f"{path} has {state.st_size:,} bytes, and at most {LARGEST:,} are read. Cut it shorter: a few "
                          "million characters are plenty here.")
    return _read(path.resolve(), path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(resolved: Path, path: Path, _changed: int, _size: int) -> Corpus:
    """Read the file; time of change and size are in the cache's key, so that an edited file is read again."""
    try:
        raw = resolved.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} can't be read: {error.strerror}.") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = BYTE_ORDER_MARKS.get(raw[:2], "another encoding, perhaps Latin-1 or Windows-1252")
        at = error.start + 3 * raw.startswith(b"\xef\xbb\xbf")  # the codec counts from behind the mark
        raise CorpusError(f"{path} is not UTF-8: byte {at} is 0x{raw[at]:02X}, so it is in {kind}. Save it as UTF-8 in "
                          f"an editor, or with: iconv -f ENCODING -t UTF-8 {path.name} > new.txt") from None
    if "\0" in text:
        raise CorpusError(f"{path} is not UTF-8 text: byte {raw.index(0)} is zero, as in UTF-16 and in files that are "
                          "no text. Pass the path of a UTF-8 text file.")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise CorpusError(f"{path} is empty. A corpus needs at least {SMALLEST:,} characters.")
    if len(text) < SMALLEST:
        raise CorpusError(f"{path} is too short: it has {len(text):,} characters, and a corpus needs at least "
                          f"{SMALLEST:,}. Put more text into it.")
    if len(set(text)) < 2:
        raise CorpusError(f"{path} holds nothing but {text[0]!r}: there is nothing to learn.")
    prompt = text.lstrip()[:PROMPT].split("\n")[0]
    return Corpus(str(path), text, f"The text file {path.name}.", prompt=prompt)
