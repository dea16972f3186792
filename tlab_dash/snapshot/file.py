"""A snapshot as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlab_core.registry import did_you_mean
from tlab_core.run import Run
from tlab_core.runs.files import reason, write_whole
from tlab_dash.snapshot.given import listed, runs_of
from tlab_dash.snapshot.page import MEGABYTES, STEPS, Snapshot, snapshot_bytes
from tlab_dash.snapshot.scene import SnapshotError

if TYPE_CHECKING:
    from tlab_dash.lab import Lab

ENDINGS = (".html", ".htm")
OPTIONS = ("title", "notes", "steps", "megabytes")
TWICE = "What is given twice is shown once."


def snapshot(
    run_or_lab: Run | Sequence[Run] | Mapping[str, Run] | Lab, path: str | PathLike, *, title: str = "", notes: str = "",
    steps: int = STEPS, megabytes: float = MEGABYTES, **unknown: Any,
) -> Snapshot:  # fmt: skip
    """Write a run, several runs or what a lab shows as one HTML file to `path`; one that is there is replaced.

    path          ends in .html or .htm
    title, notes  the author's words; notes in Markdown. Without a title it is called after its runs
    steps         of the recorded steps, how many the slider goes through
    megabytes     how large the file may become; to stay below, it goes through fewer steps

    Attention is stored as one byte a weight, within 0.004 of what was recorded; all other numbers as float32. Raises
    SnapshotError for a path that can't be written to and whatever can't be shown, TypeError for another keyword.
    """
    for name in unknown:
        raise TypeError(f"unknown keyword {name!r}: allowed are {', '.join(OPTIONS)}.{did_you_mean(name, OPTIONS)}")
    path = _checked(path)
    runs = runs_of(run_or_lab)
    made = snapshot_bytes(runs, title=title, notes=notes, steps=steps, megabytes=megabytes)
    if not isinstance(run_or_lab, Mapping) and len(runs) < len(listed(run_or_lab)):
        made = replace(made, left_out=(TWICE, *made.left_out))
    try:
        write_whole(path, made.html)
    except OSError as error:
        raise SnapshotError(f"{str(path)!r} can't be written: {reason(error)}.") from error
    return made


def _checked(path: Any) -> Path:
    if not isinstance(path, str | PathLike):
        raise TypeError(f"path = {path!r} is not allowed: it must be the name of a file, such as 'run.html'.")
    path = Path(path)
    if path.is_dir():
        raise SnapshotError(f"{str(path)!r} is a folder: name a file in it, such as {str(path / 'run.html')!r}.")
    if path.suffix.lower() not in ENDINGS:
        raise SnapshotError(f"{str(path)!r} does not end in .html: a snapshot is a web page. Name it "
                            f"{str(path.with_suffix('.html'))!r}; a browser can print it as a PDF.")  # fmt: skip
    if not path.parent.is_dir():
        raise SnapshotError(f"there is no folder {str(path.parent)!r} to write {path.name!r} to: make it first.")
    return path
