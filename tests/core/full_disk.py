"""A process whose runs lie on a disk that is really full: `python -m tests.core.full_disk DISK ELSEWHERE`.

Both are folders, and DISK is a small file system of its own. Prints a JSON list of the errors that were met, in order.
"""

import json
import os
import sys
from pathlib import Path

from tests.core.saved_runs import same_history, tiny_experiment
from tlab_core import LiveRun
from tlab_core.runs import RunError, RunStore

LEFT = (0, 1, 3, 6)  # pages: refused at different places


def fill(path: Path, left: int) -> None:
    """Write a file that leaves so many pages of its disk."""
    disk = os.statvfs(path.parent)
    path.write_bytes(b"x" * ((disk.f_bavail - left) * disk.f_frsize))


def refused(act, left: int) -> str:
    """Return the RunError that something ends with."""
    try:
        act()
    except RunError as error:
        return str(error)
    raise AssertionError(f"the disk took it, with {left} pages left")


def main() -> None:
    disk, elsewhere = map(Path, sys.argv[1:])
    run, store = LiveRun(tiny_experiment(elsewhere)), RunStore(disk / "runs")
    ballast, said = disk / "ballast", []
    writer = store.create(run, "it")
    run.advance(steps=10)
    for left in LEFT:
        fill(ballast, left)
        said.append(refused(writer.commit, left))
        assert store.open("it").step == 0, "the last commit must be there"
        store.open("it").history.load()
        said.append(refused(lambda: store.create(run, "new"), left))
        assert [info.name for info in store.list()] == ["it"], "what could not be made must leave nothing"
        before = run.step
        run.advance(steps=5)
        assert run.step == before + 5, "the run must go on in memory"
        ballast.unlink()
    writer.commit()
    assert writer.problem is None
    run.advance(steps=5)
    writer.close()
    same_history(store.open("it"), run)
    store.resume("it").writer.close()
    assert not list(disk.rglob("*.new")), "nothing half-written may stay"
    assert [path.name for path in store.folder.iterdir()] == ["it"]
    os.write(1, json.dumps(said).encode())


if __name__ == "__main__":
    main()
