"""`tlab lesson`: the lessons in a terminal: told as a story with one seed, or checked with several."""

from dataclasses import asdict
from typing import Any

import click

from tlab_core.cli.progress import Progress
from tlab_core.cli.words import duration, echo_json, echo_table
from tlab_core.lessons import LESSONS, SEEDS, Lesson, Outcome, run_lesson
from tlab_core.run import LiveRun

WIDTH = 100  # characters of a line of the story


@click.command()
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Train several seeds and say whether the effect is seen; if not, exit code 1.")
@click.option("--all", "every", is_flag=True, help="With --check: check every lesson.")
@click.option("--seeds", type=click.IntRange(min=len(SEEDS), max=100), metavar="N",
              help=f"With --check: how many seeds, from 0 on.  [default: {len(SEEDS)}]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def lesson(name: str | None, check: bool, every: bool, seeds: int | None, as_json: bool) -> None:
    """Take a lesson: a question, runs that answer it, and what the paper found. Without NAME: list the lessons.

    Each trains small models for less than a minute and reads its numbers from them. Nothing is kept on the disk.
    """
    if seeds is not None and not check:
        raise click.UsageError("--seeds goes with --check; without it a lesson runs one seed.")
    if every and (name is not None or not check):
        raise click.UsageError("--all stands for every lesson, so write: tlab lesson --check --all")
    if check and name is None and not every:
        raise click.UsageError("say which lesson to check, or --all.")
    if every:
        check_all([found for _, found in LESSONS.items()], seeds or len(SEEDS), as_json)
    elif name is None:
        list_lessons(as_json)
    elif check:
        check_all([LESSONS.get(name)], seeds or len(SEEDS), as_json)
    else:
        tell(LESSONS.get(name), as_json)


def list_lessons(as_json: bool) -> None:
    """Print every lesson's name, question and source."""
    lessons = [found for _, found in LESSONS.items()]
    if as_json:
        echo_json([about(found) for found in lessons])
        return
    rows = [(found.name, found.title, found.paper.cited, duration(found.seconds)) for found in lessons]
    echo_table(("lesson", "question", "paper", "takes"), rows, right=("takes",))
    click.echo(f"\nTake one with: tlab lesson NAME. With --check it runs {len(SEEDS)} seeds, each of which takes so long.")


def tell(chosen: Lesson, as_json: bool) -> None:
    """Run one seed and tell what came of it."""
    if not as_json:
        click.secho(chosen.title, bold=True)
        say(chosen.prediction.question)
        for answer in chosen.prediction.options.values():
            click.echo(f"  - {answer}")
        click.echo()
    outcome = trained(chosen, 1)
    if as_json:
        echo_json(about(chosen) | as_values(outcome))
        return
    echo_numbers(chosen, outcome)
    click.echo()
    say_verdict(outcome)
    say(chosen.take_away)
    click.echo()
    paper = chosen.paper
    say(f"{paper.authors} {paper.year}, “{paper.title}”, {paper.section}. {paper.found}")
    click.echo(paper.url)
    click.echo(f"\nOne seed is one roll of the dice. For more: tlab lesson {chosen.name} --check")


def check_all(lessons: list[Lesson], count: int, as_json: bool) -> None:
    """Run several seeds of each lesson, print numbers and verdicts, and end with exit code 1 where one was not seen."""
    outcomes = []
    for place, chosen in enumerate(lessons):
        outcomes.append(trained(chosen, count))
        if not as_json:
            if place:
                click.echo()
            click.secho(f"{chosen.name}: {chosen.title}", bold=True)
            echo_numbers(chosen, outcomes[-1])
            say_verdict(outcomes[-1])
    if as_json:
        values = [as_values(outcome) for outcome in outcomes]
        echo_json(values if len(lessons) > 1 else values[0])
    click.get_current_context().exit(0 if all(outcome.verdict.seen for outcome in outcomes) else 1)


def trained(chosen: Lesson, count: int) -> Outcome:
    """Run a lesson with seeds 0, 1, ..., while standard error shows where each run stands."""
    shown: list[tuple[tuple[int, str], Progress]] = []  # at most one: the run that trains now

    def show(seed: int, key: str, run: LiveRun) -> None:
        if not shown or shown[0][0] != (seed, key):
            leave()
            shown.append(((seed, key), Progress(run, chosen.steps)))
            click.echo(f"{chosen.runs[key].label}, seed {seed}", err=True)
            shown[0][1].__enter__()
        shown[0][1].show()

    def leave() -> None:
        if shown:
            shown.pop()[1].__exit__(None, None, None)

    try:
        return run_lesson(chosen, tuple(range(count)), show)
    finally:
        leave()


def echo_numbers(chosen: Lesson, outcome: Outcome) -> None:
    """Print what was measured, a row a number and a column a seed."""
    seeds = [f"seed {seed}" for seed in outcome.seeds]
    rows = [(number.label, *(number.text(measured[key]) for measured in outcome.measured))
            for key, number in chosen.numbers.items()]  # fmt: skip
    echo_table(("measured", *seeds), rows, right=seeds)


def say_verdict(outcome: Outcome) -> None:
    """Print what the seeds say, and what the repair changed."""
    for sentence in filter(None, (outcome.verdict.sentence, outcome.verdict.mended)):
        say(sentence)


def say(text: str) -> None:
    """Print a text in lines that can be read."""
    click.echo(click.wrap_text(text, width=WIDTH))


def about(chosen: Lesson) -> dict[str, Any]:
    """Return what a lesson says of itself before it runs."""
    return {
        "lesson": chosen.name,
        "title": chosen.title,
        "question": chosen.prediction.question,
        "options": dict(chosen.prediction.options),
        "expected": chosen.expected,
        "runs": {key: run.label for key, run in chosen.runs.items()},
        "steps": chosen.steps,
        "take_away": chosen.take_away,
        "paper": asdict(chosen.paper),
        "seconds": chosen.seconds,
    }


def as_values(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain values; the seconds are those of each seed here."""
    values = asdict(outcome)
    return values | {"seconds_taken": values.pop("seconds")}
