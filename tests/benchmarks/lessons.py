"""What every lesson finds: its numbers over several seeds, and whether the paper's effect is seen at this size.

    python -m tests.benchmarks.lessons                     prints a line a lesson
    python -m tests.benchmarks.lessons norm-first          only that one
    python -m tests.benchmarks.lessons --write             also writes docs/lessons.md, which takes all lessons

A spread is the standard deviation between seeds (n - 1). Seconds are processor time of one seed, all cores and all its runs
together, the mean over seeds: with nothing else to do, a machine takes no longer than that.
"""

import argparse
import os
import platform
import statistics
from pathlib import Path

from tlab_core.lessons import LESSONS, SEEDS, Lesson, Number, Outcome, run_seed

PAGE = Path(__file__).parents[2] / "docs" / "lessons.md"
COMMAND = "python -m tests.benchmarks.lessons --write"
HEADER = ("lesson", "effect", "the paper", "here, mean ± spread", "seen", "seconds")


def run(lesson: Lesson, seeds: tuple[int, ...]) -> Outcome:
    """Run a lesson; the seconds are processor time, worker processes included."""
    measured, seconds = [], []
    for seed in seeds:
        began = sum(os.times()[:4])
        measured.append(run_seed(lesson, seed))
        seconds.append(sum(os.times()[:4]) - began)
    return Outcome(lesson.name, seeds, tuple(measured), tuple(seconds), lesson.verdict(measured))


def with_spread(number: Number, values: list[float]) -> str:
    """Return the mean and, of several values, their standard deviation, as the number is written."""
    text = number.text(statistics.fmean(values))
    if len(values) < 2:
        return text
    return f"{text} ± {number.text(statistics.stdev(values)).removeprefix('+')}"


def measured(lesson: Lesson, outcome: Outcome, key: str) -> str:
    """Return one of a lesson's numbers over the seeds."""
    return with_spread(lesson.numbers[key], [numbers[key] for numbers in outcome.measured])


def cells(lesson: Lesson, outcome: Outcome) -> list[str]:
    """Return a lesson's line of the table."""
    verdict = outcome.verdict
    return [
        f"[{lesson.name}](#{lesson.name})",
        lesson.effect,
        f"{lesson.paper.found} ([{lesson.paper.cited}]({lesson.paper.url}))",
        f"{lesson.numbers[lesson.headline].label}: {measured(lesson, outcome, lesson.headline)}",
        f"{'yes' if verdict.seen else 'no'}, {verdict.agree} of {verdict.of}",
        f"{statistics.fmean(outcome.seconds):.0f}",
    ]


def section(lesson: Lesson, outcome: Outcome) -> str:
    """Return what the page says of one lesson."""
    paper = lesson.paper
    rows = [("measured", "mean ± spread"), ("---", "---:")]
    rows += [(number.label, measured(lesson, outcome, key)) for key, number in lesson.numbers.items()]
    return "\n".join([
        f"## {lesson.name}", "", f"**{lesson.title}** {lesson.prediction.question}", "", *map(row, rows), "",
        f"{outcome.verdict.sentence} {outcome.verdict.mended}".strip(), "", lesson.take_away, "",
        f"{paper.authors} {paper.year}, [{paper.title}]({paper.url}), {paper.section}.", "",
    ])  # fmt: skip


def row(columns) -> str:
    """Return cells as a line of a Markdown table."""
    return "| " + " | ".join(text.replace("|", "\\|") for text in columns) + " |"


def page(found: list[tuple[Lesson, Outcome]]) -> str:
    """Return docs/lessons.md."""
    from tlab_core.parallel import blas_kernels, cores

    seeds = ", ".join(map(str, found[0][1].seeds))
    return "\n".join([
        "# Lessons", "",
        "Each lesson asks a question, has you guess, trains small models, and reads the answer from what was measured. "
        "`tlab lesson` lists them, `tlab lesson NAME` takes one, `tlab lesson NAME --check` runs several seeds.", "",
        f"Written by `{COMMAND}`: seeds {seeds}, chosen in advance; {', '.join(blas_kernels())}, {cores()} cores, "
        f"{platform.machine()}. A spread is the standard deviation between seeds. An effect is seen when at least two "
        "thirds of the seeds show it, by thresholds that stand in the lesson's file. Losses are in nats a character. "
        "Seconds are processor time of one seed, all its runs and all cores together.", "",
        row(HEADER), row(["---", "---", "---", "---", "---", "---:"]),
        *(row(cells(*pair)) for pair in found), "",
        *(section(*pair) for pair in found),
    ])  # fmt: skip


def main():
    """Run the lessons, print what they find, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="which lessons (all of them unless named)")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many seeds, from 0 on")
    parser.add_argument("--write", action="store_true", help="write docs/lessons.md")
    given = parser.parse_args()
    if given.seeds < 1:
        parser.error("--seeds must be at least 1")
    if unknown := [name for name in given.names if name not in LESSONS]:
        parser.error(f"unknown lessons {', '.join(unknown)}: choose from {', '.join(LESSONS.names())}")
    if given.write and given.names:
        parser.error("--write takes all lessons: name none")
    found = []
    for name in given.names or LESSONS.names():
        lesson = LESSONS.get(name)
        found.append((lesson, run(lesson, tuple(range(given.seeds)))))
        print(lesson.name, *cells(*found[-1])[3:], sep="  ", flush=True)
        for key in lesson.numbers:
            print("   ", lesson.numbers[key].label, *(lesson.numbers[key].text(n[key]) for n in found[-1][1].measured))
        print("   ", found[-1][1].verdict.sentence, flush=True)
    if given.write:
        PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
