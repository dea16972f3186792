"""A folder of small saved runs: two learning rates with two seeds each."""

from tests.core.saved_runs import tiny_experiment
from tlab_core import LiveRun
from tlab_core.runs import RunStore

SEEDS = (0, 1)
RATES = {"slow": 0.001, "fast": 0.01}


def keep_runs(folder, steps=30) -> RunStore:
    """Train and keep "slow 0", "slow 1", "fast 0" and "fast 1" in `folder`/runs."""
    store = RunStore(folder / "runs")
    for name, rate in RATES.items():
        for seed in SEEDS:
            experiment = tiny_experiment(folder, learning_rate=rate, steps=100_000)  # never at its end while a test looks
            run = LiveRun(experiment.replace(architecture=experiment.architecture.replace(seed=seed)))
            with store.create(run, f"{name} {seed}"):
                run.advance(steps=steps)
                run.sample("the ", 20)
    return store
