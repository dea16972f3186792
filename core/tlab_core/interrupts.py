"""Ctrl-C, or a notebook's stop button, waits for the end of a step, so that no step is left half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Hold a KeyboardInterrupt back until the block ends, then raise it.

    Without this, an interrupt in the middle of an update would leave some parameters moved and others not. Only the main
    thread is ever interrupted, and only where Python's own handler is in place is it replaced.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
        yield
        return
    held = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if held:
        raise KeyboardInterrupt
