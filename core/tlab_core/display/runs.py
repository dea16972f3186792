"""What runs, trainers and histories say of themselves: step, losses, what is not at its default, what was measured."""

import math
from typing import Any

import numpy as np

from tlab_core.corpora import corpus_title
from tlab_core.display.description import Description, Row, Table, shortened
from tlab_core.display.numbers import loss_figure
from tlab_core.display.settings import as_code, changed, difference_rows, differing, in_words
from tlab_core.run import WINDOW
from tlab_core.schema import GROUPS
from tlab_core.transformer import Transformer

BASELINES = {"uniform": "any character, equally likely", "unigram": "letter counts alone", "bigram": "letter pairs alone"}


def of_run(run: Any) -> Description:
    """Return what text a run learns, its step, its losses among the baselines, what differs, what was measured."""
    e = run.experiment
    lines = [_model_line(e.architecture)]
    if run.divergence is not None:
        lines.append(run.divergence.message)
    tables = [_losses(run.recorder, run.baselines), _differences(differing(e))]
    if run.marks:
        rows = tuple(Row((f"step {mark.step:,}", mark.knob, f"{as_code(mark.before)} became {as_code(mark.after)}"))
                     for mark in run.marks)  # fmt: skip
        tables.append(Table("Changed on the way", rows))
    tables.append(_measured(run.recorder))
    if others := _others(run):
        tables.append(Table("Beside that", others))
    return Description(f"{_title(run)} on {_text_name(e.corpus)}, {_at(run.step, e.training.steps)}", tuple(lines),
                       tuple(tables))  # fmt: skip


def run_line(run: Any, loss: float | None) -> str:
    """Return a run in one line, for lists and messages."""
    told = "" if loss is None else f", loss {loss:.2f}"
    return f"<{_title(run)} on {_text_name(run.experiment.corpus)} at step {run.step:,}{told}: " \
           f"{in_words(run.experiment.architecture)}>"


def of_saved(run: Any) -> Description:
    """Return what `of_run` does, and where the run is kept; what of the history can't be read is said instead."""
    try:
        known = of_run(run)
    except ValueError as error:  # RunError, and what a damaged array raises
        known = Description(f"{_title(run)} on {_text_name(run.experiment.corpus)}", (str(error),))
    meta = {"folder": str(run.folder), "created": run.meta["created"], "tags": ", ".join(run.meta["tags"]),
            "note": shortened(run.meta["note"]) if run.meta["note"] else ""}  # fmt: skip
    rows = tuple(Row((name, told)) for name, told in meta.items() if told)
    return Description(known.title, (*known.lines, *run.remarks), (*known.tables, Table("Kept", rows)))


def of_trainer(trainer: Any) -> Description:
    """Return what a trainer has made of its model so far, and with which settings."""
    data, t = trainer.data, trainer.training
    lines = [_model_line(trainer.model.architecture),
             f"{len(data.training):,} tokens to train on, {len(data.validation):,} held back; "
             f"{trainer.shards} shards, executor {trainer.executor}"]  # fmt: skip
    if trainer.divergence is not None:
        lines.append(trainer.divergence.message)
    tables = (_losses(trainer.recorder, {}), _differences(changed(t)), _measured(trainer.recorder))
    return Description(f"Trainer, {_at(trainer.step, t.steps)}", tuple(lines), tables)


def of_history(history: Any) -> Description:
    """Return the groups of a history, how many records each has, and its variables."""
    held = sum(history.group(name).nbytes for name in history.groups)
    rows = []
    for name, group in history.groups.items():  # with statistics of one's own
        count, steps = _recorded(history, name)
        sizes = " × ".join(f"{dim} {len(history.coordinates[dim])}" for dim in group.dims)
        rows.append(Row((name, f"{count:,}", steps, sizes, ", ".join(group.variables))))
    columns = ("group", "records", "steps", "each record", "variables")
    size = f"{held / 1e6:.1f} MB of numbers; .tree has them as an xarray DataTree"
    return Description(history_line(history).strip("<>"), (size,), (Table("", tuple(rows), columns, right=(1,)),))


def history_line(history: Any) -> str:
    """Return a history in one line."""
    newest = max((step for name in GROUPS if (step := history.last_step(name)) is not None), default=None)
    told = "nothing recorded yet" if newest is None else f"up to step {newest:,}"
    return f"<{type(history).__name__}: {len(GROUPS)} groups, {told}>"


# ---- pieces


def _title(run: Any) -> str:
    name = getattr(run, "name", None)
    return f"{type(run).__name__} {name!r}" if name else type(run).__name__


def _text_name(corpus: str) -> str:
    return shortened(corpus_title(corpus))


def _at(step: int, horizon: int) -> str:
    return f"step {step:,} of {horizon:,}"


def _model_line(architecture: Any) -> str:
    numbers = sum(map(math.prod, Transformer.shapes_of(architecture).values()))
    return f"{in_words(architecture)}, {numbers:,} parameters"


def _losses(recorder: Any, baselines: dict[str, float]) -> Table:
    """Return the run's losses and what simple guessing would lose, from the highest to the lowest."""
    train = np.asarray(recorder.group("train").variables["loss"][-WINDOW:].values)
    validation = recorder.group("validation").variables
    found = [(float(nats), Row((BASELINES[kind], f"{nats:.3f}"))) for kind, nats in baselines.items() if kind in BASELINES]
    if train.size:
        loss, told = float(train.mean()), f"mean of the last {train.size} steps" if train.size > 1 else "a single step"
        found.append((loss, Row(("training text", loss_figure(loss), told), marked=bool(baselines))))
    if len(validation["step"]):
        loss, step = float(validation["loss"][-1].values), int(validation["step"][-1].values)
        found.append((loss, Row(("unseen text", loss_figure(loss), f"at step {step:,}"), marked=bool(baselines))))
    if not found:
        return Table("Loss", (Row(("nothing measured yet",)),))
    # What is not a number can't be compared; it comes first, where it is noticed.
    found.sort(key=lambda pair: -pair[0] if math.isfinite(pair[0]) else -math.inf)
    return Table("Loss in nats a character", tuple(row for _, row in found), right=(1,), legend="this run")


def _differences(pairs: dict[str, tuple[Any, Any]]) -> Table:
    return Table("Not at its default", difference_rows(pairs) or (Row(("nothing",)),))


def _measured(recorder: Any) -> Table:
    """Return how much was recorded, groups with the same records in one row."""
    alike: dict[tuple[int, str], list[str]] = {}
    for name in GROUPS:
        alike.setdefault(_recorded(recorder, name), []).append(name)
    rows = tuple(Row((f"{count:,}", steps or "none yet", ", ".join(names))) for (count, steps), names in alike.items())
    return Table("Measured", rows, ("records", "steps", "groups of history"), right=(0,))


def _recorded(recorder: Any, group: str) -> tuple[int, str]:
    steps = recorder.group(group).variables["step"].values
    if not len(steps):
        return 0, ""
    return len(steps), f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"


def _others(run: Any) -> tuple[Row, ...]:
    rows = []
    if run.samples:
        newest = run.samples[-1]
        rows.append(Row((f"wrote at step {newest.step:,}", shortened(newest.prompt + newest.text))))
    if run.analyses:
        rows.append(Row(("analyses", ", ".join(run.analyses))))
    return tuple(rows)
