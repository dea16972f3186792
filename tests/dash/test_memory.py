"""What is left of a page once its tab is closed: nothing. A real server, a page on a websocket, every picture drawn."""

import asyncio
import contextlib
import gc
import json
import os
import socket
import subprocess
import sys
import time
import weakref
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import panel as pn
import pytest
from bokeh.document import Document
from bokeh.io.doc import patch_curdoc
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.websocket import websocket_connect

from tests.dash.fakes import fake_run
from tests.dash.test_lab import TINY
from tlab_dash import Lab, views
from tlab_dash.fleet import Fleet
from tlab_dash.lab import PLOTS, RUNS
from tlab_dash.live import LivePlot, drawn
from tlab_dash.pages import Board
from tlab_dash.runs_page import RunsPage
from tlab_dash.selection import Selection
from tlab_dash.session import Session
from tlab_dash.theme import DARK, LIGHT

ROOT = Path(__file__).parents[2]
PATIENCE = 60  # seconds that anything may take, on a busy machine
READY = {"type": "event", "name": "document_ready", "values": {"type": "map", "entries": []}}
EVENT = {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": READY}


async def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "never came to be"
        await asyncio.sleep(0.02)


class Served:
    """A lab on a port of its own; `labs` are the pages that are open."""

    def __init__(self, fleet):
        self.labs = []

        def page():
            lab = Lab(TINY, fleet=fleet)
            self.labs.append(lab)
            pn.state.on_session_destroyed(lambda context: self.labs.remove(lab))
            lab.servable()

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server = pn.serve({"lab": page}, port=self.port, address="127.0.0.1", show=False, start=False, verbose=False,
                               check_unused_sessions_milliseconds=50, unused_session_lifetime_milliseconds=50)
        self.server.start()

    @contextlib.asynccontextmanager
    async def tab(self):
        """Open a page as a browser does, and close it in the end."""
        page = await websocket_connect(
            f"ws://127.0.0.1:{self.port}/lab/ws", max_message_size=100_000_000,
            subprotocols=["bokeh", generate_jwt_token(generate_session_id())])

        async def send(kind, content):
            for part in ({"msgid": kind, "msgtype": kind}, {}, content):
                await page.write_message(json.dumps(part))

        async def hear(word):
            while word not in str(await page.read_message()):
                pass

        async def listen():
            while await page.read_message() is not None:
                pass

        await hear('"ACK"')
        await send("PULL-DOC-REQ", {})
        await hear('"PULL-DOC-REPLY"')
        await send("PATCH-DOC", {"events": [EVENT]})
        listening = asyncio.create_task(listen())
        await until(lambda: set(self.labs[-1]._plots) == set(PLOTS))
        yield self.labs[-1]
        page.close()
        await listening
        await until(lambda: not self.labs)


async def look_at_everything(lab):
    """Train a little, turn to every page, and return weak references to what the pages and the bench are made of."""
    (document,) = lab.shell._documents
    lab.session.train()
    await until(lambda: lab.session.run.step >= 2)
    parts = {}

    def note(name, part):
        parts[name] = weakref.ref(part)
        if isinstance(part, LivePlot):
            parts[f"{name}, figure"] = weakref.ref(part.figure)

    for name in (page["name"] for page in lab.shell.pages if page["name"] != RUNS["name"]):
        document.add_next_tick_callback(partial(lab.shell.on_page, name))
        await until(lambda name=name: isinstance(lab._page, Board) and lab._page.page.name == name)
        await until(lambda: all(card.content is not None for card in lab._page._cards))
        note(f"page {name}", lab._page)
        for i, card in enumerate(lab._page._cards):
            note(f"page {name}, card {i}", card.content)
    for name, kind in ((RUNS["name"], RunsPage), ("", type(None))):
        document.add_next_tick_callback(partial(lab.shell.on_page, name))
        await until(lambda kind=kind: isinstance(lab._page, kind))
    document.add_next_tick_callback(partial(lab.shell.on_theme, "dark"))
    await until(lambda: lab._theme is DARK)
    here = {"lab": lab, "session": lab.session, "run": lab.session.run, "document": document, "runs": lab._runs}
    for name, part in (here | lab._plots).items():
        note(name, part)
    return parts


async def left_of(parts, seconds=PATIENCE):
    """Return the names of what is still there; the server's own tasks remember the page they were begun for, for 5 s."""
    deadline = time.monotonic() + seconds
    while True:
        gc.collect()
        left = [name for name, part in parts.items() if part() is not None]
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.25)


async def left_behind(fleet):
    """Return the names of what is left of the pages that were turned, and of a lab whose tab was closed."""
    served = Served(fleet)
    try:
        async with served.tab():  # Panel begins a task of the server's in the first page, and remembers its document
            pass
        async with served.tab() as lab:
            parts = await look_at_everything(lab)
            turned = await left_of({name: part for name, part in parts.items() if name.startswith("page ")})
            del lab
        return turned + await left_of(parts)
    finally:
        served.server.stop()


@pytest.mark.slow
def test_nothing_of_a_page_stays_when_it_is_left_or_its_tab_is_closed(tmp_path):
    # In a process of its own: Panel keeps one state for all servers that a process has had.
    ended = subprocess.run([sys.executable, "-m", __name__], env=os.environ | {"TLAB_RUNS": str(tmp_path)}, cwd=ROOT,
                           capture_output=True, text=True, timeout=280, check=False)
    assert (ended.returncode, ended.stdout.strip().splitlines()[-1:]) == (0, ["left: []"]), ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ["loss", "heads"])
def test_a_document_does_not_keep_the_figures_that_were_drawn_while_it_was_open(name):
    document, run = Document(), fake_run()
    view = views.VIEWS.get(name)
    with patch_curdoc(document):
        figure = weakref.ref(drawn(view, view.columns(run, Selection(), None), LIGHT)[0])
    assert not document.session_destroyed_callbacks
    gc.collect()
    assert figure() is None


def test_a_closed_session_goes_with_its_seat_and_not_one_collection_later():
    session = Session(TINY, fleet=SimpleNamespace(wake=lambda seat: None))
    seat = weakref.ref(session._seat)
    session.close()
    del session
    gc.collect()
    assert seat() is None


if __name__ == "__main__":
    trained_by = Fleet()
    sys.stdout.write(f"left: {asyncio.run(left_behind(trained_by))}\n")
    trained_by.close()
