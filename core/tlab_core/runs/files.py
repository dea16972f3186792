"""Files that are there whole or not at all, names that stay inside their folder, and a lock that dies with its holder."""

import errno
import json
import os
import re
import time
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

if os.name == "posix":
    import fcntl
else:
    import msvcrt

LARGEST_JSON = 64_000_000  # bytes
GLANCES, GLANCE = 5, 0.02  # tries, and seconds between them, to get a lock
LONGEST_NAME = 80  # characters: at most 240 bytes of UTF-8 for letters, within what file systems allow
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


UNFINISHED = ".new-"  # begins the names of folders that are being made
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class RunError(ValueError):
    """A run folder that can't be written, read or found; the message says which, why and what to do."""


def reason(error: BaseException) -> str:
    """Return why something could not be written, without a number that only a system knows.

    >>> reason(OSError(errno.ENOSPC, "No space left on device")), reason(OSError(errno.EIO, "Input/output error"))
    ('the disk is full', 'input/output error')
    """
    if not isinstance(error, OSError) or error.errno is None:
        return str(error) or type(error).__name__
    words = error.strerror or errno.errorcode.get(error.errno, "unknown error")
    return "the disk is full" if error.errno in FULL else "it is read-only" if error.errno in READ_ONLY else (
        words[0].lower() + words[1:])


# ---- names


def checked_name(name: str) -> str:
    """Return `name` when it can be a run's folder on any system; else raise RunError with one that can.

    >>> checked_name("stories, 4 layers")
    'stories, 4 layers'
    """
    if isinstance(name, str) and name == cleaned_name(name):
        return name
    shown = repr(name) if len(repr(name)) <= 2 * LONGEST_NAME else repr(name)[: 2 * LONGEST_NAME] + "..."
    raise RunError(
        f"a run can't be named {shown}: allowed are up to {LONGEST_NAME} letters, digits, spaces and any of -_.,+=()#, "
        f"beginning with a letter or digit and not ending with a point or space. For example: {cleaned_name(str(name))!r}."
    )


def cleaned_name(name: str) -> str:
    """Return the nearest name that a run can have.

    >>> cleaned_name("a/b: c?"), cleaned_name("..."), cleaned_name("con")
    ('a-b- c', 'run', 'run-con')
    """
    kept = re.sub(r"[^\w .,+=()#-]+", "-", unicodedata.normalize("NFC", name))
    kept = re.sub(r"^[\W_]+", "", kept)[:LONGEST_NAME].rstrip(" .-" if kept != name else " .")
    if not kept:
        return "run"
    return f"run-{kept}"[:LONGEST_NAME].rstrip(" .") if kept.split(".")[0].casefold() in RESERVED else kept


# ---- writing


def write_whole(path: Path, data: Any) -> None:
    """Put `data` (bytes) where `path` says so that a reader sees the old file or the new one, also after a power cut.

    The bytes go to a file of another name, reach the disk, and take the name in one step. `sync_folder` makes the name
    itself last.
    """
    aside = path.with_name(f"{path.name}.new")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def sync_folder(*folders: Path) -> None:
    """Make the names in these folders last through a power cut; Windows has no way to ask for it, and needs none."""
    if os.name != "posix":
        return
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON that a person can read, whole or not at all."""
    write_whole(path, json.dumps(content, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")


# ---- reading


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, or raise RunError."""
    raw = read_bytes(path, LARGEST_JSON)
    try:
        content = json.loads(raw.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not JSON, or only the beginning of it ({error}).") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} holds a JSON {type(content).__name__} where an object should be.")
    return content


def read_bytes(path: Path, largest: int) -> bytes:
    """Return a file's bytes; RunError when it can't be read or has more than `largest`."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > largest:
                raise RunError(f"{path} has more than {largest:,} bytes, far more than such a file ever needs.")
            return file.read()
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror}.") from error


def field(content: dict[str, Any], name: str, kinds: type | tuple, path: Path) -> Any:
    """Return a value of a file's object when it is there and of one of these kinds, or raise RunError."""
    value = content.get(name)
    # True is an int to Python, but no count of anything.
    if name not in content or not isinstance(value, kinds) or (isinstance(value, bool) and kinds is int):
        raise RunError(f"in {path}, {name!r} is {shortened(value)}, which is not what is written there.")
    return value


def count(content: dict[str, Any], name: str, path: Path) -> int:
    """Return a whole number of at least 0 out of a file's object, or raise RunError."""
    value = field(content, name, int, path)
    if value < 0:
        raise RunError(f"in {path}, {name!r} is {value}, and should be at least 0.")
    return value


def shortened(value: Any, most: int = 60) -> str:
    """Return `value` as code, cut where it gets long."""
    words = repr(value)
    return words if len(words) <= most else words[:most] + "..."


# ---- lines of JSON


def line_of(content: dict[str, Any]) -> bytes:
    """Return an object as one line of JSON."""
    return json.dumps(content, ensure_ascii=True).encode("ascii") + b"\n"


def write_lines(path: Path, start: int, lines: Iterable[bytes]) -> int:
    """Let the file go on behind its first `start` bytes with these lines; return how many bytes it then has."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.truncate(start)
        file.seek(start)
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def read_lines(path: Path, size: int) -> list[dict[str, Any]]:
    """Return the objects in the first `size` bytes of a file of JSON lines, or raise RunError."""
    if not size:
        return []
    try:
        with path.open("rb") as file:
            raw = file.read(size)
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror}.") from error
    if len(raw) < size:
        raise RunError(f"{path} ends after {len(raw):,} bytes, and the last commit had {size:,}: its end is lost.")
    try:
        found = [json.loads(line) for line in raw.splitlines()]
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} has a line that is not JSON ({error}).") from None
    if not all(isinstance(content, dict) for content in found):
        raise RunError(f"{path} has a line that is not a JSON object.")
    return found


# ---- lock


class Lock:
    """Holds a folder for one writer. The system lets go of it when the process ends, however it ends."""

    def __init__(self, folder: Path):
        """Take the lock; RunError while someone else has it."""
        self._file = None  # should the next line fail
        self._file = (folder / "lock").open("a+b")
        for _ in range(GLANCES):
            if _locked(self._file, alone=True):
                return
            time.sleep(GLANCE)  # whoever lists the runs holds each lock for a moment
        self._file.close()
        raise RunError(
            f"the run {folder.name!r} is being written by another trainer. Stop it there, or take another name."
        )

    def release(self) -> None:
        """Let others have the folder; a lock that nobody holds any more does it by itself."""
        if self._file is not None:
            self._file.close()

    __del__ = release


def is_locked(folder: Path) -> bool:
    """Return whether someone is writing this folder now."""
    try:
        with (folder / "lock").open("rb") as file:
            return not _locked(file, alone=False)
    except OSError:  # no lock file, so nobody who holds it
        return False


def _locked(file: Any, alone: bool) -> bool:
    """Try to lock an open file, for one holder or for as many as don't want it alone; return whether it worked."""
    try:
        if os.name == "posix":
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        else:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
