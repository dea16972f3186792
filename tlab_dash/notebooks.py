"""Views and the lab in a notebook: setting it up without a network, and showing what goes on while a cell is busy.

A kernel runs one cell at a time and hears the browser only between two cells, unless the notebook gives comms a thread of
their own (JupyterLab from 4.4 on, with ipykernel 7). So what is shown is pushed out by whoever trains. Where a program runs
the notebook and no browser is there, what has changed by the end of a cell is put into the output once more: an exported
notebook shows the trained run and not the untrained one.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import holoviews as hv
import panel as pn
import param
from bokeh.document import Document
from bokeh.model import Model
from bokeh.models import UIElement
from holoviews.core.dimension import LabelledData
from panel.io import state
from panel.io.notebook import load_notebook, patch_inline_stylesheets
from panel.io.notebook import push as panel_push

from tlab_core.registry import did_you_mean

if TYPE_CHECKING:
    from ipykernel.kernelbase import Kernel
    from IPython.core.events import EventManager

# One thread at a time writes to figures in a notebook: a message is sent in several pieces, which must not get mixed up.
WRITING = threading.RLock()
WAYS = ("default", "ipywidgets", "vscode", "colab")
LISTENING_MS = 500
KNOCKS = (1.0, 2.5, 5.0, 10.0, 20.0)  # seconds after which a browser is taken to have drawn what it was sent


def notebook(comms: str | None = None) -> None:
    """Set up this notebook for `views` and `Lab`: everything the browser needs is put into this cell, and nothing fetched.

    Call it once, in a cell of its own at the top, and again after the page was reloaded without being saved.

    comms  the way to the browser, as Panel names it: "default" is that of JupyterLab and Jupyter Notebook; "vscode",
           "colab" and "ipywidgets" need jupyter_bokeh. None finds out which one it is

    Raises RuntimeError where there is no notebook, or no jupyter_bokeh where it is needed; ValueError for another way.
    """
    if kernel() is None:
        raise RuntimeError("notebook() sets up a notebook, and this is none: in a script, save pictures or a snapshot, or "
                           "open the lab with `tlab lab`.")
    way = found_comms() if comms is None else comms
    if way not in WAYS:
        allowed = ", ".join(map(repr, WAYS))
        raise ValueError(f"comms = {comms!r} is not allowed: allowed are {allowed}.{did_you_mean(way, WAYS)}")
    if way != "default" and find_spec("jupyter_bokeh") is None:
        raise RuntimeError(f"comms = {way!r} needs jupyter_bokeh, which is not installed: python -m pip install "
                           '"transformer-intuition-lab[notebook]", then restart the kernel.')
    again = is_set_up()
    pn.extension(inline=True, comms=way)
    # What HoloViews would load is what Panel has just loaded: with these two off it only learns to show its plots.
    with param.logging_level("ERROR"):  # or it says that it does not know them
        hv.extension("bokeh", bokeh=False, holoviews=False, logo=False)
    pn.config.comms = way
    hv.Store.set_display_hook("html+js", LabelledData, _plotted)
    _listen_again(kernel().kernel)
    if again:
        load_notebook(inline=True)


@functools.cache  # once for each kernel, also where Panel was set up before
def _listen_again(listening: Kernel) -> None:
    """Have a kernel look now and then for what a page has asked: while it answers it may miss that there is something.

    From ipykernel 7.0 on, answers go out beside the stream that questions come in by, and may take from it the sign that
    one has come (github.com/ipython/ipykernel/issues/1554). A cell run while pictures follow a run then never begins.
    """
    if getattr(listening, "shell_channel_thread", None) is None:
        return
    import zmq
    from tornado.ioloop import PeriodicCallback

    def listen() -> None:
        PeriodicCallback(lambda: listening.shell_stream.flush(zmq.POLLIN), LISTENING_MS).start()

    listening.shell_channel_thread.io_loop.add_callback(listen)


def _plotted(element: LabelledData) -> tuple[dict, dict] | None:
    """Return a HoloViews object as a cell's output. HoloViews itself would ask a CDN for a few of Panel's style sheets."""
    from holoviews.ipython.display_hooks import pprint_display  # which needs IPython

    if not pn.pane.HoloViews.applies(element):
        return pprint_display(element)
    return _Plotted(element)._repr_mimebundle_()


def found_comms() -> str:
    """Return the way to the browser that this notebook has, by the same signs that Panel goes by."""
    if "google.colab" in sys.modules:
        return "colab"
    return "vscode" if "VSCODE_CWD" in os.environ or "VSCODE_PID" in os.environ else "default"


def kernel() -> object | None:
    """Return the IPython shell of the notebook that this runs in, or None where it runs elsewhere."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if shell is not None and hasattr(shell, "kernel") else None


def is_set_up() -> bool:
    """Return whether the notebook has what the browser needs."""
    return pn.extension._loaded


def reached(view: pn.viewable.Viewable) -> bool:
    """Return whether what is written to a view on show gets to a browser; where it is not on show it does not matter."""
    comms = [state._views[ref][3] for ref in view._models if ref in state._views]
    return all(comm is None or comm._comm is not None for comm in comms)


def push(view: pn.viewable.Viewable) -> None:
    """Send to the browser what was written to a view's Bokeh models; on a server, they are sent without it.

    In one message: Panel would send each array as two more, and a Jupyter server drops what is beyond 1,000 a second, after
    which the browser takes one piece for another.
    """
    for ref in view._models:
        _, root, document, comm = state._views.get(ref, (None,) * 4)
        if comm is not None and comm._comm is not None and "embedded" not in root.tags:
            panel_push(document, comm, binary=False)


@contextmanager
def gathered(view: pn.viewable.Viewable) -> Iterator[None]:
    """Write to a view: in a notebook one thread at a time, and all that was written is sent together in the end."""
    if kernel() is None:
        yield
        return
    with WRITING:
        before, state._hold = state._hold, True
        widgets = [] if before else _documents_of_widgets(view)
        for document in widgets:
            document.hold()
        try:
            yield
        finally:
            state._hold = before
            if not before:
                push(view)
            for document in widgets:
                document.unhold()


def _documents_of_widgets(view: pn.viewable.Viewable) -> list[Document]:
    """Return the documents that a view is in as ipywidgets, of their own: they send each change by itself, unless held."""
    shown = [state._views[ref] for ref in view._models if ref in state._views]
    documents = [root.document for _, root, _, comm in shown if comm is None]
    return [document for document in documents if document is not None and document.session_context is None]


class Outermost:
    """The outermost part of an output, mixed in before a Panel viewable: what the browser says is read under the lock.

    It may come in a thread of its own. Panel drops whatever is written to a document while it reads a message for it, and
    what it sends in answer would get mixed up with what another thread sends.
    """

    def __init__(self, *parts, **params):
        self._heard: set[str] = set()  # the roots that a browser has said something through, and so has drawn
        super().__init__(*parts, **params)

    @property
    def is_drawn(self) -> bool:
        """Return whether all browsers that it is on show in have drawn it; on a server, whether it is on show.

        Before, a browser drops each piece of a message for itself, and takes one for another if it is done in between.
        """
        return bool(self._models) and all(
            ref in self._heard for ref in self._models if ref in state._views and state._views[ref][3] is not None)

    def _preprocess(self, root: Model, changed: pn.viewable.Viewable | None = None,
                    old_models: set[Model] | None = None) -> None:
        # What Panel does for its own comms and forgets for ipywidgets': no style sheet is asked of a CDN.
        if kernel() is not None and pn.config.inline:
            drawn = root if changed is None else changed._models.get(root.ref["id"], (root,))[0]
            for model in drawn.select({"type": UIElement}):
                patch_inline_stylesheets(model)
        super()._preprocess(root, changed, old_models)

    def _on_msg(self, ref: str, *message) -> None:
        with WRITING:
            self._heard.add(ref)
            super()._on_msg(ref, *message)


class _Plotted(Outermost, pn.pane.HoloViews):
    """A HoloViews object as a cell's output."""


class Shown(pn.viewable.Viewer):
    """What a notebook shows. The subclass says how it is brought up to date.

    `_news`        goes up with whatever there is to show that was not there before
    `_catch_up()`  show all of it; called at the end of a cell
    """

    def __init__(self, **params):
        super().__init__(**params)
        self._outputs: list[_Output] = []
        self._news = 0

    def _catch_up(self) -> None:
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        if kernel() is None:
            print(repr(self))  # noqa: T201 (what IPython does in a terminal)
            return
        if not is_set_up():
            notebook()
        self._outputs = [output for output in self._outputs if output.waits]
        self._outputs.append(_Output(self))


class _Output:
    """One cell's output with a view in it."""

    def __init__(self, shown: Shown):
        self._shown = weakref.ref(shown)
        self._id = uuid.uuid4().hex
        self._view: weakref.ref | None = None
        self._publish(shown, update=False)
        self.waits = pn.config.comms == "default" and is_batch()
        if self.waits:
            self._events = kernel().events
            self._hook = _weakly(self._end_of_cell)
            self._events.register("post_run_cell", self._hook)
            weakref.finalize(self, _unregister, self._events, self._hook)

    def _publish(self, shown: Shown, update: bool) -> None:
        from IPython.display import publish_display_data

        self._seen = shown._news
        view = shown._create_view()
        data, metadata = view._repr_mimebundle_()
        self._view = weakref.ref(view)
        for ref in view._models:
            if ref in state._views:
                # Panel would send once more what is in the output already, and the browser would connect a second time.
                state._views[ref][2].callbacks._held_events.clear()
        publish_display_data(data, metadata, transient={"display_id": self._id}, update=update)

    def _end_of_cell(self, *_) -> None:
        shown, view = self._shown(), self._view()
        if shown is None or view is None or not view._models:
            self.waits = False
            _unregister(self._events, self._hook)
            return
        shown._catch_up()
        if shown._news > self._seen:
            for ref in list(view._models):
                take_away(ref)
            self._publish(shown, update=True)


def _unregister(events: EventManager, hook: Callable) -> None:
    if hook in events.callbacks["post_run_cell"]:
        events.unregister("post_run_cell", hook)


def is_batch() -> bool:
    """Return whether the cell is run by a program such as nbconvert: nobody is there to answer a question, or to look."""
    parent = kernel().kernel.get_parent("shell")
    return not parent.get("content", {}).get("allow_stdin", False)


def is_answered(view: pn.viewable.Viewable) -> bool:
    """Return whether a browser has opened its side of the connection of a view that is on show."""
    roots = {ref: state._views[ref][0] for ref in view._models if ref in state._views}
    return any(root._comms[ref][1]._comm is not None for ref, root in roots.items() if ref in root._comms)


def take_away(ref: str) -> None:
    """Forget a root that is no longer in any output, as Panel does when an output is cleared."""
    if ref in state._views:
        view, root, _, _ = state._views.pop(ref)
        view._cleanup(root)


def knock(view: pn.viewable.Viewable, since: float, knocks: int) -> int:
    """Open the kernel's side of a view's connection while the kernel is too busy to hear that the browser has drawn it.

    since   when it was put into the output, as of `time.monotonic`
    knocks  how often that was done before
    Returns how often it has been done now. A browser that has not drawn it yet lets the attempt go by, so there are some
    more; whoever calls this sends everything anew after each.
    """
    due = sum(time.monotonic() - since >= wait for wait in KNOCKS)
    if due > knocks and not is_answered(view):
        for ref in view._models:
            if ref in state._views and (comm := state._views[ref][3]) is not None:
                comm.init()
    return max(due, knocks)


def later(call: Callable[[], None], loop: asyncio.AbstractEventLoop | None, seconds: float) -> bool:
    """Call a method in the notebook's own thread when it is free, unless its object has gone by then; False without one."""
    if loop is None or loop.is_closed():
        return False
    loop.call_soon_threadsafe(loop.call_later, seconds, _weakly(call))
    return True


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that this thread runs in, if it does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _weakly(method: Callable) -> Callable:
    """Return a function that calls a method as long as its object is there."""
    there = weakref.WeakMethod(method)

    def call(*arguments):
        found = there()
        return found(*arguments) if found is not None else None

    return call
