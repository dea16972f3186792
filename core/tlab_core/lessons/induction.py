"""Two layers can look up what followed a letter the last time, and repeat it; one layer can't."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Verdict, add, judged, mean
from tlab_core.lessons.reading import last
from tlab_core.run import Run

STEPS = 350
# Who only knows which letters a line has, and not their order, is right in up to a quarter of the cases (measured, with
# RoPE in place of ALiBi). A lead of a half can't come from that.
LEAD = 0.5


def jump(run: Run) -> float:
    """Return the step at which half of the answers were right for the first time; NaN where they never were."""
    validation = run.recorder.group("validation").variables
    reached = validation["answer_accuracy"].values >= 0.5
    return float(validation["step"].values[np.argmax(reached)]) if reached.any() else math.nan


def measure(runs: Mapping[str, Run]) -> dict[str, float]:
    """Return each run's share of right answers and its best induction score at the end, and when two layers got there."""
    numbers = {}
    for key, run in runs.items():
        numbers[f"{key}_accuracy"] = float(last(run, "validation", "answer_accuracy"))
        numbers[f"{key}_induction"] = float(last(run, "heads", "induction").max())
    return numbers | {"jump": jump(runs["two"])}


def outcome(numbers: Numbers) -> str:
    """Return which of the models is right more often by at least LEAD."""
    lead = numbers["two_accuracy"] - numbers["one_accuracy"]
    return "two" if lead >= LEAD else "one" if lead <= -LEAD else "same"


NUMBERS = {
    "two_accuracy": Number("two layers: answers right", ".0%"),
    "one_accuracy": Number("one layer: answers right", ".0%"),
    "two_induction": Number("two layers: best head's weight on what followed last time", ".0%"),
    "one_induction": Number("one layer: best head's weight on what followed last time", ".0%"),
    "jump": Number("two layers: step at which half the answers were right", ".0f"),
}


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Return the verdict: two layers answer right more often than one, by at least LEAD."""
    text = {number: NUMBERS[number].text(mean(measured, number)) for number in NUMBERS}
    return judged(measured, outcome, "two", (
        f"After {STEPS} steps two layers get {text['two_accuracy']} of answers right, one layer {text['one_accuracy']}. "
        f"The best head puts {text['two_induction']} of its weight on what followed last time; "
        f"with one layer, {text['one_induction']}."))


LESSON = add(Lesson(
    name="induction",
    title="How does a model repeat what it has read only once?",
    look="Two attention boxes on one map, one on the other: what can the first pass on to the second?",
    prediction=Prediction(
        f"Letters come, then begin again after a random number. After {STEPS} steps, who foresees the repeats?",
        {"two": "Two layers", "one": "One layer", "same": "No difference to speak of"},
    ),
    expected="two",
    base=Experiment(
        # Muon and ALiBi, whose steep heads begin by looking just behind, find the circuit within 250 steps; AdamW with
        # RoPE had not after 600. Which optimizer gets there first is not the question here: both runs have the same.
        architecture=Architecture(hidden_dim=64, num_heads=8, pos_encoding_type="ALiBi", init_std=0.05, max_seq_len=64),
        training=Training(optimizer="Muon", learning_rate=0.02, warmup_steps=50, batch_size=16, seq_len=64, steps=STEPS,
                          eval_every=25),
        corpus="induction",
    ),
    runs={
        "two": LessonRun("Two layers", {"architecture.num_layers": 2}),
        "one": LessonRun("One layer", {"architecture.num_layers": 1}),
    },
    steps=STEPS,
    views=("loss", "heads", "attention"),
    numbers=NUMBERS,
    headline="two_accuracy",
    measure=measure,
    judge=judge,
    take_away="One head notes what stood before each letter; a later head looks that up and copies what followed.",
    effect="Two layers learn to copy what followed before; one layer doesn't",
    paper=Paper(
        authors="Olsson, Elhage, Nanda et al.",
        year=2022,
        title="In-context Learning and Induction Heads",
        url="https://transformer-circuits.pub/2022/in-context-learning-and-induction-heads/index.html",
        section="argument 1",
        found="Models of two layers or more got it abruptly, within 2.5 to 5 billion tokens; one layer never did.",
    ),
    seconds=10.0,
))
