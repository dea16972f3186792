"""Ctrl-C while the command is still being loaded: one line, and it is gone."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130  # the exit code


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process at once; Python's own answer would be the stack of whatever is being imported.

    Only for what has nothing to tidy up. Where another handler than Python's own is in place, it stays.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.stderr.write("\nInterrupted.\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)
