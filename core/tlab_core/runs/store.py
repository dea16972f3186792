"""A folder of runs: each run is a folder in it, made whole, listed fast, and deleted so that it can be had back."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tlab_core.interrupts import interrupts_wait
from tlab_core.registry import did_you_mean
from tlab_core.run import LiveRun
from tlab_core.runs.damage import LOST, lost_lines, lost_settings
from tlab_core.runs.environment import differences, environment
from tlab_core.runs.files import UNFINISHED, Lock, RunError, checked_name, cleaned_name, is_locked, sync_folder, write_json
from tlab_core.runs.history_file import HistoryFile
from tlab_core.runs.mend import mend
from tlab_core.runs.own_text import put_text, usual_name
from tlab_core.runs.resume import changed_code, edit_in_words, going_on, lost_statistics
from tlab_core.runs.saved import SavedRun, divergence_of, read_commit, read_meta
from tlab_core.runs.writer import COMMIT, EVERY, HISTORY, META, SCHEMA, TOKENIZER, RunWriter, now, refusal

TRASH = ".trash"
ABANDONED = 5.0  # seconds after which a folder that is being made, and that nobody has locked, is litter


def default_folder() -> Path:
    """Return the folder that runs are kept in unless another is named: $TLAB_RUNS, or `runs` where the program started."""
    return Path(os.environ.get("TLAB_RUNS") or "runs")


@dataclass(frozen=True)
class RunInfo:
    """What a list of runs says of one. With a `problem` the folder can't be read, and the rest is empty.

    `loss` is the mean of the last 20 steps' training losses; `remarks` say what is lost of a run that can still be read, as
    far as the sizes of its files show it.
    """

    name: str
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    loss: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    note: str = ""
    created: str = ""
    written: str = ""
    divergence: str | None = None
    running: bool = False
    problem: str | None = None
    remarks: tuple[str, ...] = ()


class ResumedWarning(UserWarning):
    """Why the numbers of a run that goes on may not be those of a run that never stopped."""


class Resumed(NamedTuple):
    """A run that goes on: `differences` says, a sentence each, why its numbers may not be those of a run never stopped.

    In a `with` statement it is the run itself, which is saved at the end; each difference is then a ResumedWarning. Without
    one, `writer.close()` saves what was not committed yet.
    """

    run: LiveRun
    writer: RunWriter
    differences: list[str]

    def __enter__(self) -> LiveRun:
        for said in self.differences:
            warnings.warn(said, ResumedWarning, stacklevel=2)
        return self.run

    def __exit__(self, *error) -> None:
        self.writer.close()

    def __repr__(self) -> str:
        return f"<Resumed: {self.writer.name!r}, {self.run!r}, {len(self.differences)} differences>"


class RunStore:
    """The runs in one folder, which is made when the first run is.

    Names can't lead out of the folder, two processes never write the same run, and every error is a RunError.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder).expanduser().absolute()

    def list(self) -> list[RunInfo]:
        """Return what there is to say of each run, by name; only small files are read."""
        if not self.folder.is_dir():
            return []
        with os.scandir(self.folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
        return [info(self.folder / name) for name in sorted(names) if (self.folder / name / COMMIT).exists()]

    def open(self, name: str) -> SavedRun:
        """Return a run as its last commit left it, also while it is being written."""
        return SavedRun(self._find(name))

    def create(self, run: LiveRun, name: str | None = None, every: float = EVERY) -> RunWriter:
        """Begin to write a live run into a folder of its own, with all that it has recorded so far.

        name: None takes the corpus's and the first free number. every: seconds between two commits.
        Ctrl-C leaves no folder behind.
        """
        if name is not None:
            self.check_free(name)
        making = lock = writer = None
        try:
            with interrupts_wait():  # what Zarr has begun in threads of its own would go on below
                self.folder.mkdir(parents=True, exist_ok=True)
                self._clear_unfinished()
                making = self.folder / f"{UNFINISHED}{os.getpid()}-{time.time_ns()}"
                making.mkdir()
                lock = Lock(making)
                file = HistoryFile.create(making / HISTORY, run.recorder.coordinates, run.recorder.attributes,
                                          run.recorder.groups)
                run.tokenizer.save(making / TOKENIZER)
                own = put_text(making, run.experiment.corpus)
                write_json(making / META, {"schema": SCHEMA, "created": now(), "tags": [], "note": "",
                                           "probe_tokens": run.probe_tokens, "baselines": run.baselines, **own})
                writer = RunWriter(making, run, lock, every=every, file=file)
                writer.commit()
                usual = f"{cleaned_name(usual_name(run.experiment.corpus))}-1"
                self._take_name(writer, name or usual, fixed=name is not None)
        except BaseException as error:
            if writer is not None:
                writer.close(save=False)
                making = writer.folder
            self._abandon(making, lock)
            cause = error.__cause__ if isinstance(error, RunError) else error
            if isinstance(cause, OSError):
                raise refusal(self.folder / (name or "new run"), cause) from cause
            raise
        return writer

    def resume(self, name: str, every: float = EVERY) -> Resumed:
        """Return a run that goes on where its last commit left it, and that is written into its folder again.

            with store.resume("mine") as run:
                run.advance(steps=500)

        On the machine and the versions that saved it, it makes the same numbers to the last bit as a run that never
        stopped. Settings edited in settings.yaml since are taken over: each is a mark in the run from then on. What may
        change a number is among the differences.
        """
        folder = self._find(name)
        try:
            lock = Lock(folder)
        except OSError as error:
            raise refusal(folder, error, live=False) from error
        run = None
        try:
            saved = SavedRun(folder)
            run, edited = going_on(saved)
            writer = RunWriter(folder, run, lock, saved.commit, every)
            run.marks = [*run.marks, *edited]  # which the writer has yet to write
        except BaseException as error:
            if run is not None:
                run.trainer.close()
            lock.release()
            if isinstance(error, OSError):
                raise refusal(folder, error, live=False) from error
            raise
        here = environment() | {"corpus": run.recorder.attributes["corpus_hash"]}
        return Resumed(run, writer, [*map(edit_in_words, edited), *lost_statistics(run), *changed_code(saved),
                                       *differences(saved.commit["environment"], here)])

    def take(self, writer: RunWriter, name: str) -> None:
        """Move a run that is being written in another store on this disk, such as a scratch folder, into this one."""
        self.check_free(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_name(writer, name, fixed=True)
        except OSError as error:
            raise refusal(self.folder / name, error) from error

    def rename(self, name: str, new: str) -> None:
        """Give a run another name; not while it is being written."""
        self.check_free(new)
        self._move(self._find(name), self.folder / new)

    def annotate(self, name: str, tags: Iterable[str] | None = None, note: str | None = None) -> None:
        """Replace a run's tags or its note; None leaves them."""
        folder = self._find(name)
        meta = read_meta(folder)
        meta |= {"tags": [str(tag) for tag in tags]} if tags is not None else {}
        meta |= {"note": str(note)} if note is not None else {}
        try:
            write_json(folder / META, meta)
        except OSError as error:
            raise refusal(folder, error, live=False) from error

    def mend(self, name: str) -> list[str]:
        """Write anew what is lost of a run and is kept elsewhere too, let go of what isn't, and say what was done.

        Not while the run is being written. What a run needs to go on can't be had from anywhere else.
        """
        folder = self._find(name)
        lock = None
        try:
            lock = Lock(folder)
            return mend(folder)
        except OSError as error:
            raise refusal(folder, error, live=False) from error
        finally:
            if lock is not None:
                lock.release()

    def delete(self, name: str) -> str:
        """Put a run into the trash and return the name it has there, for `restore`; not while it is being written."""
        folder = self._find(name)
        deleted = f"{name} {time.time_ns()}"
        self._move(folder, self.folder / TRASH / deleted)
        return deleted

    def deleted(self) -> list[str]:
        """Return the names in the trash, the newest last."""
        trash = self.folder / TRASH
        names = [path.name for path in trash.iterdir()] if trash.is_dir() else []
        return sorted(names, key=lambda name: name.rpartition(" ")[2])

    def restore(self, deleted: str, name: str | None = None) -> str:
        """Take a run out of the trash, under its old name or another, and return that name."""
        if deleted not in self.deleted():
            raise RunError(f"there is no {deleted!r} in the trash of {self.folder}.{did_you_mean(deleted, self.deleted())}")
        name = name or deleted.rpartition(" ")[0]
        self.check_free(name)
        self._move(self.folder / TRASH / deleted, self.folder / name)
        return name

    def empty_trash(self) -> None:
        """Remove what was deleted for good."""
        shutil.rmtree(self.folder / TRASH, ignore_errors=True)

    def check_free(self, name: str) -> None:
        """Raise RunError for a name that no run can have, or that one has already."""
        checked_name(name)
        if os.path.lexists(self.folder / name):
            raise RunError(f"there is a run {name!r} in {self.folder} already. Take another name, such as "
                           f"{self._free(f'{name}-2')!r}, or delete that run first.")

    # ---- folders

    def _find(self, name: str) -> Path:
        """Return a run's folder; RunError for a name that no run has or can have, and for a link that leads elsewhere."""
        folder = self.folder / checked_name(name)
        if not folder.is_dir():
            names = [known.name for known in self.list()]
            listed = f" There are {', '.join(names[:20])}" if names else " It has none"
            listed += " and more." if len(names) > 20 else "."
            raise RunError(f"there is no run {name!r} in {self.folder}.{did_you_mean(name, names)}{listed}")
        if folder.resolve().parent != self.folder.resolve():
            raise RunError(f"{folder} is a link that leads out of {self.folder}. Open the folder that it leads to.")
        return folder

    def _free(self, name: str) -> str:
        """Return `name`, or with its last number counted up, whatever is first free."""
        base, _, number = name.rpartition("-")
        number = int(number)
        while os.path.lexists(self.folder / f"{base}-{number}"):
            number += 1
        return f"{base}-{number}"

    def _take_name(self, writer: RunWriter, name: str, fixed: bool) -> None:
        """Move a writer's folder to a name of this store: one step of the file system, which only one process can win."""
        while True:
            name = name if fixed else self._free(name)
            try:
                return writer.move(self.folder / name)
            except OSError:
                if not os.path.lexists(self.folder / name):
                    raise
                if fixed:
                    self.check_free(name)

    def _move(self, folder: Path, to: Path) -> None:
        try:
            Lock(folder).release()  # refuses while it is being written
            to.parent.mkdir(exist_ok=True)
            folder.rename(to)
            sync_folder(folder.parent, to.parent)
        except OSError as error:
            raise refusal(folder, error, live=False) from error

    def _clear_unfinished(self) -> None:
        """Remove what a process left that was killed while it made a run."""
        for path in self.folder.glob(f"{UNFINISHED}*"):
            with suppress(OSError, RunError):
                # A young one may belong to a process that is about to lock it.
                if time.time() - path.stat().st_mtime > ABANDONED:
                    Lock(path).release()
                    shutil.rmtree(path, ignore_errors=True)

    def _abandon(self, making: Path | None, lock: Lock | None) -> None:
        if lock is not None:
            lock.release()
        if making is not None:
            shutil.rmtree(making, ignore_errors=True)


def info(folder: Path) -> RunInfo:
    """Return what a list says of the run in a folder."""
    try:
        commit = read_commit(folder)
        divergence = divergence_of(commit, folder / COMMIT)
    except RunError as error:
        return RunInfo(folder.name, problem=str(error))
    meta, remarks = {"tags": [], "note": "", "created": ""}, lost_lines(folder, commit)
    try:
        meta = read_meta(folder)
    except RunError as error:
        remarks.append(f"{error} {LOST[META]}")
    if said := lost_settings(folder, commit):
        remarks.append(said)
    return RunInfo(
        folder.name, commit["step"], commit["tokens"], commit["seconds"], commit["loss"], commit["settings"],
        tuple(meta["tags"]), meta["note"], meta["created"], commit["written"],
        divergence.message if divergence else None, is_locked(folder), remarks=tuple(remarks),
    )  # fmt: skip
