"""Work that would keep the page waiting, such as reading a disk, done in a thread; its result comes back to the page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import panel as pn

THREADS = 2  # of a server: they wait for the disk, and leave the cores to what trains


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="errand")


class Errands:
    """One place on the page that fetches things: what is asked for last wins, and what was asked for before is dropped."""

    def __init__(self):
        self._newest: object = None

    def run(self, work: Callable, then: Callable, failed: Callable[[Exception], None]) -> None:
        """Call `then(work())`: with a server `work` in a thread and `then` in the page's, without one both at once.

        When `work` raises, `failed` gets the exception in place of `then`.
        """
        document = pn.state.curdoc
        ticket = self._newest = object()

        def home(done: Future) -> None:
            if ticket is self._newest:
                error = done.exception()
                failed(error) if error is not None else then(done.result())

        if document is None or document.session_context is None:
            done = Future()
            try:
                done.set_result(work())
            except Exception as error:
                done.set_exception(error)
            home(done)
            return

        def deliver(done: Future) -> None:
            if not document.session_context.destroyed:
                document.add_next_tick_callback(functools.partial(home, done))

        _threads().submit(work).add_done_callback(deliver)
