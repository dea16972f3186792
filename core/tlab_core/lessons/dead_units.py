"""Do units die? ReLU, GELU and Swish at a high learning rate: how many units pass no gradient at all, and the loss."""

from collections.abc import Mapping, Sequence

from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Verdict, add, judged, mean
from tlab_core.lessons.reading import validation_loss
from tlab_core.run import Run

# Of the 1,024 units in a model, 1 % are ten: more than the odd one that merely has no occasion to fire in 240 characters.
ENOUGH_DEAD = 0.01

# Longer than the usual probe, and on what stories are about, so that a unit that lives has occasions to show it.
PROBE = (
    'One day Ben went to the wood. He had a red ball. But then the ball was gone. "Where is my ball?" said Ben. '
    'Then he met Anna. "It is under a tree," said Anna. Ben looked under a tree and found the red ball. '
    '"Thank you, Anna!" said Ben. They went home.'
)

BASE = Experiment(
    architecture=Architecture(num_layers=4, hidden_dim=64, num_heads=4, ff_dim=256, norm_type="LayerNorm", max_seq_len=64),
    # Ten times the usual rate and no warm-up (at 2e-3 and 2e-2 ReLU had the most dead units as well, with seed 0).
    # Large steps are what throws a unit to where it never fires.
    training=Training(learning_rate=1e-2, warmup_steps=0, batch_size=8, seq_len=32, steps=200, eval_every=50,
                      statistics_every=50, shards=1),
    probe_text=PROBE,
)  # fmt: skip


def measure(runs: Mapping[str, Run]) -> dict[str, float]:
    """Read the share of dead units at the end and when it was largest, and the losses at the end."""
    found = {}
    for key, run in runs.items():
        dead = run.recorder.group("layers").variables["dead_share"].values.mean(axis=1)  # by step; layers are equally wide
        found |= {f"{key}_dead": float(dead[-1]), f"{key}_peak": float(dead.max()), f"{key}_loss": validation_loss(run)}
    return found


def outcome(numbers: Numbers) -> str:
    """Say which activation has more dead units than the others by more than `ENOUGH_DEAD` of all units."""
    dead = {key: numbers[f"{key}_dead"] for key in ("relu", "gelu", "swish")}
    (_, second), (key, most) = sorted(dead.items(), key=lambda item: item[1])[1:]
    return key if most > second + ENOUGH_DEAD else "same"


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Say what the seeds show."""
    text = {key: NUMBERS[key].text(mean(measured, key)) for key in NUMBERS}
    return judged(measured, outcome, "relu", (
        f"ReLU ends with {text['relu_dead']} dead units, after {text['relu_peak']} at the worst moment. "
        f"GELU ends with {text['gelu_dead']}, Swish with {text['swish_dead']}. "
        f"The losses: {text['relu_loss']} with ReLU, {text['gelu_loss']} with GELU, {text['swish_loss']} with Swish."))


NUMBERS = {
    f"{key}_{what}": Number(f"{label}, {name}", style)
    for key, name in (("relu", "ReLU"), ("gelu", "GELU"), ("swish", "Swish"))
    for what, label, style in (("dead", "dead units", ".1%"), ("peak", "dead units at the worst moment", ".1%"),
                               ("loss", "loss", ".2f"))
}  # fmt: skip

LESSON = add(Lesson(
    name="dead-units",
    title="Can units die?",
    look="Look at the curve in the feed-forward box: on which side does it lie flat?",
    prediction=Prediction("Large steps, no warm-up. Which activation ends with the most dead units?", {
        "relu": "ReLU, which is flat on one whole side",
        "gelu": "GELU, which dips and then flattens out",
        "swish": "Swish, which dips more softly",
        "same": "About the same",
    }),
    expected="relu",
    base=BASE,
    runs={
        "relu": LessonRun("ReLU", {"architecture.activation_type": "ReLU"}),
        "gelu": LessonRun("GELU", {"architecture.activation_type": "GELU"}),
        "swish": LessonRun("Swish", {"architecture.activation_type": "Swish"}),
    },
    steps=200,
    views=("layer_statistics", "loss"),
    numbers=NUMBERS,
    headline="relu_dead",
    measure=measure,
    judge=judge,
    take_away="A unit that is off everywhere gets no gradient: only a change in what it reads can wake it.",
    effect="ReLU leaves units that never fire",
    paper=Paper(
        "Voita, Ferrando & Nalmpantis", 2023, "Neurons in Large Language Models: Dead, N-gram, Positional",
        "https://arxiv.org/abs/2309.04827", "section 3",
        "In some layers of OPT-66B, which has ReLU, over 70% of units never fired on much varied text.",
    ),
    seconds=16,
))  # fmt: skip
