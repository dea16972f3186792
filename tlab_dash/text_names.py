"""Texts by name, as short as a sentence or a menu takes them; the whole name is for where one points at it."""

from __future__ import annotations

from tlab_core.corpora import corpus_title
from tlab_dash.readable import isolated

LONGEST = 24  # characters


def text_name(corpus: str) -> str:
    """Return what to call a corpus, cut where its title is long.

    >>> text_name("stories"), text_name("/home/ada/Letters to my grandmother.txt")
    ('stories', 'Letters to my grandmoth…')
    """
    title = corpus_title(corpus)
    return isolated(title if len(title) <= LONGEST else f"{title[: LONGEST - 1].rstrip()}…")


def whole_names(words: str, corpora: list[str]) -> str:
    """Return the whole titles of those corpora that `words` call by a cut name; empty where there are none.

    >>> whole_names("It learns Letters to my grandmoth….", ["stories", "Letters to my grandmother.txt"])
    'Letters to my grandmother.txt'
    """
    titles = {corpus_title(corpus): text_name(corpus) for corpus in corpora}
    return ", ".join(title for title, name in titles.items() if name != title and name in words)
