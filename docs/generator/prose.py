"""Text of the code as reStructuredText: docstrings are plain text with `code` in single backticks, and stay so."""

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import zip_longest

from docs.generator.papers import linked

CODE = re.compile(r"`([^`]+)`")
SPECIAL = re.compile(r"([\\*|`_])")
NAMED = re.compile(r"(\S(?:.*?\S)?)\s{2,}(\S.*)")  # "name    what it is": a list of names, set in columns
BULLET = re.compile(r"[-*] ")
SHADES = "=-~^"  # of a title, by depth


def title(words: str, depth: int = 0) -> str:
    """Return a heading.

    >>> print(title("Norm"))
    Norm
    ====
    """
    text = inline(words)
    return f"{text}\n{SHADES[depth] * max(3, 2 * len(text) if not text.isascii() else len(text))}"


def inline(text: str) -> str:
    r"""Return a piece of text for the middle of a line: nothing in it but `code` has a meaning.

    >>> inline("`x`s are 2 * y|z")
    '``x``\\ s are 2 \\* y\\|z'
    """
    found, end = [], 0
    for match in CODE.finditer(text):
        found += [SPECIAL.sub(r"\\\1", text[end : match.start()]), _code(match, text)]
        end = match.end()
    return "".join([*found, SPECIAL.sub(r"\\\1", text[end:])])


def _code(match: re.Match, text: str) -> str:
    """Return a literal, told apart from the letters that touch it; spaces at its ends can't be kept."""
    before, after = text[: match.start()][-1:], text[match.end() :][:1]
    apart = "\\ " if before and not (before.isspace() or before in "([{<'\"/-–—“") else ""
    behind = "\\ " if after and not (after.isspace() or after in ".,;:!?)]}>'\"/-–—”") else ""
    return f"{apart}``{match[1].strip()}``{behind}"


def paragraph(text: str) -> str:
    """Return a whole paragraph as one line, which doesn't begin like a list, a comment or the like."""
    line = inline(" ".join(text.split()))
    return line if line[:1].isalnum() or line[:1] in "`“(«" or line[:1] == "\\" else f"\\{line}"


def literal(lines: Iterable[str], language: str = "") -> str:
    """Return lines as they are: code, or a formula that is set in columns."""
    head = f".. code-block:: {language}" if language else "::"
    return "\n".join([head, "", *(f"   {line}".rstrip() for line in lines)])


def html(markup: str) -> list[str]:
    """Return HTML as it is."""
    return [".. raw:: html", "", *(f"   {line}".rstrip() for line in markup.splitlines()), ""]


def folded(summary: str, codes: Iterable[str], captions: Iterable[str] = ()) -> list[str]:
    """Return Python code that opens at a press; each piece may have a caption."""
    lines = html(f"<details><summary>{escape(summary)}</summary>")
    for code, caption in zip_longest(codes, captions):
        lines += [".. code-block:: python", *([f"   :caption: {caption}"] if caption else []), "",
                  *(f"   {line}".rstrip() for line in code.splitlines()), ""]  # fmt: skip
    return [*lines, *html("</details>")]


def docstring(text: str) -> list[str]:
    """Return a docstring, without its indentation, as lines of reStructuredText.

    Its paragraphs are sentences, examples that begin with >>>, code or formulas that are set in, bullets, or names with
    their meaning beside them.

    >>> docstring("Adds.\\n\\nx  a number\\n   of any size")
    ['Adds.', '', '``x``', '   a number of any size', '']
    """
    lines = []
    for block in _blocks(text):
        lines += [*_block(block), ""]
    return lines


def _blocks(text: str) -> Iterator[list[str]]:
    """Yield the paragraphs; what is set in stays together over its blank lines."""
    block: list[str] = []
    for line in [*text.expandtabs().splitlines(), ""]:
        if line.strip():
            block.append(line.rstrip())
        elif block:
            yield block
            block = []


def _block(block: list[str]) -> list[str]:
    if block[0].lstrip().startswith(">>>"):
        shift = len(block[0]) - len(block[0].lstrip())
        return [line[shift:] for line in block]
    if all(line.startswith("  ") for line in block):
        shift = min(len(line) - len(line.lstrip()) for line in block)
        return literal(line[shift:] for line in block).splitlines()
    if BULLET.match(block[0]):
        return [f"- {inline(item)}" for item in _joined(block, lambda line: BULLET.match(line) is not None, 2)]
    names = [NAMED.fullmatch(line) for line in block if not line.startswith(" ")]
    if all(names):
        return _names(block)
    sentences = list(block)
    for place, line in enumerate(block):  # a list of names may follow the sentence that leads to it
        if place and NAMED.fullmatch(line) and len({_column(other) for other in block[place:]}) == 1:
            sentences = block[:place]
            return [linked(paragraph(" ".join(sentences))), "", *_names(block[place:])]
    return [linked(paragraph(" ".join(sentences)))]


def _column(line: str) -> int:
    """Return where the meaning stands in a line of names; where a line only goes on, where it begins."""
    found = NAMED.fullmatch(line)
    return len(line) - len(line.lstrip()) if line.startswith(" ") or not found else found.start(2)


def _names(block: list[str]) -> list[str]:
    found = []
    for item in _joined(block, lambda line: not line.startswith(" "), 0):
        name, meaning = NAMED.fullmatch(item).groups()
        found += [_term(name), f"   {paragraph(meaning)}"]
    return found


def _term(name: str) -> str:
    return inline(name) if "`" in name else f"``{name}``"


def _joined(block: list[str], begins, skip: int) -> list[str]:
    items: list[str] = []
    for line in block:
        if begins(line):
            items.append(line[skip:])
        else:
            items[-1] += " " + line.strip()
    return items
