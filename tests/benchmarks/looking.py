"""What looking inside costs the training: the default cadence beside none, in turn.

    python -m tests.benchmarks.looking                  the lab's first run and two sizes of the training benchmark

Two trainers of the same model in one process train in windows, A B A B ..., one looking inside and validating as by
default, the other only validating. A window covers whole cadences, so that it has as many looks as training has on average.
"""

import argparse
import itertools
import math
import statistics
import time

from tests.benchmarks.contest import GPT, NEVER, SIZES, VOCABULARY, positive, sizes_of
from tlab_core.experiment import default_experiment
from tlab_core.run import LiveRun

WARM_UP = 120  # steps: past the first ones, which are looked into more often


def experiments(sizes):
    """Yield a name and the experiment for each line: the lab's first run where no sizes are given, and some."""
    first = default_experiment()
    first = first.replace(training=first.training.replace(steps=NEVER, executor="processes"))
    if not sizes:
        yield "the lab's first run", first
    for size in sizes or SIZES[:2]:
        layers, width, heads, ff, batch, seq = size
        shape = {"hidden_dim": width, "num_layers": layers, "num_heads": heads, "ff_dim": ff, "max_seq_len": seq}
        yield ",".join(map(str, size)), first.replace(
            architecture=first.architecture.replace(vocab_size=VOCABULARY, **shape | GPT),
            training=first.training.replace(batch_size=batch, seq_len=seq),
        )


def never(experiment):
    """Return the same experiment without statistics."""
    return experiment.replace(training=experiment.training.replace(statistics_every=NEVER))


def in_turn(runs, rounds, **window):
    """Let the runs {side: run} train in turn, a window each (as `advance` takes it); return ms a step of each window."""
    spent = {side: [] for side in runs}
    for side, run in itertools.chain.from_iterable([runs.items()] * rounds):
        began = time.perf_counter()
        made = len(run.advance(**window))
        spent[side].append(1e3 * (time.perf_counter() - began) / made)
    return spent


def show(name, spent):
    """Print one line of what `in_turn` found of "with" and "without": milliseconds a step, and what "with" costs."""
    costs = [more / less - 1 for more, less in zip(spent["with"], spent["without"], strict=True)]
    medians = {side: statistics.median(times) for side, times in spent.items()}
    print(
        f"{name:<24}{medians['with']:>9.2f} ms{medians['without']:>9.2f} ms{medians['with'] / medians['without'] - 1:>8.1%}"
        f"   by pair {min(costs):.1%} to {max(costs):.1%}",
        flush=True,
    )


def compare(name, experiment, rounds):
    """Print one line: milliseconds a step with and without looking, and what looking costs."""
    runs = {"with": LiveRun(experiment), "without": LiveRun(never(experiment))}
    for run in runs.values():
        run.advance(steps=WARM_UP)
    steps = 2 * math.lcm(experiment.training.resolved_statistics_every, experiment.training.eval_every)
    show(name, in_turn(runs, rounds, steps=steps))
    for run in runs.values():
        run.trainer.close()


def main():
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="layers,width,heads,ff,batch,seq, or the beginning of one in the table")
    parser.add_argument("--rounds", type=positive(int), default=7, help="windows of each side")
    given = parser.parse_args()
    sizes = sizes_of(parser, given.sizes, SIZES) if given.sizes else []
    print(f"{'':<24}{'looking':>12}{'never':>12}{'cost':>8}")
    for name, experiment in experiments(sizes):
        compare(name, experiment, given.rounds)


if __name__ == "__main__":
    main()
