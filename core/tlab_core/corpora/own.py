"""A text of one's own as a corpus: pasted or uploaded, checked, and found again by its fingerprint.

Its name is "own:" and the first 16 hexadecimal digits of the SHA-256 of the text as UTF-8, so the same text has the same
name everywhere, and a link that names it gives none of it away. It lives in the memory of this process: nothing that is
typed into a page reaches a disk before its run is saved. A saved run keeps it in its folder (`tlab_core.runs.own_text`).
"""

import re
import sys
import threading
import weakref
from collections import OrderedDict

from tlab_core.corpora.base import Corpus, CorpusError
from tlab_core.corpora.files import LARGEST, PROMPT, SMALLEST

PREFIX = "own:"
NAME = re.compile(r"own:[0-9a-f]{16}")
MOST_DISTINCT = 5_000  # different characters: a Chinese novel has fewer, and each is a row of weights to learn
LONGEST_TITLE = 40  # characters
FIRST_WORDS = 24  # characters of the text that stand in for a title
ROOM = 64_000_000  # bytes of texts that are kept though no run is on them, the newest of them
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")  # all but tab, line and page ends
HOW = "On the lab's page, “Use my own text…” takes it; in a terminal, --set corpus=FILE does, and in Python corpus=FILE."


def is_own(name: object) -> bool:
    """Return whether a corpus's name is that of a text of one's own."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def address(text: Corpus) -> str:
    """Return the name under which a text of one's own is found.

    >>> address(Corpus("Mine", "abc", "", ""))
    'own:ba7816bf8f01cfea'
    """
    return PREFIX + text.sha256[:16]


def read(raw: bytes, title: str = "", largest: int = LARGEST) -> Corpus:
    """Return the corpus in the bytes of a text: UTF-8, or UTF-16 with a byte order mark; line ends become newlines.

    title    what to call it; without one, its first words
    largest  bytes at most
    Nothing is replaced or left out. Raises CorpusError, with a sentence for whoever brought the text, when it is too large,
    empty, in another encoding, or holds control characters or more than 5,000 different ones. Whether there is enough of it
    to learn from, `why_not_learn` says.
    """
    if len(raw) > largest:
        raise CorpusError(too_large(len(raw), largest))
    text = _decoded(raw).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise CorpusError("The text is empty. Paste one, or choose a file.")
    if found := CONTROL.search(text):
        raise CorpusError(f"{_place(text, found.start())} is a control character (U+{ord(found[0]):04X}), which no plain "
                          "text has. Save it as plain text, then bring it again.")
    different = len(set(text))
    if different > MOST_DISTINCT:
        raise CorpusError(f"The text has {different:,} different characters, and {MOST_DISTINCT:,} are the most. Bring one "
                          "in fewer scripts.")
    beginning = text.lstrip()
    title = cleaned_title(title) or cleaned_title(beginning[:FIRST_WORDS].split("\n")[0]) or "Own text"
    return Corpus(title, text, "A text of one's own.", prompt=beginning[:PROMPT].split("\n")[0])


def why_not_learn(text: Corpus) -> str:
    """Return why a model can't learn from a text that was read, nothing when it can."""
    if text.tokenizer.vocab_size < 2:
        return f"The text holds nothing but “{text.text[0]}”: there is nothing to learn."
    if len(text.text) < SMALLEST:
        return f"The text is too short to learn from: it has {len(text.text):,} characters, and {SMALLEST:,} are the least."
    return ""


def too_large(size: int, largest: int) -> str:
    """Return what is said of a text with too many bytes."""
    return f"The text is too large: it has {size:,} bytes, and {largest:,} are the most here. Bring a part of it."


def cleaned_title(title: str) -> str:
    """Return a title as one line that can stand in a menu, without what can't be seen.

    >>> cleaned_title("  My\\ndiary\\u202e ")
    'My diary'
    """
    seen = "".join(character if character.isprintable() else " " for character in title)
    return " ".join(seen.split())[:LONGEST_TITLE].rstrip()


class OwnTexts:
    """The texts that people have brought to this process, by name; any thread may ask.

    A text stays while a run is on it. Of the others the newest stay, `room` bytes of them.
    """

    def __init__(self, room: int = ROOM):
        self._room = room
        self._newest: OrderedDict[str, Corpus] = OrderedDict()  # the newest last
        self._all: weakref.WeakValueDictionary[str, Corpus] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def keep(self, text: Corpus) -> str:
        """Keep a text and return its name. One that is here already takes the new title."""
        name = address(text)
        with self._lock:
            known = self._all.get(name)
            if known is not None and known.name == text.name:
                text = known
            self._all[name] = self._newest[name] = text
            self._newest.move_to_end(name)
            while len(self._newest) > 1 and sum(sys.getsizeof(kept.text) for kept in self._newest.values()) > self._room:
                self._newest.popitem(last=False)
        return name

    def find(self, name: str) -> Corpus | None:
        """Return the text of that name, None when it isn't here."""
        with self._lock:
            return self._all.get(name)


OWN_TEXTS = OwnTexts()


def missing(name: str) -> str:
    """Return why a text of one's own can't be had, and how to mend it; nothing when it can."""
    if OWN_TEXTS.find(name) is not None:
        return ""
    return (f"{name} is a text of somebody's own, and it isn't here: links and settings files name it, and leave it out. "
            f"Ask whoever made the run for it, or open the run from its folder, where the text is kept. {HOW}")


def _decoded(raw: bytes) -> str:
    encoding = next((encoding for mark, encoding in BYTE_ORDER_MARKS.items() if raw.startswith(mark)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise CorpusError(f"The text begins as UTF-16, but byte {error.start:,} can't be read as that. It may be cut "
                              "off. Save it as UTF-8 in an editor, then bring it again.") from None
        at = error.start + 3 * (encoding == "utf-8-sig")  # that codec counts from behind the mark
        line = raw[:at].count(b"\n") + 1
        raise CorpusError(f"The text is not UTF-8: byte {at:,}, in line {line:,}, is 0x{raw[at]:02X}. It may be Latin-1 or "
                          "Windows-1252. Save it as UTF-8 in an editor, then bring it again.") from None


def _place(text: str, position: int) -> str:
    before = text[:position]
    return f"Character {position - before.rfind(chr(10)):,} of line {before.count(chr(10)) + 1:,}"
