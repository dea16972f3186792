"""The glossary: what the lab's words and the letters in its formulas mean."""

from docs.generator import prose
from tlab_dash.words import LETTERS, WORDS

INTRO = "What the words on the pages and in the pictures mean, and the letters in the formulas."


def page() -> str:
    """Return the page as reStructuredText."""
    lines = [prose.title("Glossary"), "", prose.paragraph(INTRO), ""]
    for word in sorted(WORDS, key=str.casefold):
        lines += [f"**{prose.inline(word)}**", f"   {prose.paragraph(WORDS[word])}", ""]
    lines += [prose.title("Letters", 1), "", "Where a knob's page means another thing by one, it says so.", ""]
    for letter, meaning in LETTERS.items():
        lines += [f"``{letter}``", f"   {prose.paragraph(meaning)}", ""]
    return "\n".join(lines)
