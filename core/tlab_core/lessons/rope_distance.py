"""RoPE turns queries and keys, so that how well two characters match depends on their distance and not on the place."""

from collections.abc import Mapping, Sequence

import numpy as np

from tlab_core.analyses.base import held_back, undisturbed
from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.heads import causal_pairs
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Verdict, add, judged, mean
from tlab_core.run import LiveRun

CONTEXT = 64  # characters that the models are trained on
SHIFT = 32  # places that the text moves: it stays among positions that were all trained on
TEXTS = 16
# In shares of the scores' spread. Rounding in float32 moves them by about 0.00002 %; scores of two places that had nothing
# to do with each other would differ by 141 %. Anything below 1 % is no change that a softmax could tell.
STAYS = 0.01


def scores(run: LiveRun, tokens: np.ndarray, hidden: int) -> np.ndarray:
    """Return the Q·K logits among the tokens behind the first `hidden`, which they can't see: (L, B, H, pairs), float64.

    tokens (B, T). With T = hidden + n tokens there are n(n + 1)/2 pairs of a query and a key up to it.
    """
    found = []

    def trace(site: str, x: np.ndarray) -> np.ndarray:
        if not site.endswith(".scores"):
            return x
        found.append(causal_pairs(x[..., hidden:, hidden:]).astype(np.float64))
        x = x.copy()
        x[..., hidden:, :hidden] = -np.inf  # no weight on what stands before, so that the text alone decides
        return x

    run.model.forward(tokens, trace)
    return np.stack(found)


def moved(run: LiveRun) -> float:
    """Return how far match scores move when the text itself moves by SHIFT places, as a share of their spread.

    RMS(scores at SHIFT … − scores at 0 …) / std(scores at 0 …), the mean over layers, on held-back text. The same
    characters are read twice: once from position 0, once behind SHIFT others that are hidden from them.
    """
    tokens, _ = held_back(run, TEXTS, CONTEXT)
    with undisturbed():
        here, there = scores(run, tokens[:, SHIFT:], 0), scores(run, tokens, SHIFT)
        by_layer = np.sqrt(np.square(there - here).mean(axis=(1, 2, 3))) / here.std(axis=(1, 2, 3))
    return float(by_layer.mean())


def measure(runs: Mapping[str, LiveRun]) -> dict[str, float]:
    """Return for each run how far its scores move."""
    return {key: moved(run) for key, run in runs.items()}


def outcome(numbers: Numbers) -> str:
    """Return whose scores stay where they are: RoPE's alone, those of an added table without RoPE's, or no such side."""
    turned = numbers["rope"] < STAYS
    added = numbers["learned"] < STAYS or numbers["sinusoidal"] < STAYS
    if turned == added:
        return "same"
    return "rope" if turned else "added"


NUMBERS = {
    "rope": Number("RoPE: change of the match scores, in standard deviations", ".2%"),
    "learned": Number("Learned: change of the match scores, in standard deviations", ".0%"),
    "sinusoidal": Number("Sinusoidal: change of the match scores, in standard deviations", ".0%"),
}


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Return the verdict: RoPE's scores stay, and those of both added tables move."""
    text = {number: NUMBERS[number].text(mean(measured, number)) for number in NUMBERS}
    return judged(measured, outcome, "rope", (
        f"Moving a text by {SHIFT} places changes RoPE's match scores by {text['rope']} of their standard deviation. "
        f"Learned's change by {text['learned']}, Sinusoidal's by {text['sinusoidal']}."))


LESSON = add(Lesson(
    name="rope-distance",
    title="What does RoPE know about place that a table doesn't?",
    look="Where does position enter the map: inside every attention box, or once at the start?",
    prediction=Prediction(
        f"A text moves {SHIFT} places to the right. Whose match scores (how well characters fit) stay as they were?",
        {"rope": "RoPE's, which turns queries and keys",
         "added": "Those of Learned or Sinusoidal, which add a row of a table to each character",
         "same": "No difference: all stay or all change"},
    ),
    expected="rope",
    base=Experiment(
        architecture=Architecture(num_layers=2, hidden_dim=64, num_heads=4, init_std=0.05, max_seq_len=CONTEXT),
        training=Training(learning_rate=3e-3, warmup_steps=50, batch_size=8, seq_len=CONTEXT, steps=300),
    ),
    runs={
        "rope": LessonRun("RoPE", {"architecture.pos_encoding_type": "RoPE"}),
        "learned": LessonRun("Learned", {"architecture.pos_encoding_type": "Learned"}),
        "sinusoidal": LessonRun("Sinusoidal", {"architecture.pos_encoding_type": "Sinusoidal"}),
    },
    steps=300,
    views=("loss", "attention", "qk"),
    numbers=NUMBERS,
    headline="rope",
    measure=measure,
    judge=judge,
    take_away="RoPE turns queries and keys by their place, so only the distance between two characters is left.",
    effect="With RoPE, match scores depend on distance and not on the place",
    paper=Paper(
        authors="Su, Lu, Pan et al.",
        year=2021,
        title="RoFormer: Enhanced Transformer with Rotary Position Embedding",
        url="https://arxiv.org/abs/2104.09864",
        section="section 3.2, equation 16; table 1",
        found="A proof that the change is exactly zero. With RoPE, translation scored 27.5 BLEU against 27.3.",
    ),
    seconds=8.0,
))
