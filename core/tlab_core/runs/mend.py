"""Writing anew what is lost of a run and is kept elsewhere too, and letting go of what isn't."""

from collections.abc import Callable, Iterator
from pathlib import Path

from tlab_core.runs.damage import edited_settings
from tlab_core.runs.files import RunError, sync_folder, write_json, write_whole
from tlab_core.runs.saved import (
    SavedHistory,
    experiment_of,
    groups_of,
    lost_meta,
    read_commit,
    read_marks,
    read_meta,
    read_samples,
)
from tlab_core.runs.settings_file import settings_text
from tlab_core.runs.writer import COMMIT, HISTORY, MARKS, META, SAMPLES, SETTINGS


def mend(folder: Path) -> list[str]:
    """Mend the side files of a run that nobody else writes, and return a sentence on each. RunError if it is no run."""
    commit = read_commit(folder)
    experiment = experiment_of(commit, folder / COMMIT)
    done = []
    if _broken(lambda: edited_settings(folder, experiment)):
        write_whole(folder / SETTINGS, settings_text(experiment).encode())
        done.append(f"{SETTINGS} was written anew from {COMMIT}.")
    if _broken(lambda: read_meta(folder)):
        groups = groups_of(commit, folder / COMMIT)
        write_json(folder / META, lost_meta(SavedHistory(folder / HISTORY, commit["records"], groups)))
        done.append(f"{META} was written anew, without tags, note and the letters of the probe text.")
    for name, read in ((SAMPLES, read_samples), (MARKS, read_marks)):
        if _broken(lambda read=read, name=name: read(folder, commit[name])):
            whole = list(_whole_lines(folder, name, read))
            write_whole(folder / name, b"".join(whole))
            commit[name] = sum(map(len, whole))
            done.append(f"{name} keeps {len(whole)} of its lines.")
    if done:
        write_json(folder / COMMIT, commit)
        sync_folder(folder)
    return done


def _whole_lines(folder: Path, name: str, read: Callable[[Path, int], list]) -> Iterator[bytes]:
    """Yield the lines of a file up to the first that is broken."""
    path = folder / name
    size = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
        size += len(line)
        if not line.endswith(b"\n") or _broken(lambda size=size: read(folder, size)):
            return
        yield line


def _broken(read: Callable[[], object]) -> bool:
    try:
        read()
    except RunError:
        return True
    return False
