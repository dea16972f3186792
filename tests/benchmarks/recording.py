"""What keeping a run costs the training, and how fast kept runs are opened, drawn and listed.

    python -m tests.benchmarks.recording                   all of it, about 15 minutes
    python -m tests.benchmarks.recording --only open       one part: cost, open or list

cost  Two runs of the same model train in turn in one process, A B A B ..., one of them written into a folder as the
      command line does it. A window is as long as the time between two commits, so each has the one that is its share.
open  Runs of 1,000, 10,000 and 100,000 steps are opened in a process of their own, and their loss is drawn, and then the
      attention map of the step in the middle. What was recorded is made up, from what the lab's first run records, and
      written through a RunWriter. The process has drawn a short run before: what is measured is what the server of a lab
      pays for one run more. Memory is what the process needed at most on top of what it had (Linux).
list  A folder of 1,000 runs is listed, five times.
"""

import argparse
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from tests.benchmarks.contest import SIZES, positive, sizes_of
from tests.benchmarks.looking import WARM_UP, experiments, in_turn, show
from tlab_core.experiment import default_experiment
from tlab_core.run import LiveRun
from tlab_core.runs import RunStore
from tlab_core.runs.writer import EVERY
from tlab_core.schema import GROUPS

LENGTHS = [1_000, 10_000, 100_000]  # steps
SHORTEST = 500
PIECE = 5_000  # made-up steps between two commits
RUNS = 1_000
LISTINGS = 5
PARTS = ("cost", "open", "list")


# ---- cost


def compare(name, experiment, seconds, rounds, folder):
    """Print one line: milliseconds a step with and without a writer, and what writing costs."""
    runs = {"with": LiveRun(experiment), "without": LiveRun(experiment)}
    began = time.perf_counter()
    writer = RunStore(folder).create(runs["with"], every=seconds)
    made = time.perf_counter() - began
    for run in runs.values():
        run.advance(steps=WARM_UP)
    writer.commit()
    show(name, in_turn(runs, rounds, seconds=seconds))
    writer.close()
    for run in runs.values():
        run.trainer.close()
    size = sum(path.stat().st_size for path in writer.folder.rglob("*") if path.is_file())
    print(f"{'':<24}{made:.2f} s to make the folder; {1e-6 * size:.1f} MB of {runs['with'].step:,} steps", flush=True)


def show_costs(given, sizes, scratch):
    """Print what recording costs each experiment."""
    print(f"{'':<24}{'recording':>12}{'in memory':>12}{'cost':>8}")
    for number, (name, experiment) in enumerate(experiments(sizes)):
        compare(name, experiment, given.seconds, given.rounds, scratch / f"cost-{number}")


# ---- open


def make_up(store, name, steps):
    """Write a run of so many steps, the lab's first, without training it."""
    experiment = default_experiment()
    training = experiment.training
    run = LiveRun(experiment.replace(training=training.replace(executor="serial", steps=max(steps, training.steps))))
    every = dict.fromkeys(GROUPS, training.resolved_statistics_every) | {"validation": training.eval_every, "train": 1}
    run.advance(steps=max(every.values()))  # now there is a record of each kind
    begun, dice = run.step, np.random.default_rng(0)
    kinds = {name: run.recorder.group(name).variables for name in GROUPS}
    last = {name: {key: kinds[name][key].values[-1] for key in GROUPS[name].variables} for name in GROUPS}
    with store.create(run, name, every=math.inf) as writer:
        for step in range(begun + 1, steps + 1):
            for group, record in last.items():
                if step % every[group] == 0:
                    run.recorder.append(group, step, {key: shaken(value, dice) for key, value in record.items()})
            if step % PIECE == 0 or step == steps:
                run.trainer.restore(step, step * training.batch_size * training.seq_len, step / 100)
                writer.commit()
    run.trainer.close()


def shaken(value, dice):
    """Return numbers like these that pack no better than measured ones."""
    values = np.asarray(value)
    return (values * dice.uniform(0.8, 1.2, values.shape)).astype(values.dtype)


def looked_at(folder, names):
    """Open and draw the runs one after the other; return (seconds, MB) of opening, loss and map of the last."""
    from tlab_dash import views
    from tlab_dash.compare_page import figure_of
    from tlab_dash.selection import Selection

    store = RunStore(folder)
    for name in names:
        run = store.open(name)
        middle = Selection(layer=1, head=1, step=run.step // 2, pinned=True)
        found = [
            measured(lambda name=name: store.open(name)),
            measured(lambda run=run: figure_of(views.loss(run, Selection()))),
            measured(lambda run=run, middle=middle: figure_of(views.attention(run, middle))),
        ]
    return found


def measured(work):
    """Return how many seconds some work takes, and how many MB it needs at most on top of what the process has."""
    before = memory("VmRSS")
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - began
    del result
    return seconds, memory("VmHWM") - before


def memory(name):
    """Return a figure of this process's memory in MB, NaN where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return np.nan
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name)) / 1024


def show_openings(given, scratch):
    """Print how long it takes to open and draw runs of several lengths, and in how much memory."""
    store = RunStore(scratch / "open")
    make_up(store, "first", SHORTEST)
    print(f"{'':<24}{'open':>14}{'draw the loss':>22}{'draw one map':>22}")
    for steps in given.steps:
        name = f"{steps} steps"
        make_up(store, name, steps)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as one:
            found = one.submit(looked_at, store.folder, ["first", name]).result()
        cells = "".join(f"{1e3 * seconds:>9.0f} ms{megabytes:>7.1f} MB" for seconds, megabytes in found)
        print(f"{f'{steps:,} steps':<24}{cells}", flush=True)


# ---- list


def show_listing(given, scratch):
    """Print how long it takes to list a folder of many runs."""
    store = RunStore(scratch / "list")
    experiment = default_experiment()
    run = LiveRun(experiment.replace(training=experiment.training.replace(executor="serial")))
    with store.create(run, "run 0"):
        pass
    run.trainer.close()
    for number in range(1, given.runs):
        copy = store.folder / f"run {number}"
        copy.mkdir()
        for name in ("commit.json", "meta.json", "lock"):  # what a list reads
            (copy / name).write_bytes((store.folder / "run 0" / name).read_bytes())
    times = []
    for _ in range(LISTINGS):
        began = time.perf_counter()
        found = len(store.list())
        times.append(time.perf_counter() - began)
    print(f"{f'{found:,} runs':<24}listed in {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")


def main():
    """Read the command line and print what was asked for."""
    from tlab_core.parallel import blas_kernels

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="of cost: layers,width,heads,ff,batch,seq, or the beginning of one")
    parser.add_argument("--only", choices=PARTS, help="measure one part")
    parser.add_argument("--rounds", type=positive(int), default=5, help="of cost: windows of each side")
    parser.add_argument("--seconds", type=positive(float), default=EVERY,
                        help="of cost: length of a window, and the time between two commits (30, as the lab has it)")
    parser.add_argument("--steps", type=positive(int), nargs="+", default=LENGTHS, help="of open: lengths of the runs")
    parser.add_argument("--runs", type=positive(int), default=RUNS, help="of list: how many")
    given = parser.parse_args()
    if min(given.steps) < SHORTEST:
        parser.error(f"{min(given.steps)} steps are too few: at least {SHORTEST} show something")
    sizes = sizes_of(parser, given.sizes, SIZES) if given.sizes else []
    print(f"{', '.join(blas_kernels())}; {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if given.only in (None, "cost"):
            show_costs(given, sizes, scratch)
        if given.only in (None, "open"):
            show_openings(given, scratch)
        if given.only in (None, "list"):
            show_listing(given, scratch)


if __name__ == "__main__":
    main()
