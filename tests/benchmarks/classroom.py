"""A class on one server: thirty pages open, all of them training. How fast is each, and does the server still answer?

    python -m tests.benchmarks.classroom                     thirty pages with the lab's first run
    python -m tests.benchmarks.classroom 8 --small           eight with a smaller one: 2 layers of 64
    python -m tests.benchmarks.classroom --opened 1000       opens and closes so many pages, ten at a time: memory
    python -m tests.benchmarks.classroom --opened 40 --tabs   and turns to every tab of each: all plots are drawn

One process serves the lab, as `panel serve` does; another holds a websocket for each page, as browsers do, and reads what
comes without drawing it. Every page refreshes five times a second and writes its plots' columns. Steps a second are counted
over a window once all pages are drawn and all runs have begun. The event loop's delay is how much later than asked a 5 ms
sleep ends. Memory is that of the server and of its worker processes. It means nothing on a busy machine.
"""

import argparse
import asyncio
import functools
import gc
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import panel as pn

from tests.benchmarks.contest import positive
from tlab_core.crew import Crew
from tlab_core.experiment import default_experiment
from tlab_core.parallel import blas_kernels, cores
from tlab_dash.lab import PLOTS, Lab
from tlab_dash.pages import PAGES
from tlab_dash.spare_memory import give_back

TICK = 0.005
AT_ONCE = 10  # pages open at a time while many are opened and closed
SMALL = {"hidden_dim": 64, "num_layers": 2, "ff_dim": 160}


def experiment(small):
    """Return what every page trains, without an end."""
    first = default_experiment()
    architecture = first.architecture.replace(**SMALL) if small else first.architecture
    return first.replace(architecture=architecture, training=first.training.replace(steps=10_000_000))


def resident(pid="self"):
    """Return the megabytes of memory that a process holds (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return 0.0


def memory():
    """Return the megabytes of this process and of the worker processes of all its runs."""
    workers = [worker.process.pid for crew in list(Crew.living) if crew.stop.alive for worker in crew.workers]
    return resident(), sum(map(resident, workers)), len(workers)


class Served:
    """The lab on a port of its own; `labs` are the pages that are open."""

    def __init__(self, chosen):
        self.labs = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

        def page():
            lab = Lab(chosen)
            self.labs.append(lab)
            pn.state.on_session_destroyed(lambda context: self.labs.remove(lab))
            lab.servable()  # what a page returns is served too, and all of it would be there twice

        self.server = pn.serve({"lab": page}, port=self.port, address="127.0.0.1", show=False, start=False,
                               check_unused_sessions_milliseconds=200, unused_session_lifetime_milliseconds=200)
        self.server.start()


# In a process of its own, that loads nothing of the lab: it holds as many websockets as told, asks each for its document,
# says that it has it, as a browser does, and reads what comes.
LOOK_ON = """
import asyncio, json, sys
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.websocket import websocket_connect

READY = {"type": "event", "name": "document_ready", "values": {"type": "map", "entries": []}}
EVENT = {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": READY}

async def send(page, kind, content):
    for part in ({"msgid": kind, "msgtype": kind}, {}, content):
        await page.write_message(json.dumps(part))

async def look_on(address):
    protocols = ["bokeh", generate_jwt_token(generate_session_id())]
    # A busy server shakes hands late: it makes the pages of the others first.
    page = await websocket_connect(address, subprotocols=protocols, max_message_size=100_000_000, connect_timeout=300)
    while '"ACK"' not in str(await page.read_message()):
        pass
    await send(page, "PULL-DOC-REQ", {})
    while '"PULL-DOC-REPLY"' not in str(await page.read_message()):
        pass
    await send(page, "PATCH-DOC", {"events": [EVENT]})
    while await page.read_message() is not None:
        pass

async def go(address, pages):
    await asyncio.gather(*(look_on(address) for _ in range(pages)))

asyncio.run(go(sys.argv[1], int(sys.argv[2])))
"""


async def with_pages(served, pages):
    """Open pages in a process that looks on, and return it once they all have a run and have drawn it."""
    address = f"ws://127.0.0.1:{served.port}/lab/ws"
    client = subprocess.Popen([sys.executable, "-c", LOOK_ON, address, str(pages)])
    while len(served.labs) < pages or any(lab.session.run is None or len(lab._plots) < len(PLOTS) for lab in served.labs):
        if client.poll() is not None:
            raise SystemExit("the client ended before it had its pages")
        await asyncio.sleep(0.05)
    return client


async def close(served, client):
    """End the client, and wait until the server has let go of its pages."""
    client.terminate()
    while client.poll() is None or served.labs:
        await asyncio.sleep(0.05)


async def classroom(given, served):
    """Train on all pages at once and print what came out."""
    began = time.perf_counter()
    client = await with_pages(served, given.pages)
    print(f"{given.pages} pages, each with a run and its plots, after {time.perf_counter() - began:.1f} s")
    for lab in served.labs:
        lab.session.train()
    while any(lab.session.run.step < 5 for lab in served.labs):
        await asyncio.sleep(0.1)
    first, began, delays = [lab.session.run.step for lab in served.labs], time.perf_counter(), []
    while time.perf_counter() < began + given.seconds:
        asked = time.perf_counter()
        await asyncio.sleep(TICK)
        delays.append(1e3 * (time.perf_counter() - asked - TICK))
    spent = time.perf_counter() - began
    speeds = [(lab.session.run.step - step) / spent for lab, step in zip(served.labs, first, strict=True)]
    p50, p95, p99 = np.percentile(delays, [50, 95, 99])
    server, workers, count = memory()
    print(f"steps/s each: min {min(speeds):.2f}, median {statistics.median(speeds):.2f}, max {max(speeds):.2f}; "
          f"together {sum(speeds):.1f}")
    print(f"event loop's delay: p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms")
    print(f"memory: {server:.0f} MB, and {workers:.0f} MB of {count} worker processes")
    print(f"a page says: {served.labs[0].run_bar.status['notice']!r}")
    await close(served, client)


async def turn_to(name, served):
    """Turn to a tab on all pages at once, and wait until its plots are drawn."""
    for lab in served.labs:
        (document,) = lab.shell._documents
        document.add_next_tick_callback(functools.partial(lab.shell.on_page, name))
    while not all(lab._page is not None and lab._page.page.name == name and
                  all(card.content is not None for card in lab._page._cards) for lab in served.labs):
        await asyncio.sleep(0.05)


async def opened_and_closed(given, served):
    """Open and close pages, some at a time, and print the memory on the way."""
    every = max(1, given.opened // 10 // AT_ONCE) * AT_ONCE
    for done in range(0, given.opened, AT_ONCE):
        client = await with_pages(served, AT_ONCE)
        for lab in served.labs:
            lab.session.train()
        while any(lab.session.run.step < 2 for lab in served.labs):
            await asyncio.sleep(0.02)
        for name in PAGES.names() if given.tabs else []:
            await turn_to(name, served)
        await close(served, client)
        if (done + AT_ONCE) % every == 0:
            gc.collect()
            server, _, count = memory()
            give_back()
            print(f"{done + AT_ONCE:>6} pages opened and closed: {server:.0f} MB, of which the allocator gives back "
                  f"{server - resident():.0f}; {len(gc.get_objects()):,} objects, {count} workers", flush=True)


def main():
    """Serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="?", type=positive(int), default=30, help="how many are open at once")
    parser.add_argument("--small", action="store_true", help="a model of 2 layers of 64 in place of the lab's first one")
    parser.add_argument("--seconds", type=positive(float), default=20.0, help="length of the window")
    parser.add_argument("--opened", type=positive(int), help="open and close so many pages instead")
    parser.add_argument("--tabs", action="store_true", help="with --opened: turn to every tab of each page")
    given = parser.parse_args()
    print(f"{', '.join(blas_kernels())}; {cores()} cores")

    async def go():
        served = Served(experiment(given.small))
        await (opened_and_closed if given.opened else classroom)(given, served)
        served.server.stop()

    asyncio.run(go())


if __name__ == "__main__":
    main()
