"""Which norm? LayerNorm, RMSNorm and none: the loss, and how the signal grows from the first layer to the last."""

from collections.abc import Mapping, Sequence

from tlab_core.config import Architecture, Training
from tlab_core.experiment import Experiment
from tlab_core.lessons.base import Lesson, LessonRun, Number, Numbers, Paper, Prediction, Verdict, add, judged, mean
from tlab_core.lessons.reading import last, validation_loss
from tlab_core.run import Run

# The screen calls less than 0.05 nats too close to call. To say that a norm helps takes twice that.
ALIKE, APART = 0.05, 0.1

BASE = Experiment(
    architecture=Architecture(num_layers=6, hidden_dim=48, num_heads=4, activation_type="GELU", init_std=0.05,
                              max_seq_len=64),
    training=Training(learning_rate=3e-3, warmup_steps=20, batch_size=8, seq_len=32, steps=200, eval_every=50, shards=1),
)  # fmt: skip


def measure(runs: Mapping[str, Run]) -> dict[str, float]:
    """Read the losses at the end, and how many times larger the signal is behind the last layer than before the first."""
    def growth(run: Run) -> float:
        signal = last(run, "residual", "rms")
        return float(signal[-1] / signal[0])

    losses = {key: validation_loss(run) for key, run in runs.items()}
    growths = {f"{key}_growth": growth(run) for key, run in runs.items()}
    return {**losses, "gap": losses["none"] - max(losses["layer"], losses["rms"]), **growths}


def outcome(numbers: Numbers) -> str:
    """Say whether the two norms end alike, and the model without a norm behind or ahead of both."""
    layer, rms, none = numbers["layer"], numbers["rms"], numbers["none"]
    if none < min(layer, rms) - APART:
        return "none"
    if abs(layer - rms) > ALIKE:
        return "layer" if layer < rms else "rms"
    return "norms" if none > max(layer, rms) + APART else "same"


def judge(measured: Sequence[Numbers]) -> Verdict:
    """Say what the seeds show."""
    text = {key: NUMBERS[key].text(mean(measured, key)) for key in NUMBERS}
    return judged(measured, outcome, "norms", (
        f"LayerNorm reaches loss {text['layer']} and RMSNorm {text['rms']}; without a norm it is {text['none']}. "
        f"From first to last layer the signal grows {text['layer_growth']}×, {text['rms_growth']}× "
        f"and {text['none_growth']}×."))


NUMBERS = {
    "layer": Number("loss, LayerNorm", ".3f"),
    "rms": Number("loss, RMSNorm", ".3f"),
    "none": Number("loss, no norm", ".3f"),
    "gap": Number("loss without a norm less that of the worse norm", "+.3f"),
    "layer_growth": Number("signal, last ÷ first, LayerNorm", ".0f"),
    "rms_growth": Number("signal, last ÷ first, RMSNorm", ".0f"),
    "none_growth": Number("signal, last ÷ first, no norm", ".0f"),
}

LESSON = add(Lesson(
    name="which-norm",
    title="LayerNorm, RMSNorm, or none at all?",
    look="LayerNorm's bead has two ticks, RMSNorm's only one: which work does it leave out?",
    prediction=Prediction("Three models differ in nothing but the norm. Who has the lowest loss after 200 steps?", {
        "layer": "LayerNorm, which centres and scales",
        "rms": "RMSNorm, which only scales",
        "norms": "Both norms, about equally; without one it is higher",
        "none": "The model without a norm",
        "same": "All three about the same",
    }),
    expected="norms",
    base=BASE,
    runs={
        "layer": LessonRun("LayerNorm", {"architecture.norm_type": "LayerNorm"}),
        "rms": LessonRun("RMSNorm", {"architecture.norm_type": "RMSNorm"}),
        "none": LessonRun("No norm", {"architecture.norm_type": "None"}),
    },
    steps=200,
    views=("loss", "signal"),
    numbers=NUMBERS,
    headline="gap",
    measure=measure,
    judge=judge,
    take_away="What helps is a steady size: to centre the numbers as well adds next to nothing.",
    effect="RMSNorm does as well as LayerNorm, no norm does worse",
    paper=Paper(
        "Zhang & Sennrich", 2019, "Root Mean Square Layer Normalization", "https://arxiv.org/abs/1910.07467",
        "abstract and section 6",
        "RMSNorm was about as good as LayerNorm in their tasks, and took 7% to 64% less time.",
    ),
    seconds=13,
))  # fmt: skip
