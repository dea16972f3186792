"""How to make a run again: the command, the script, and what neither of them can bring along."""

from __future__ import annotations

import shlex
from typing import Any

from tlab_core.absent import Absent
from tlab_core.corpora import CORPORA, corpus_title
from tlab_core.corpora.own import is_own
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.knob_text import knobs
from tlab_core.run import Run
from tlab_core.runs.components import own_modules
from tlab_core.runs.own_text import TEXT
from tlab_core.share import WRITES, as_python, shared, to_query
from tlab_dash.controls import value_label


def command(run: Run) -> str:
    """Return the command that makes the run again, to the step at which it is now or at which it broke."""
    experiment, file = _settings(run), text_file(run.experiment.corpus)
    own = "".join(f" --import {module}" for module in own_modules(experiment) if module != "__main__")
    if file:
        experiment = experiment.replace(corpus=default_experiment().corpus)  # which a link then leaves out
    text = f" --set {shlex.quote(f'corpus={file}')}" if file else ""
    return f"tlab{own} train {shlex.quote(to_query(experiment))}{text} --steps {max(1, _end(run))}"


def script(run: Run) -> str:
    """Return a Python script that makes the run again, to the step at which it is now or at which it broke."""
    experiment = _settings(run)
    if file := text_file(experiment.corpus):
        experiment = experiment.replace(corpus=file)
    last = "print(run.divergence.message)" if run.divergence else WRITES  # a model that broke can't write
    return as_python(experiment, run.marks, until=_end(run), last=last)


def needs(run: Run) -> list[str]:
    """Return in sentences what the command asks of its reader, and in what its run is unlike this one."""
    said = []
    if file := text_file(run.experiment.corpus):
        called = corpus_title(run.experiment.corpus)
        said.append(f"It needs the text that the run learned, “{called}”, which is not in this page. Ask whoever made the "
                    f"run for it, and save it as {file} in the folder where you give the command. On the lab's page, “Use "
                    "my own text…” takes it.")  # fmt: skip
    if not _end(run):
        said.append("The run shown had not begun to train; the command makes its first step.")
    return said


def marks(run: Run) -> list[str]:
    """Return which settings were changed while the run went on, which no command repeats."""
    labels: dict[str, Any] = {knob: param.label for knob, param in knobs()}
    return [f"At step {mark.step:,} {labels[mark.knob].lower()} went from {value_label(mark.knob, mark.before)} to "
            f"{value_label(mark.knob, mark.after)}." for mark in run.marks]  # fmt: skip


def text_file(corpus: str) -> str:
    """Return in which file a reader needs the text of a run, without its author's folders; nothing for one the lab has.

    >>> text_file("stories"), text_file("/home/ada/letters.txt"), text_file("own:0123456789abcdef")
    ('', 'letters.txt', 'text.txt')
    """
    if corpus in CORPORA or isinstance(corpus, Absent):
        return ""
    name = TEXT if is_own(corpus) else corpus_title(corpus)
    return f"./{name}" if name in CORPORA else name  # a corpus wins over a file that is called the same


def _settings(run: Run) -> Experiment:
    """The run's settings, without what its text decides, and with the number of shards that "auto" came to here."""
    experiment = shared(run.experiment)
    shards = run.recorder.attributes.get("shards", experiment.training.shards)
    return experiment.replace(training=experiment.training.replace(shards=shards))


def _end(run: Run) -> int:
    return run.divergence.step if run.divergence else run.step
