"""The author's notes: Markdown, of which nothing can run and nothing is fetched."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

LONGEST = 200_000  # characters
ADDRESS = re.compile(r"(https?://|mailto:)[^\s]+", re.IGNORECASE)


def as_html(markdown: str) -> str:
    """Return notes in CommonMark, with tables, as HTML.

    HTML inside the notes is shown as text, and so are pictures; a link leads to http, https or mailto, or is shown as text.

    >>> as_html("*so*").strip()
    '<p><em>so</em></p>'
    >>> as_html("<b>x</b> [a](javascript:alert())").strip()
    '<p>&lt;b&gt;x&lt;/b&gt; [a](javascript:alert())</p>'
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.validateLink = lambda address: ADDRESS.fullmatch(address) is not None
    reader.add_render_rule("link_open", _link_open)
    return reader.render(markdown)


def _link_open(renderer, tokens, index, options, env) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer")
    return renderer.renderToken(tokens, index, options, env)
