"""A page for each knob: what it takes, what it does, two runs that show it, and the code that it acts in."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import param

from docs.generator import prose
from docs.generator.shown import BASE, SHOWN, STEPS, Pair
from tlab_core.cli.knobs import allowed, shown
from tlab_core.experiment import PARTS, default_experiment
from tlab_core.knob_text import flat, knobs, with_values
from tlab_core.knobs import ChoiceKnob
from tlab_core.lessons import LESSONS
from tlab_core.registry import Registry
from tlab_dash.source import listings
from tlab_dash.words import LETTERS, LETTERS_OF

HEADINGS = {"architecture": "What the transformer is made of", "training": "How it learns", "": "Its text"}
# The part of the code page that a knob of components chooses.
CODE_OF = {
    "architecture.norm_type": "norm", "architecture.residual_type": "residual",
    "architecture.activation_type": "activation", "architecture.pos_encoding_type": "position",
    "training.optimizer": "optimizer", "training.schedule": "schedule",
}  # fmt: skip
INTRO = (
    f"Every knob of the lab: what it takes, what it does in plain words, the code behind it, and two real "
    f"runs, most of {STEPS} steps, that differ in this knob alone. What is said of them was measured when these pages were "
    "built: one seed each, on small models, so a small difference means little."
)


def slug(knob: str) -> str:
    """Return the name of a knob's page: its own name, or in full where two parts have a knob of that name.

    >>> slug("architecture.norm_type"), slug("training.seed"), slug("corpus")
    ('norm_type', 'training-seed', 'corpus')
    """
    name = knob.rpartition(".")[2]
    alone = sum(full.rpartition(".")[2] == name for full, _ in knobs()) == 1
    return name if alone else knob.replace(".", "-")


def pages(made: dict[str, dict[str, Any]], snapshots: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (name, reStructuredText) of the index and of each knob's page.

    made       what `pairs` made, by knob
    snapshots  {knob: the address of its snapshot, seen from its page}
    """
    yield "index", _index()
    for knob, about in knobs():
        yield slug(knob), _page(knob, about, made.get(knob), snapshots.get(knob))


def _index() -> str:
    lines = [prose.title("Knobs"), "", prose.paragraph(INTRO), ""]
    for part, heading in HEADINGS.items():
        own = [(knob, about) for knob, about in knobs() if knob.rpartition(".")[0] == part]
        lines += [prose.title(heading, 1), "", ".. list-table::", "   :widths: 25 75", ""]
        for knob, about in own:
            lines += [f"   * - :doc:`{about.label} <{slug(knob)}>`", f"     - {prose.paragraph(about.doc)}"]
        lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {slug(knob)}" for knob, _ in own), ""]
    return "\n".join(lines)


def _page(knob: str, about: param.Parameter, made: dict[str, Any] | None, snapshot: str | None) -> str:
    return "\n".join([
        prose.title(about.label), "", prose.paragraph(about.doc), "", *_facts(knob, about), "",
        prose.title("What it does", 1), "", *(_nothing(knob) if made is None else _seen(made, snapshot)), "",
        *_values(knob, about), *_code(knob), *_lessons(knob),
    ])  # fmt: skip


def _facts(knob: str, about: param.Parameter) -> list[str]:
    part, _, name = knob.rpartition(".")
    kind = PARTS[part].__name__ if part else "Experiment"
    opens = shown(flat(default_experiment())[knob])
    usual = shown(about.default)
    facts = {
        "in Python": f"`{kind}({name}={about.default!r})`",
        "on the command line": f"`tlab train --set {knob if '-' in slug(knob) else name}=…`",
        "takes": allowed(about),
        "unit": about.unit,
        "the slider offers": _soft(about),
        "usual value": f"{usual}; the lab opens with {opens}" if opens != usual else usual,
    }
    if knob == "architecture.vocab_size":
        del facts["on the command line"]
    rows = [f"   * - {what}\n     - {prose.inline(str(fact))}" for what, fact in facts.items() if fact]
    return [".. list-table::", "   :widths: 25 75", "   :class: facts", "", *rows]


def _soft(about: param.Parameter) -> str:
    low, high = getattr(about, "softbounds", None) or (None, None)
    return "" if low is None else f"{low:,} to {high:,}"


def _nothing(knob: str) -> list[str]:
    return [prose.paragraph(str(SHOWN[knob]))]


def _seen(made: dict[str, Any], snapshot: str | None) -> list[str]:
    first, second = made["names"]
    lead = f"Two runs of {made['steps']} steps that differ in nothing else: **{prose.inline(first)}** and " \
           f"**{prose.inline(second)}**."  # fmt: skip
    lines = [lead, ""]
    for sentence in made["sentences"]:
        asks = f" See the lesson :doc:`/lessons/{sentence['lesson']}`." if sentence["lesson"] else ""
        lines.append(f"- {prose.inline(sentence['text'])}{asks}")
    if made["look"]:
        lines += ["", prose.paragraph(made["look"])]
    lines += [
        "", *prose.html(
            f'<iframe class="snapshot" src="{snapshot}" loading="lazy" title="Snapshot of the two runs"></iframe>\n'
            f'<p class="beside"><a href="{snapshot}">Open the snapshot by itself</a>: one file, which works without a '
            "server.</p>"),
        "Measured at the last step:", "",
        *_table(["", first, second], [row for row in made["rows"] if row[1] != row[2]]), "",
    ]  # fmt: skip
    if same := [row[0] for row in made["rows"] if row[1] == row[2]]:
        lines += [prose.paragraph(f"The same in both: {', '.join(same)}."), ""]
    lines += ["What the words mean: :doc:`/glossary`.", ""]
    return [*lines, "To make them again:", "", prose.literal(made["commands"], "console"), ""]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return ["Nothing differs."]
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 34 33 33", "   :class: measured", ""]
    for row in [head, *rows]:
        for place, cell in enumerate(row):
            lines.append(f"   {'*' if place == 0 else ' '} - {prose.paragraph(cell) if cell.strip() else ''}".rstrip())
    return lines


# ---- the code


def _values(knob: str, about: param.Parameter) -> list[str]:
    """Every component that the knob chooses among: what it is, and its code."""
    if not (isinstance(about, ChoiceKnob) and isinstance(about.options, Registry)) and knob != "corpus":
        return []
    lines = [prose.title("The values", 1), ""]
    for name, component in _registry(knob, about).items():
        lines += [prose.title(name, 2), "", *_explained(knob, component),
                  *_source(f"The code of {name}", _pieces(knob, name, component))]  # fmt: skip
    return lines


def _registry(knob: str, about: param.Parameter) -> Registry:
    if knob == "corpus":
        from tlab_core.corpora import CORPORA

        return CORPORA
    return about.options


def _pieces(knob: str, name: str, component: Any) -> list[Any]:
    """The classes and functions that do the work of a component: itself, then what it takes over from others."""
    if knob not in CODE_OF:
        return [component]
    found = listings(CODE_OF[knob], with_values(BASE, {knob: name}))
    return [getattr(import_module(one.place), one.name) for one in found]


def _code(knob: str) -> list[str]:
    found = SHOWN[knob]
    if not (isinstance(found, Pair) and found.acts):
        return []
    lines = [prose.title("Where it acts", 1), ""]
    for place in found.acts:
        piece = named(place)
        lines += [f"``{place.partition(':')[2]}`` in ``{place.partition(':')[0]}``", "",
                  *_explained(knob, piece), *_source("The code", [piece])]  # fmt: skip
    return lines


def _explained(knob: str, piece: Any) -> list[str]:
    """A docstring, and what the letters of its formulas mean."""
    said = inspect.getdoc(piece) or ""
    lines = prose.docstring(said)
    if not (found := letters(knob, said)):
        return lines
    meanings = "; ".join(f"`{letter}` {meaning}" for letter, meaning in found.items())
    return [*lines, f"In the formula: {prose.inline(meanings)}.", ""]


def docstrings(knob: str) -> list[str]:
    """Return every docstring that a knob's page shows."""
    about, found = dict(knobs())[knob], SHOWN[knob]
    pieces = [named(place) for place in found.acts] if isinstance(found, Pair) else []
    if isinstance(about, ChoiceKnob) and isinstance(about.options, Registry):
        pieces += [component for _, component in about.options.items()]
    return [inspect.getdoc(piece) or "" for piece in pieces]


def letters(knob: str, said: str) -> dict[str, str]:
    """Return the letters of a docstring that has a formula, each with its meaning.

    >>> letters("architecture.use_bias", "Twice as much: y = 2x.")
    {'x': 'the numbers that come in', 'y': 'the numbers that come out'}
    """
    if " = " not in said and "←" not in said:
        return {}
    own = LETTERS | LETTERS_OF.get(knob, {})
    return {letter: meaning for letter, meaning in own.items()
            if re.search(rf"(?<![^\W\d]){re.escape(letter)}(?![\w'’])", _formulas(said))}  # fmt: skip


def _formulas(said: str) -> str:
    """Return the text from where its formulas begin to where a paper is named."""
    lines = [line for line in said.splitlines() if re.search(r"[=←·]|Shapes|\^", line)]
    return re.sub(r"\b[A-Z]\w+[^.;:]*\d{4}\b.*", "", "\n".join(lines))


def named(place: str) -> Any:
    """Return what stands at "module:name".

    >>> named("tlab_core.dropout:Dropout.forward").__name__
    'forward'
    """
    module, _, names = place.partition(":")
    found = import_module(module)
    for name in names.split("."):
        found = inspect.getattr_static(found, name) if inspect.isclass(found) else getattr(found, name)
        found = getattr(found, "__func__", found)
    return found


def _source(summary: str, pieces: list[Any]) -> list[str]:
    """Source that opens at a press: forward and backward stand in it side by side, as in the file."""
    codes = [inspect.cleandoc("\n" + inspect.getsource(piece)) for piece in pieces]
    return prose.folded(summary, codes, [_file(inspect.getmodule(piece)) for piece in pieces])


def _file(module: Any) -> str:
    """Where a module lies in the repository: the engine's source root is `core`."""
    name = module.__name__.replace(".", "/")
    package = Path(module.__file__).name == "__init__.py"
    return f"{'core/' if name.startswith('tlab_core') else ''}{name}{'/__init__' if package else ''}.py"


def _lessons(knob: str) -> list[str]:
    asking = [lesson for _, lesson in LESSONS.items() if any(knob in run.knobs for run in lesson.runs.values())]
    if not asking:
        return []
    return [prose.title("Lessons about it", 1), "",
            *(f"- :doc:`{lesson.title} </lessons/{lesson.name}>`" for lesson in asking), ""]  # fmt: skip
