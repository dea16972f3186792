"""A text of one's own in a run's folder: the run goes on on any machine that the folder is taken to."""

from pathlib import Path
from typing import Any

from tlab_core.corpora import Corpus, CorpusError, corpus, corpus_title
from tlab_core.corpora.files import LARGEST
from tlab_core.corpora.own import OWN_TEXTS, address, is_own, read
from tlab_core.runs.files import RunError, read_bytes, write_whole

TEXT = "text.txt"
TITLE = "text_title"  # in meta.json
ADVICE = f"The run can be looked at; to go on, put the text back as {TEXT}, or give it to the page's “Use my own text…”."


def put_text(folder: Path, name: str) -> dict[str, str]:
    """Write the run's text into its folder where `name` is a text of one's own; return what its description says of it."""
    if not is_own(name):
        return {}
    own = corpus(name)
    write_whole(folder / TEXT, own.text.encode())
    return {TITLE: own.name}


def get_text(folder: Path, name: str, meta: dict[str, Any]) -> Corpus | None:
    """Return the text of one's own that a saved run learned, and keep it; None for any other corpus.

    Raises RunError when it is neither in the folder nor here already.
    """
    if not is_own(name):
        return None
    try:
        called = meta.get(TITLE)
        found = read(read_bytes(folder / TEXT, LARGEST), called if isinstance(called, str) else "")
        if address(found) != name:
            raise RunError(f"{folder / TEXT} is not the text that the run learned: it was edited.")
    except (RunError, CorpusError) as error:
        if (here := OWN_TEXTS.find(name)) is not None:
            return here
        raise RunError(f"{folder / TEXT} can't be used: {error} {ADVICE}" if isinstance(error, CorpusError)
                       else f"{error} {ADVICE}") from error
    return OWN_TEXTS.find(OWN_TEXTS.keep(found))


def usual_name(name: str) -> str:
    """Return what a run is called by its text, unless it is given a name.

    >>> usual_name("stories"), usual_name("letters/ada.txt")
    ('stories', 'ada')
    """
    return corpus_title(name) if is_own(name) else Path(name).stem
