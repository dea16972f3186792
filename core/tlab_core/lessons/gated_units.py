"""Do gates help? SwiGLU and GEGLU against GELU and ReLU, with exactly as many parameters."""

from collections.abc import Mapping, Sequence

from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Verdict, add, judged, lower, mean
from tlab_core.lessons.reading import validation_loss
from tlab_core.run import Run

# The losses of one setting spread by 0.02 to 0.04 nats over three seeds, and the screen calls less than 0.05 too close to
# call.
MARGIN = 0.05

BASE = Experiment(
    # A width of 96 makes the units 384 plain or 256 gated ones: 3 · 96 · 256 = 2 · 96 · 384, and without biases no model
    # has a number more than another.
    architecture=Architecture(num_layers=3, hidden_dim=96, num_heads=4, use_bias=False, init_std=0.05, max_seq_len=64),
    training=Training(learning_rate=3e-3, warmup_steps=20, batch_size=8, seq_len=32, steps=300, eval_every=50, shards=1),
)


def measure(runs: Mapping[str, Run]) -> dict[str, float]:
    """Read the losses at the end."""
    losses = {key: validation_loss(run) for key, run in runs.items()}
    gated, plain = best(losses)
    return {**losses, "gap": plain - gated}


def best(losses: Numbers) -> tuple[float, float]:
    """Return the lower of the two gated losses, and of the two plain ones."""
    return min(losses["geglu"], losses["swiglu"]), min(losses["gelu"], losses["relu"])


def outcome(numbers: Numbers) -> str:
    """Say whether the better gated or the better plain activation has the lower loss."""
    return lower(*best(numbers), ("gated", "plain"), MARGIN)


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Say what the seeds show."""
    text = {key: NUMBERS[key].text(mean(measured, key)) for key in NUMBERS}
    return judged(measured, outcome, "gated", (
        f"Gated units reach loss {text['geglu']} (GEGLU) and {text['swiglu']} (SwiGLU). "
        f"Plain ones reach {text['gelu']} (GELU) and {text['relu']} (ReLU)."))


NUMBERS = {
    "gelu": Number("loss, GELU", ".3f"),
    "geglu": Number("loss, GEGLU", ".3f"),
    "relu": Number("loss, ReLU", ".3f"),
    "swiglu": Number("loss, SwiGLU", ".3f"),
    "gap": Number("the better plain loss less the better gated one", "+.3f"),
}

LESSON = add(Lesson(
    name="gated-units",
    title="Why do modern models multiply two paths in the feed-forward part?",
    look="A gated box has two pipes that meet at ×: what could the second one be good for?",
    prediction=Prediction("Gated or plain, all models have equally many parameters. Who has the lower loss?", {
        "gated": "The gated ones: GEGLU or SwiGLU",
        "plain": "The plain ones: GELU or ReLU",
        "same": "About the same",
    }),
    expected="gated",
    base=BASE,
    runs={
        "gelu": LessonRun("GELU", {"architecture.activation_type": "GELU"}),
        "geglu": LessonRun("GEGLU", {"architecture.activation_type": "GEGLU"}),
        "relu": LessonRun("ReLU", {"architecture.activation_type": "ReLU"}),
        "swiglu": LessonRun("SwiGLU", {"architecture.activation_type": "SwiGLU"}),
    },
    steps=300,
    views=("loss",),
    numbers=NUMBERS,
    headline="gap",
    measure=measure,
    judge=judge,
    take_away="A gate lets one path decide how much of another gets through, at the price of fewer units.",
    effect="gated units beat plain ones at equal size",
    paper=Paper(
        "Shazeer", 2020, "GLU Variants Improve Transformer", "https://arxiv.org/abs/2002.05202", "section 3.2, table 1",
        "After full pre-training, GEGLU had a held-out loss of 1.633 and SwiGLU 1.636, ReLU 1.677 and GELU 1.679.",
    ),
    seconds=25,
))  # fmt: skip
