"""The author's notes: Markdown, of which nothing can run and nothing is fetched."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml

LONGEST = 200_000  # characters
ADDRESS = re.compile(r"(https?://|mailto:)[^\s]+", re.IGNORECASE)


def as_html(markdown: str) -> str:
    """Return notes in CommonMark, with tables, strike-through and bare links, as HTML.

    HTML inside the notes is shown as text, and a picture as a link to it; a link leads to http, https or mailto, or is
    shown as text.

    >>> as_html("*so*").strip()
    '<p><em>so</em></p>'
    >>> as_html("<b>x</b> [a](javascript:alert())").strip()
    '<p>&lt;b&gt;x&lt;/b&gt; [a](javascript:alert())</p>'
    """
    reader = MarkdownIt("commonmark", {"html": False, "linkify": True}).enable(["table", "strikethrough", "linkify"])
    reader.linkify.set({"fuzzy_link": False, "fuzzy_email": False})  # what is a link says so
    reader.validateLink = lambda address: ADDRESS.fullmatch(address) is not None
    reader.add_render_rule("link_open", _link_open)
    reader.add_render_rule("image", _image)
    return reader.render(markdown)


def _image(renderer, tokens, index, options, env) -> str:
    """Nothing is fetched, so a picture is no more than the way to it; inside a link, it is the words of that."""
    address, words = str(tokens[index].attrGet("src")), renderer.renderInlineAsText(tokens[index].children, options, env)
    text = escapeHtml(words or address)
    inside = sum({"link_open": 1, "link_close": -1}.get(token.type, 0) for token in tokens[:index])
    return text if inside else f'<a href="{escapeHtml(address)}" rel="noopener noreferrer">{text}</a>'


def _link_open(renderer, tokens, index, options, env) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer")
    return renderer.renderToken(tokens, index, options, env)
