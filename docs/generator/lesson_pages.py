"""A page for each lesson: its question, the runs that answer it, the paper, and what came of it when it was measured."""

import re
from collections.abc import Iterator
from typing import Any

from tlab_core.experiment import Experiment
from tlab_core.knob_text import flat, knobs
from tlab_core.lessons import LESSONS, Lesson
from tlab_dash.controls import value_label

SPECIAL = re.compile(r"([\\`*_\[\]<>#|$])")


def pages(measured: str) -> Iterator[tuple[str, str]]:
    """Yield (name, Markdown) of each lesson's page; `measured` is the text of docs/lessons.md, from which it includes its
    part."""
    sections = re.findall(r"^## (.+)$", measured, re.MULTILINE)
    yield "index", _index()
    for name, lesson in LESSONS.items():
        yield name, _page(lesson, sections)


def _index() -> str:
    lines = ["# Lessons", "", "Questions about transformers that less than a minute of training answers. Guess first: "
             "answers open at a press.", "", "| lesson | what the paper found |", "| --- | --- |",
             *(f"| [{plain(lesson.title)}]({name}.md) | {answer(lesson)} |" for name, lesson in LESSONS.items()), "",
             "What came of them here, with three seeds each: [all results](../lessons.md).", "",
             "```{toctree}", ":hidden:", "", *LESSONS.names(), "```", ""]  # fmt: skip
    return "\n".join(lines)


def answer(lesson: Lesson) -> str:
    """Return what a paper found, folded up, as HTML for the middle of a line."""
    return f"<details><summary>Answer</summary>{plain(lesson.effect[:1].upper() + lesson.effect[1:])}</details>"


def plain(text: str) -> str:
    r"""Return text in which nothing has a meaning to Markdown.

    >>> plain("a*b")
    'a\\*b'
    """
    return SPECIAL.sub(r"\\\1", text)


def _page(lesson: Lesson, sections: list[str]) -> str:
    paper = lesson.paper
    lines = [
        f"# {plain(lesson.title)}", "", plain(lesson.look), "", f"**{plain(lesson.prediction.question)}**", "",
        *(f"- {plain(option)}" for option in lesson.prediction.options.values()), "",
        f"Take it in the lab (**Lessons**), or in a terminal: `tlab lesson {lesson.name}`.", "",
        "## The runs", "", f"{lesson.steps:,} steps each, on `{plain(lesson.base.corpus)}`.", "",
        "| run | knobs |", "| --- | --- |",
        *(f"| {plain(run.label)} | {_knobs(run.knobs)} |" for run in lesson.runs.values()), "",
        "In all of them:", "", *_settings(lesson), "",
        "## The answer", "",
        "<details><summary>What the paper found, and what came of it here</summary>", "",
        f"[{plain(paper.authors)} {paper.year}]({paper.url}): {plain(paper.found)}", "",
    ]  # fmt: skip
    if lesson.name in sections:
        place = sections.index(lesson.name)
        lines += ["```{include} ../lessons.md", f':start-after: "## {lesson.name}"']
        lines += [f':end-before: "## {sections[place + 1]}"'] if place + 1 < len(sections) else []
        lines += ["```", "", "How this was measured stands above [all results](../lessons.md).", ""]
    else:
        lines += [plain(lesson.take_away), ""]
    return "\n".join([*lines, "</details>", ""])


def _knobs(values: dict[str, Any]) -> str:
    labels = {knob: about.label for knob, about in knobs()}
    turned = [f"{plain(labels[knob])} {plain(value_label(knob, value))}" for knob, value in values.items()]
    return ", ".join(turned) or "as below"


def _settings(lesson: Lesson) -> list[str]:
    """The settings of the base that are not the usual ones."""
    labels, usual = {knob: about.label for knob, about in knobs()}, flat(Experiment())
    turned = [(labels[knob], value_label(knob, value)) for knob, value in flat(lesson.base).items() if value != usual[knob]]
    return ["| knob | value |", "| --- | --- |", *(f"| {plain(label)} | {plain(value)} |" for label, value in turned)]
