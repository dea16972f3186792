"""Two runs for each knob, which differ in it alone: trained, measured, put into words, and kept as a snapshot.

`python -m docs.generator.pairs FOLDER KNOB=KEY ...` is what the site's build calls (made.py).
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from docs.generator.numbers import NUMBERS
from docs.generator.shown import BASE, SHOWN, Pair
from tlab_core.experiment import Experiment
from tlab_core.knob_text import knob_named, with_values
from tlab_core.limits import Limits
from tlab_core.run import LiveRun
from tlab_core.runs.files import write_whole
from tlab_dash.figures import knob_words, short
from tlab_dash.knob_names import differences
from tlab_dash.measures import MEASURES, Measure
from tlab_dash.selection import Selection
from tlab_dash.sentences import sentences
from tlab_dash.snapshot import snapshot_bytes
from tlab_dash.snapshot.again import command

STOPS = 6  # of a snapshot's slider
WRITES = 160  # characters
LONGEST_NAME = 36
EQUAL = 1e-3  # nats: what two training losses may differ by and still be told as a number


def pair_of(knob: str) -> Pair:
    """Return a knob's pair; KeyError for one of which there is nothing to be seen."""
    found = SHOWN[knob]
    if not isinstance(found, Pair):
        raise KeyError(f"{knob} has no pair: {found}")
    return found


def experiments(knob: str) -> dict[str, Experiment]:
    """Return the settings of a knob's two runs, by what its values are called."""
    pair = pair_of(knob)
    both = [with_values(BASE, {**pair.also, knob: value}) for value in pair.values]
    return {_name(knob, value, experiment): experiment for value, experiment in zip(pair.values, both, strict=True)}


def _name(knob: str, value: Any, experiment: Experiment) -> str:
    words = "usual probe text" if value == "" else knob_words(SimpleNamespace(draft=experiment), knob, value).strip()
    return words if len(words) <= LONGEST_NAME else words[: LONGEST_NAME - 1].rstrip() + "…"


def trained(experiment: Experiment, steps: int) -> LiveRun:
    """Return a run of so many steps that has written a text at the start and at the end."""
    run = LiveRun(experiment)
    run.sample(run.experiment.prompt, WRITES)
    run.advance(steps=steps)
    if run.divergence is None:
        run.sample(run.experiment.prompt, WRITES)
    run.trainer.close()
    return run


def made(knob: str, runs: dict[str, LiveRun]) -> dict[str, Any]:
    """Return what the page about a knob says of its two runs: sentences, a table, and the commands that make them again."""
    first, second = runs.values()
    pair, sentences, table = pair_of(knob), told(first, second), rows(first, second)
    if pair.number:
        number = NUMBERS[pair.number]
        values = [f"{number.of(run):{number.form}}" for run in (first, second)]
        names = [f"{value} with {name}" for value, name in zip(values, runs, strict=True)]
        sentences = [{"text": f"Step {pair.steps}: the {number.words} is {' and '.join(names)}.", "lesson": ""}, *sentences]
        table = [[number.words.rstrip(","), *values], *table]
    return {
        "names": list(runs), "steps": pair.steps, "sentences": sentences, "look": pair.look, "rows": table,
        "commands": [command(run) for run in runs.values()],
    }  # fmt: skip


def told(first: LiveRun, second: LiveRun) -> list[dict[str, str]]:
    """Return what differs, in the words that the lab has for it, and how equal the losses are where they hardly differ."""
    session = SimpleNamespace(run=second, ghost=first, selection=Selection(), draft=second.experiment, lesson=None,
                              trouble="", message="", limits=Limits())  # fmt: skip
    said = []
    equal = equality(first, second)
    if differences(first.experiment, second.experiment):  # the prompt is none of what the lab compares
        said = [{"text": one.text.replace("in the ghost", "in the first run"), "lesson": one.lesson}
                for one in sentences(session) if not (equal and one.close) and not _of_the_machine(one.text)]
    return [{"text": equal, "lesson": ""}, *said] if equal else said


def _of_the_machine(sentence: str) -> bool:
    """Return whether a sentence compares what the machine has its share in, such as speed."""
    return any(measure.caution and measure.caution in sentence for measure in MEASURES)


def equality(first: LiveRun, second: LiveRun) -> str | None:
    """Return how close the two training losses stay, where they are as good as equal; else None."""
    losses = [run.recorder.group("train").variables["loss"].values for run in (first, second)]
    if first.experiment.corpus != second.experiment.corpus or len(losses[0]) != len(losses[1]):
        return None
    apart = float(np.abs(losses[0] - losses[1]).max())
    if apart == 0:
        return f"At each of the {len(losses[0])} steps the training loss is the same to the last bit."
    return None if apart > EQUAL else f"At no step do the training losses differ by more than {short(apart)} nats."


def rows(first: LiveRun, second: LiveRun) -> list[list[str]]:
    """Return [what, in the first run, in the second run] of everything that is compared in numbers."""
    numbers: dict[str, Callable[[LiveRun], str]] = {
        "parameters": lambda run: f"{run.model.parameter_count:,}",
        "characters read": lambda run: f"{run.trainer.tokens:,}",
        "measurements on unseen text": lambda run: str(len(run.recorder.group("validation").variables["step"])),
        "looks inside": lambda run: str(len(run.recorder.group("residual").variables["step"])),
        "learning rate of the last step": lambda run: _last(run, "train", "learning_rate"),
        "training loss, last 20 steps": lambda run: "none" if run.recent_loss is None else f"{run.recent_loss:.3f} nats",
        "loss on unseen text": lambda run: f"{_last(run, 'validation', 'loss')} nats",
        **{measure.words.rstrip(",").replace(",", ""): _writer(measure) for measure in MEASURES if not measure.caution},
        "what it writes at the end": lambda run: f"{run.samples[-1].prompt}{run.samples[-1].text}",
    }
    return [[what, of(first), of(second)] for what, of in numbers.items()]


def _writer(measure: Measure) -> Callable[[LiveRun], str]:
    return lambda run: measure.write(measure.of(run, run.recorder.last_step("residual"))) + measure.unit


def _last(run: LiveRun, group: str, variable: str) -> str:
    values = run.recorder.group(group).variables[variable].values
    return f"{values[-1]:.4g}" if len(values) else "none"


def main(folder: Path, wanted: dict[str, str]) -> None:
    """Make the pairs of some knobs, each a JSON file and a snapshot."""
    kept: dict[str, LiveRun] = {}  # many pairs have one run in common
    for knob, made_of in wanted.items():
        runs = {}
        for name, experiment in experiments(knob).items():
            settings = json.dumps(experiment.to_dict(), sort_keys=True)
            runs[name] = kept.get(settings) or trained(experiment, pair_of(knob).steps)
            if experiment == BASE:
                kept[settings] = runs[name]
        page = snapshot_bytes(runs, title=f"{knob_named(knob).label}: {' and '.join(runs)}", steps=STOPS)
        write_whole(folder / f"{knob}-{made_of}.html", page.html)
        write_whole(folder / f"{knob}-{made_of}.json", json.dumps(made(knob, runs), indent=1).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(argument.split("=", 1) for argument in sys.argv[2:]))
