"""Attention mixes positions. Without the residual road around it, twelve rounds of mixing leave them all alike.

The paper's positions see all others; here each sees those before it, as in every model of the lab.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tlab_core.analyses.base import held_back, undisturbed
from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Verdict, add, judged, mean
from tlab_core.run import LiveRun
from tlab_core.transformer import Transformer

CONTEXT = 64
LAYERS = 12
TEXTS = 16
# Shares of the signal that tell positions apart. Below a tenth, what a position says of itself is ten times weaker than
# what it shares with all others. The whole model has to keep more than half, or it would have collapsed with its road.
ALIKE, KEPT = 0.1, 0.5


def distance_from_rank_one(x: np.ndarray) -> float:
    """Return the share of a signal (B, T, D) that differs between positions: 1 for all of it, 0 where all are alike.

    ‖x − mean over positions‖ / ‖x‖ of each text, the Frobenius norm, and the mean over texts; the mean is the nearest
    signal of rank one that says the same at all positions. Dong et al. 2021, section 2, which takes another norm.
    """
    x = x.astype(np.float64)
    apart = np.square(x - x.mean(axis=1, keepdims=True)).sum(axis=(1, 2))
    return float(np.sqrt(apart / np.square(x).sum(axis=(1, 2))).mean())


class CutRoads:
    """A trace that takes the residual road away in a Pre-LN model, and the feed-forward parts with it, unless told.

    x ← f(N(x)) instead of x + f(N(x)) at attention, and at feed-forward where that stays.
    """

    def __init__(self, feed_forward: bool = False):
        self.feed_forward = feed_forward
        self._branch = np.empty(0)

    def __call__(self, site: str, x: np.ndarray) -> np.ndarray:
        part = site.split(".")[-1]
        if part == "attention" or (part == "mlp" and self.feed_forward):
            self._branch = x.copy()
        elif site.startswith("residual.") and site != "residual.0":
            return self._branch  # where feed-forward is out this is still attention's output, and so passes through
        return x


def at_the_end(model: Transformer, tokens: np.ndarray, cut: CutRoads | None = None) -> float:
    """Return the distance from rank one behind the last layer, of the whole model or of what a cut leaves."""
    last = f"residual.{len(model.branches)}"
    found = []

    def trace(site: str, x: np.ndarray) -> np.ndarray:
        x = x if cut is None else cut(site, x)
        if site == last:
            found.append(distance_from_rank_one(x))
        return x

    with undisturbed():
        model.forward(tokens, trace)
    return found[0]


def measure(runs: Mapping[str, LiveRun]) -> dict[str, float]:
    """Return the distance behind the last layer, of the trained model and of the same before training."""
    run = runs["deep"]
    tokens, _ = held_back(run, TEXTS, CONTEXT)
    fresh = Transformer(run.experiment.architecture)  # the same dice: the model as it was at step 0
    return {
        "whole": at_the_end(run.model, tokens),
        "no_road": at_the_end(run.model, tokens, CutRoads(feed_forward=True)),
        "attention": at_the_end(run.model, tokens, CutRoads()),
        "fresh_whole": at_the_end(fresh, tokens),
        "fresh_attention": at_the_end(fresh, tokens, CutRoads()),
    }


def outcome(numbers: Numbers) -> str:
    """Return what becomes of the positions, where the trained and the fresh model both say so."""
    pairs = [(numbers["whole"], numbers["attention"]), (numbers["fresh_whole"], numbers["fresh_attention"])]
    if all(whole > KEPT and attention < ALIKE for whole, attention in pairs):
        return "alike"
    return "same" if all(attention > whole / 2 for whole, attention in pairs) else "closer"


NUMBERS = {
    "whole": Number("whole model, trained: share of the signal that tells positions apart", ".1%"),
    "no_road": Number("without the road, with feed-forward, trained", ".1%"),
    "attention": Number("attention alone, trained", ".1%"),
    "fresh_whole": Number("whole model, before training", ".1%"),
    "fresh_attention": Number("attention alone, before training", ".1%"),
}


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Return the verdict: attention alone leaves positions alike, and the whole model keeps them apart."""
    text = {number: NUMBERS[number].text(mean(measured, number)) for number in NUMBERS}
    return judged(measured, outcome, "alike", (
        f"Behind the last layer, {text['whole']} of the signal tells positions apart. "
        f"Attention alone leaves {text['attention']}, and left {text['fresh_attention']} before training."))


LESSON = add(Lesson(
    name="rank-collapse",
    title="Why does every layer need a road around it?",
    look="Follow the thick road down the map: what would reach the end if it were cut?",
    prediction=Prediction(
        f"Cut the road, and leave only attention, {LAYERS} times. How different are the positions at the end?",
        {"alike": "Nearly alike", "closer": "Somewhat more alike", "same": "As different as before"},
    ),
    expected="alike",
    base=Experiment(
        architecture=Architecture(num_layers=LAYERS, hidden_dim=64, num_heads=4, init_std=0.05, max_seq_len=CONTEXT),
        training=Training(learning_rate=2e-3, warmup_steps=20, batch_size=8, seq_len=CONTEXT, steps=100),
    ),
    runs={"deep": LessonRun(f"{LAYERS} layers", {})},
    steps=100,
    views=("signal", "attention", "loss"),
    numbers=NUMBERS,
    headline="attention",
    measure=measure,
    judge=judge,
    take_away="Attention only mixes positions; the road carries each one's own message past it.",
    effect="Attention alone makes all positions alike",
    paper=Paper(
        authors="Dong, Cordonnier & Loukas",
        year=2021,
        title="Attention Is Not All You Need: Pure Attention Loses Rank Doubly Exponentially with Depth",
        url="https://arxiv.org/abs/2103.03404",
        section="section 2",
        found="By proof, the difference shrinks faster than exponentially with depth. BERT, ALBERT and XLNet showed it.",
    ),
    seconds=5.0,
))
