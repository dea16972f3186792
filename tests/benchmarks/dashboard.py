"""What an open page costs the training beside it, and how long the server's event loop is kept waiting meanwhile.

    python -m tests.benchmarks.dashboard                         the lab's first run
    python -m tests.benchmarks.dashboard --size 6,256            a size of the training benchmark

One process serves the lab, as `panel serve` does, and a headless Chromium has it open. In turn, A B A B ..., the run of the
page trains with the page refreshing and writing text, and the same run trains by itself in a thread, with the page at
rest. What is left is the ratio of the medians. Chromium draws without a GPU on the same cores as the training, which a
laptop's browser would not: the share of the processor that is not the server's is printed too. The event loop's delay is
how much later than asked a 5 ms sleep ends.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time

import numpy as np
import panel as pn

from tests.benchmarks.contest import GPT, SIZES, VOCABULARY, busy_seconds, own_seconds, positive, sizes_of
from tlab_core.experiment import default_experiment
from tlab_core.run import LiveRun
from tlab_dash.lab import Lab

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
TICK = 0.005


def experiment(size):
    """Return the lab's first run, or one of a size of the training benchmark."""
    first = default_experiment()
    training = first.training.replace(steps=1_000_000)
    if size is None:
        return first.replace(training=training)
    layers, width, heads, ff, batch, seq = size
    shape = {"hidden_dim": width, "num_layers": layers, "num_heads": heads, "ff_dim": ff, "max_seq_len": seq}
    return first.replace(
        architecture=first.architecture.replace(vocab_size=VOCABULARY, **shape | GPT),
        training=training.replace(batch_size=batch, seq_len=seq, learning_rate=3e-4),
    )


@contextlib.contextmanager
def looking_on(address):
    """Keep the page open in a browser that nobody drives: who drives it has every message to the page reported to him."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [shutil.which("chromium"), *FLAGS, "--headless", "--window-size=1440,900", f"--user-data-dir={profile}",
                   "--remote-debugging-port=0", address]  # without a port it would end at once
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield browser
        finally:
            browser.terminate()
            browser.wait(20)


class Bare:
    """The same training in a thread, and nothing else."""

    def __init__(self, run):
        self.run, self.going, self.closed = run, threading.Event(), False
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self):
        while True:
            self.going.wait()
            if self.closed:
                return
            self.run.advance(seconds=0.1)

    def train(self):
        self.going.set()

    def pause(self):
        self.going.clear()

    def close(self):
        self.closed = True
        self.going.set()
        self.thread.join()
        self.run.trainer.close()


async def window(side, run, seconds):
    """Train for a while; return steps/s, the delays of the event loop in ms, and the others' share of the processor."""
    side.train()
    await asyncio.sleep(0.5)
    delays, began, first = [], time.perf_counter(), run().step
    others = busy_seconds() - own_seconds()
    while time.perf_counter() < began + seconds:
        asked = time.perf_counter()
        await asyncio.sleep(TICK)
        delays.append(1e3 * (time.perf_counter() - asked - TICK))
    spent = time.perf_counter() - began
    speed = (run().step - first) / spent
    others = (busy_seconds() - own_seconds() - others) / spent / os.cpu_count()
    side.pause()
    await asyncio.sleep(0.5)
    return speed, delays, others


async def measure(given, labs, address):
    """Run the windows and print what came out."""
    with looking_on(address) as browser:
        while not labs or labs[-1].session.run is None or len(labs[-1]._plots) < 6:
            if browser.poll() is not None:
                raise SystemExit("the browser ended before it had the page")
            await asyncio.sleep(0.05)
        await compare(given, labs[-1])


async def compare(given, lab):
    """Train in turn with the page and without, and print both."""
    bare = Bare(LiveRun(lab.session.run.experiment))
    results = {"by itself": [], "with the page": []}
    for _ in range(given.rounds):
        results["by itself"].append(await window(bare, lambda: bare.run, given.seconds))
        results["with the page"].append(await window(lab.session, lambda: lab.session.run, given.seconds))
    medians = {}
    for name, windows in results.items():
        delays = np.concatenate([each for _, each, _ in windows])
        medians[name] = statistics.median(speed for speed, _, _ in windows)
        others = statistics.median(share for _, _, share in windows)
        p50, p95, p99 = np.percentile(delays, [50, 95, 99])
        print(
            f"{name:<14}{medians[name]:>7.1f} steps/s   event loop's delay: "
            f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms   others: {others:.0%} of the processor"
        )
    print(f"left of the training: {medians['with the page'] / medians['by itself']:.2f}")
    bare.close()


def main():
    """Serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", help="layers,width,heads,ff,batch,seq, or the beginning of one in the table")
    parser.add_argument("--seconds", type=positive(float), default=4.0, help="length of a window")
    parser.add_argument("--rounds", type=positive(int), default=8, help="windows of each side")
    given = parser.parse_args()
    size = sizes_of(parser, [given.size], SIZES)[0] if given.size else None
    labs, chosen = [], experiment(size)

    def page():
        labs.append(Lab(chosen))
        labs[-1].servable()  # what a page returns is served too, and all of it would be there twice

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def go():
        server = pn.serve({"lab": page}, port=port, address="127.0.0.1", show=False, start=False)
        server.start()
        await measure(given, labs, f"http://127.0.0.1:{port}/lab")
        server.stop()

    asyncio.run(go())


if __name__ == "__main__":
    main()
