"""Which worker processes a trainer has, and whether they are still there."""

import os
import time
from pathlib import Path


def workers(trainer):
    return [worker.process.pid for worker in trainer._at_hand().crew.workers]


def alive(pid):
    """Tell whether a process is there and has not ended; one that nobody has waited for yet counts as ended."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids, seconds=8.0):
    """Wait until all of these processes have ended, and tell whether they have."""
    until = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(alive, pids))
