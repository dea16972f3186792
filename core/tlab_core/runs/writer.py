"""Writes a live run into its folder while it trains: what was recorded, and every so often where the run stands.

A commit puts new records behind the old ones, writes a checkpoint under a new name, and then replaces commit.json, which
says what counts. Before that moment the folder is what it was, after it the folder is what the run was; a process that is
killed leaves one or the other. The trainer never touches the disk: the writer subscribes to its records, copies what it
needs between two steps, and writes in a thread of its own.
"""

import os
import shutil
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tlab_core.experiment import Experiment
from tlab_core.interrupts import interrupts_wait
from tlab_core.own_statistics import kept
from tlab_core.run import LiveRun
from tlab_core.runs import files
from tlab_core.runs.checkpoint import FOLDER, Checkpoint
from tlab_core.runs.components import codes_of, components_of
from tlab_core.runs.environment import environment
from tlab_core.runs.files import Lock, RunError, line_of, sync_folder, write_json, write_lines, write_whole
from tlab_core.runs.history_file import STEP, HistoryFile
from tlab_core.runs.settings_file import settings_text
from tlab_core.schema import GROUPS, Variable

SCHEMA = 1
EVERY = 30.0  # seconds between two commits: what a killed process loses at most
SHARE = 50  # work of a commit puts off the next one to this many times as long: at most 2 % of one core
MOST_PENDING = 256_000_000  # bytes that wait in memory while the disk refuses them; then maps and histograms are thinned

COMMIT, META, SETTINGS, TOKENIZER, HISTORY = "commit.json", "meta.json", "settings.yaml", "tokenizer.json", "history.zarr"
SAMPLES, MARKS = "samples.jsonl", "marks.jsonl"


class _Job(NamedTuple):
    """What one commit writes, copied between two steps."""

    records: dict[str, list[dict[str, np.ndarray]]]
    attributes: dict[str, Any]
    samples: list[bytes]
    marks: list[bytes]
    checkpoint: Checkpoint
    experiment: Experiment
    loss: float | None
    statistics: dict[str, dict[str, Any]]  # of one's own
    took: float  # seconds to copy it


class RunWriter:
    """Keeps a run folder up to date with a live run, every `every` seconds while it advances, and at the end.

    When the disk is full or the folder can't be written, `problem` says so and the run goes on in memory: what could not
    be written waits, and the next commit, or `commit()`, tries again. Made by RunStore, which knows where folders go.
    """

    def __init__(self, folder: Path, run: LiveRun, lock: Lock, commit: dict[str, Any] | None = None, every: float = EVERY,
                 file: HistoryFile | None = None):
        """Begin to record `run` into `folder`, which holds what `commit` says (None: nothing yet).

        `file` is the folder's history, where it is open already.
        """
        self.run = run
        self.every = every
        self.problem: RunError | None = None
        self._codes = codes_of(run.experiment)  # now: a cell that is run again may put other classes in their places
        self._lock = lock
        self._thread: threading.Thread | None = None
        self._pending: dict[str, list[dict[str, np.ndarray]]] = {name: [] for name in GROUPS}
        self._commit = commit or {"records": dict.fromkeys(GROUPS, 0), SAMPLES: 0, MARKS: 0, "checkpoint": "checkpoint-0-0",
                                  "dropped": {}, "settings_file": None}
        self._dropped = dict(self._commit["dropped"])
        self._told = {SAMPLES: len(run.samples) if commit else 0, MARKS: len(run.marks) if commit else 0}
        self.folder = folder
        self._file = file or HistoryFile(folder / HISTORY, self._commit["records"], run.recorder.groups)
        if commit is None:
            self._take_over()
        run.recorder.subscribe(self._on_record)
        run.watch(self._after_step)
        self._due = time.monotonic() + every

    @property
    def name(self) -> str:
        """Return the run's name, which is its folder's."""
        return self.folder.name

    def commit(self) -> None:
        """Write all that was recorded so far and where the run stands; RunError when the disk refuses it.

        In another thread than the one that trains it waits for the end of a step.
        """
        self._wait()
        self._write(self._job())
        if self.problem is not None:
            raise self.problem

    def close(self, save: bool = True) -> None:
        """Commit once more and let go of the folder. Without `save`, what was not committed yet is given up."""
        self._wait()
        if save:
            self.commit()
            try:
                self._file.trim()
                self._file.sync()
            except OSError as error:
                self.problem = refusal(self.folder, error)
                raise self.problem from error
        self.run.recorder.unsubscribe(self._on_record)
        self.run.unwatch(self._after_step)
        self._lock.release()

    def move(self, folder: Path) -> None:
        """Go on in `folder`, a name that is free on the same disk; raises OSError when it is not."""
        self._wait()
        if os.name != "posix":  # Windows moves no folder with an open file in it
            self._lock.release()
        self.folder.rename(folder)
        if os.name != "posix":
            self._lock = Lock(folder)
        sync_folder(folder.parent, self.folder.parent)
        self.folder = folder
        self._file.move(folder / HISTORY)

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    # ---- in the thread that trains

    def _on_record(self, group: str, record: dict[str, Any]) -> None:
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged run may not fit float32; infinity says so
            copied = {name: np.array(value, self._spec(group, name).dtype) for name, value in record.items()}
        self._pending[group].append(copied)

    def _after_step(self) -> None:
        at_end = self.run.trainer.divergence is not None
        if (time.monotonic() >= self._due or at_end) and not self._is_writing():
            if self.problem is not None and self._waiting_bytes() > MOST_PENDING:
                self._thin_pending()
            # No daemon: a script that ends right after a commit began waits for it.
            self._thread = threading.Thread(target=self._write, args=(self._job(),), name=f"tlab-run-{self.name}")
            self._thread.start()

    def _thin_pending(self) -> None:
        """Drop every other map and histogram that waits, and count them: the disk has refused them for a long time."""
        for name, group in GROUPS.items():
            if group.thinned:
                waiting = self._pending[name]
                self._dropped[name] = self._dropped.get(name, 0) + len(waiting) // 2
                self._pending[name] = waiting[::2]

    def _waiting_bytes(self) -> int:
        return sum(values.nbytes for waiting in self._pending.values() for record in waiting for values in record.values())

    def _take_over(self) -> None:
        """Let all that the run has recorded before wait to be written."""
        run_groups = self.run.recorder.groups
        for group in run_groups:
            variables = self.run.recorder.group(group).variables
            columns = {name: variables[name].values for name in ("step", *run_groups[group].variables)}
            for index in range(len(columns["step"])):
                self._on_record(group, {name: values[index] for name, values in columns.items()})

    def _job(self) -> _Job:
        with self.run.trainer.standing_still():
            began = time.monotonic()
            run, trainer = self.run, self.run.trainer
            training = run.experiment.training.replace(shards=trainer.shards)  # "auto" may be another number elsewhere
            return _Job(
                records={name: waiting[:] for name, waiting in self._pending.items() if waiting},
                attributes=dict(run.recorder.attributes),
                samples=[line_of(asdict(sample)) for sample in run.samples[self._told[SAMPLES]:]],
                marks=[line_of(asdict(mark)) for mark in run.marks[self._told[MARKS]:]],
                checkpoint=Checkpoint.of(trainer),
                experiment=run.experiment.replace(training=training),
                loss=run.recent_loss,
                statistics=kept(trainer.own_statistics),
                took=time.monotonic() - began,
            )  # fmt: skip

    # ---- in the writing thread

    def _write(self, job: _Job) -> None:
        """Make one commit, or set `problem` and leave everything waiting for the next."""
        began = time.thread_time()  # not the clock: most of that passes waiting for the disk, at no cost
        first = "written" not in self._commit
        try:
            with interrupts_wait():
                self._commit_job(job)
            self.problem = None
        except OSError as error:
            self.problem = refusal(self.folder, error)
        except Exception as error:  # from the libraries that write: nobody would see it in this thread
            self.problem = RunError(f"the run {self.name!r} could not be written: {type(error).__name__}: {error}")
            self.problem.__cause__ = error
        # The first commit of all also loads libraries, and says nothing of what the next will cost.
        work = 0.0 if first else job.took + time.thread_time() - began
        self._due = time.monotonic() + max(self.every, SHARE * work)

    def _commit_job(self, job: _Job) -> None:
        folder, before = self.folder, self._commit
        records = dict(before["records"])
        for group, waiting in job.records.items():
            self._file.append(group, {name: np.stack([record[name] for record in waiting]) for name in waiting[0]})
            records[group] += len(waiting)
        self._file.describe(job.attributes)
        self._file.sync()
        samples = write_lines(folder / SAMPLES, before[SAMPLES], job.samples)
        marks = write_lines(folder / MARKS, before[MARKS], job.marks)
        place = self._save_checkpoint(job)
        settings = job.experiment.to_dict()
        commit = {
            "schema": SCHEMA, "written": now(), "step": job.checkpoint.step, "tokens": job.checkpoint.tokens,
            "seconds": job.checkpoint.seconds, "loss": job.loss, "records": records, SAMPLES: samples, MARKS: marks,
            "checkpoint": place, "dropped": self._dropped, "settings": settings,
            "components": components_of(job.experiment), "codes": self._codes, "statistics": job.statistics,
            "settings_file": before["settings_file"],
            "divergence": None if job.checkpoint.divergence is None else asdict(job.checkpoint.divergence),
            "environment": environment() | {"corpus": job.attributes.get("corpus_hash", "")},
        }  # fmt: skip
        write_json(folder / COMMIT, commit)
        self._counts(job, commit)
        sync_folder(folder)
        if settings != commit["settings_file"]:
            # Killed before the next write, the file holds other settings than the commit, and no person has edited it.
            write_whole(folder / SETTINGS, settings_text(job.experiment).encode())
            commit["settings_file"] = settings
            write_json(folder / COMMIT, commit)
            sync_folder(folder)
        self._sweep()

    def _save_checkpoint(self, job: _Job) -> str:
        serial = int(self._commit["checkpoint"].rsplit("-", 1)[1]) + 1
        place = f"checkpoint-{job.checkpoint.step}-{serial}"
        shutil.rmtree(self.folder / place, ignore_errors=True)  # what a try that failed has left
        job.checkpoint.save(self.folder / place, {"step": str(job.checkpoint.step)})
        return place

    def _counts(self, job: _Job, commit: dict[str, Any]) -> None:
        """Take note that a job has become part of the folder."""
        self._commit = commit
        self._file.settle(commit["records"])
        self._told[SAMPLES] += len(job.samples)
        self._told[MARKS] += len(job.marks)
        for group, written in job.records.items():
            del self._pending[group][: len(written)]

    def _sweep(self) -> None:
        """Remove the checkpoints that no commit speaks of any more."""
        for path in self.folder.iterdir():
            if FOLDER.fullmatch(path.name) and path.name != self._commit["checkpoint"]:
                shutil.rmtree(path, ignore_errors=True)

    def _spec(self, group: str, name: str) -> Variable:
        return STEP if name == "step" else self.run.recorder.groups[group].variables[name]

    # ---- the thread

    def _is_writing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def refusal(folder: Path, error: OSError, live: bool = True) -> RunError:
    """Return the error that says in words why a folder could not be written, with a `live` run or without one."""
    # A folder that is still being made has a name for the moment, which says nothing to a reader.
    named = error.filename and files.UNFINISHED not in str(error.filename)
    where = f" ({error.strerror}: {error.filename})" if named else f" ({error.strerror})"
    rest = "What was committed before is safe, and the run goes on in memory" if live else "Nothing was changed"
    then = "save again" if live else "try again"
    if error.errno in files.FULL:
        said = RunError(f"no room on the disk for the run {folder.name!r}{where}. {rest}: make room, then {then}.")
    elif error.errno in files.READ_ONLY:
        said = RunError(f"{folder} is read-only here{where}. {rest}: make it writable, then {then}.")
    else:
        said = RunError(f"the run {folder.name!r} could not be written{where}. {rest}: mend it, then {then}.")
    said.__cause__ = error
    return said


def now() -> str:
    """Return the time as ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
