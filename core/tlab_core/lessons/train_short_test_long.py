"""A model that was trained on short texts reads longer ones: whose position encoding still serves there?"""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Verdict, add, judged, mean
from tlab_core.run import LiveRun

CONTEXT = 64  # characters that the models are trained on
FACTOR = 8  # times as many are read in the end
NAMES = {"sinusoidal": "Sinusoidal", "alibi": "ALiBi", "rope": "RoPE"}
# Nats a character. Where the text grows no harder the loss still wanders, by up to 0.04 on so little text; the lab calls
# less than 0.05 too close to call, and twice that leaves no doubt.
HOLDS = 0.1


def within_and_beyond(long: xr.Dataset) -> tuple[float, float]:
    """Return the mean loss at the positions that were trained on, and at those beyond, in nats a character."""
    first, last, loss = long["first"].values, long["last"].values, long["loss"].values
    trained, size = last < long.attrs["trained_length"], last - first + 1
    return tuple(float(np.average(loss[part], weights=size[part])) for part in (trained, ~trained))


def measure(runs: Mapping[str, LiveRun]) -> dict[str, float]:
    """Return each run's loss within and beyond the training length, and how much more it rises without ALiBi."""
    numbers = {}
    for key, run in runs.items():
        long = run.analyse("long_context", factor=FACTOR)
        numbers[f"{key}_within"], numbers[f"{key}_beyond"] = within_and_beyond(long)
    return numbers | {"difference": rise(numbers, "sinusoidal") - rise(numbers, "alibi")}


def rise(numbers: Numbers, run: str) -> float:
    """Return by how much a run's loss is higher beyond the training length than within."""
    return numbers[f"{run}_beyond"] - numbers[f"{run}_within"]


def outcome(numbers: Numbers) -> str:
    """Return the only run whose loss holds, or "same" where several do, or none."""
    holding = [run for run in NAMES if rise(numbers, run) <= HOLDS]
    return holding[0] if len(holding) == 1 else "same"


NUMBERS = {
    **{f"{run}_{part}": Number(f"{name}: loss {part} the training length")
       for run, name in NAMES.items() for part in ("within", "beyond")},
    "difference": Number("how much more Sinusoidal's loss rises than ALiBi's"),
}


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Return the verdict: ALiBi's loss holds beyond the training length, and it is the only one."""
    text = {number: NUMBERS[number].text(mean(measured, number)) for number in NUMBERS}
    went = {run: f"from {text[f'{run}_within']} to {text[f'{run}_beyond']}" for run in NAMES}
    return judged(measured, outcome, "alibi", (
        f"Past {CONTEXT} characters ALiBi's loss goes {went['alibi']}. "
        f"Sinusoidal's goes {went['sinusoidal']}, RoPE's {went['rope']}."))


LESSON = add(Lesson(
    name="train-short-test-long",
    title="What if the text goes on longer than any it was trained on?",
    look="Where on the map could a model find out that it stands at character 500?",
    prediction=Prediction(
        f"Trained on {CONTEXT} characters, the models read {FACTOR * CONTEXT}. Who reads on as well as before?",
        {"sinusoidal": "Sinusoidal only, which adds waves to each character",
         "rope": "RoPE only, which turns queries and keys",
         "alibi": "ALiBi only, which fades what is far away",
         "same": "Several of them, or none"},
    ),
    expected="alibi",
    base=Experiment(
        architecture=Architecture(num_layers=2, hidden_dim=64, num_heads=4, init_std=0.05, max_seq_len=CONTEXT * FACTOR),
        training=Training(learning_rate=3e-3, warmup_steps=50, batch_size=8, seq_len=CONTEXT, steps=400),
    ),
    runs={run: LessonRun(name, {"architecture.pos_encoding_type": name}) for run, name in NAMES.items()},
    steps=400,
    views=("loss", "attention", "qk"),
    numbers=NUMBERS,
    headline="difference",
    measure=measure,
    judge=judge,
    take_away="ALiBi only says how far back a character stands, and fades the far ones: longer texts hold nothing new.",
    effect="Past the training length ALiBi's loss holds, others' rise",
    paper=Paper(
        authors="Press, Smith & Lewis",
        year=2022,
        title="Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation",
        url="https://arxiv.org/abs/2108.12409",
        section="abstract and figure 1",
        found="ALiBi trained on 1,024 tokens read 2,048 as well as Sinusoidal trained on 2,048, 11% faster.",
    ),
    seconds=13.0,
))
