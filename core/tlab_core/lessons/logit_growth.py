"""At a high learning rate match scores grow without bound, and softmax listens to one character; QK-norm holds them."""

from collections.abc import Mapping, Sequence

import numpy as np

from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Repair, Verdict, add, judged, mean
from tlab_core.lessons.reading import validation_loss
from tlab_core.run import Run

HIGH, USUAL = 0.1, 2e-3  # the lab opens with the usual one
SLOWER = {"training.learning_rate": USUAL}
# Scores are exponents: what is ten times as large turns weights of 2 to 1 into 1,000 to 1.
TIMES = 10


def largest_logit(run: Run) -> float:
    """Return the largest Q·K logit of any head at any time that a run was looked into; infinite where one became so."""
    return float(np.nanmax(run.recorder.group("heads").variables["qk_max"].values))


def measure(runs: Mapping[str, Run]) -> dict[str, float]:
    """Return each run's largest Q·K logit, and its loss at the end."""
    return {key: largest_logit(run) for key, run in runs.items()} | {
        f"{key}_loss": validation_loss(run) for key, run in runs.items()}


def outcome(numbers: Numbers) -> str:
    """Return whose largest logit is at least TIMES the other's."""
    plain, normed = numbers["plain"], numbers["qk_norm"]
    if plain >= TIMES * normed:
        return "plain"
    return "qk_norm" if normed >= TIMES * plain else "same"


NUMBERS = {
    "plain": Number("largest match score in 200 steps without QK-norm", ",.0f"),
    "qk_norm": Number("largest match score in 200 steps with QK-norm", ",.0f"),
    "slow": Number(f"largest match score in 200 steps without QK-norm at a learning rate of {USUAL:g}", ",.0f"),
    "plain_loss": Number("loss without QK-norm"),
    "qk_norm_loss": Number("loss with QK-norm"),
    "slow_loss": Number(f"loss without QK-norm at a learning rate of {USUAL:g}"),
}


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Return the verdict: without QK-norm the largest logit grows at least TIMES as far."""
    text = {number: NUMBERS[number].text(mean(measured, number)) for number in NUMBERS}
    return judged(measured, outcome, "plain", (
        f"At a learning rate of {HIGH:g} match scores reach {text['plain']} without QK-norm, {text['qk_norm']} with it. "
        f"The losses are {text['plain_loss']} without, {text['qk_norm_loss']} with it."),
        mended=(f"At a learning rate of {USUAL:g} match scores reach {text['slow']} without QK-norm, "
                f"and the loss is {text['slow_loss']}."))


LESSON = add(Lesson(
    name="logit-growth",
    title="What breaks first when the learning rate is too high?",
    look="A match score says how well two characters fit: which part of the map makes it?",
    prediction=Prediction(
        f"Learning rate {HIGH:g}, about fifty times the usual. Whose largest match score grows ten times as far?",
        {"plain": "Without QK-norm", "qk_norm": "With QK-norm, which brings queries and keys to a steady size",
         "same": "Neither: less than ten times"},
    ),
    expected="plain",
    base=Experiment(
        architecture=Architecture(num_layers=2, hidden_dim=64, num_heads=4, max_seq_len=64),
        training=Training(learning_rate=HIGH, warmup_steps=10, batch_size=8, seq_len=64, steps=200),
    ),
    runs={
        "plain": LessonRun("Without QK-norm", {"architecture.qk_norm": False}),
        "qk_norm": LessonRun("With QK-norm", {"architecture.qk_norm": True}),
        "slow": LessonRun("Without, lower learning rate", {"architecture.qk_norm": False, **SLOWER}),
    },
    steps=200,
    views=("qk", "loss", "attention"),
    numbers=NUMBERS,
    headline="plain",
    measure=measure,
    judge=judge,
    take_away="By itself nothing bounds the length of queries and keys. QK-norm keeps it steady, so no score can run away.",
    effect="At a high learning rate match scores grow without QK-norm, and not with it",
    paper=Paper(
        authors="Wortsman, Liu, Xiao et al.",
        year=2023,
        title="Small-scale proxies for large-scale Transformer training instabilities",
        url="https://arxiv.org/abs/2309.14322",
        section="section 3.1.1, figures 1 and 2 (the idea of QK-norm: Henry et al. 2020)",
        found="Small models without QK-norm broke at high learning rates; with it they trained at up to 0.3.",
    ),
    seconds=6.0,
    repair=Repair("Turn the learning rate down for the model without QK-norm.", "plain", "slow",
                  compares=(("plain", "slow"), ("plain_loss", "slow_loss")), hides=("slow", "slow_loss")),
))
