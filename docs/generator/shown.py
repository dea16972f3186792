"""For each knob the two values that show most of what it does, and the code that it acts in. A test holds this table
against the knobs that there are."""

from dataclasses import dataclass, field
from typing import Any

from tlab_core.config import Architecture, Training, usual_rates
from tlab_core.experiment import Experiment

STEPS = 80

BASE = Experiment(
    architecture=Architecture(num_layers=4, hidden_dim=48, num_heads=4, init_std=0.05, max_seq_len=48),
    training=Training(learning_rate=4e-3, warmup_steps=10, batch_size=8, seq_len=48, steps=100, eval_every=20,
                      statistics_every=10, shards=1, executor="serial"),
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two runs that differ in one knob alone.

    values  the knob's value in the first run and in the second
    also    what else differs from BASE, in both, by full names: what lets the knob be seen
    acts    where the knob acts, as "module:name"; not needed where its values are components, whose code is shown
    number  what the knob is for in one number of numbers.py, where the lab's own measures don't hold it
    look    a sentence for where the two runs alone would mislead: what they can't show, and why
    steps   how many steps each run makes
    """

    values: tuple[Any, Any]
    acts: tuple[str, ...] = ()
    also: dict[str, Any] = field(default_factory=dict)
    number: str = ""
    look: str = ""
    steps: int = STEPS


LATE = (f"A low rate at the end pays off late: {STEPS} steps are the beginning of a training, where a high one still gets "
        "on faster.")  # fmt: skip

# A sentence in place of a pair says why no two runs can differ in that knob alone.
SHOWN: dict[str, Pair | str] = {
    "architecture.vocab_size":
        "The text decides it: each character that comes up in it counts. Two runs that differ in this knob learn different "
        "texts; see `corpus`.",
    "architecture.hidden_dim": Pair((16, 64), ("tlab_core.embedding:TokenEmbedding",)),
    "architecture.num_layers": Pair((2, 8), ("tlab_core.transformer:Transformer._forward",
                                             "tlab_core.transformer:Transformer._backward")),
    "architecture.num_heads": Pair((1, 8), ("tlab_core.attention:CausalSelfAttention",)),
    "architecture.ff_dim": Pair((8, 256), ("tlab_core.feedforward:FeedForward",)),
    "architecture.max_seq_len": Pair((4, 48), ("tlab_core.generation:Window", "tlab_core.positions:Learned"), look=(
        "It matters where the model writes: what it writes at the end stands in the last row of the table.")),
    "architecture.norm_type": Pair(("RMSNorm", "None")),
    "architecture.residual_type": Pair(("Pre-LN", "Post-LN"), also={"architecture.num_layers": 6}),
    "architecture.activation_type": Pair(("ReLU", "SwiGLU"), also={"training.learning_rate": 1e-2}),
    "architecture.pos_encoding_type": Pair(("RoPE", "ALiBi")),
    "architecture.tie_embeddings": Pair((True, False), ("tlab_core.embedding:Head",)),
    "architecture.use_bias": Pair((True, False), ("tlab_core.linear:Linear",)),
    "architecture.qk_norm": Pair((False, True), ("tlab_core.attention:HeadNorm",), {"training.learning_rate": 3e-2}),
    "architecture.init_std": Pair((0.005, 0.2), ("tlab_core.parameters:fill",)),
    "architecture.seed": Pair((0, 1), ("tlab_core.parameters:fill",)),
    "architecture.dtype": Pair(("float32", "float64"), ("tlab_core.parameters:flat_views",)),
    "training.optimizer": Pair(("SGD", "AdamW"), look=(
        f"Both have the learning rate that suits AdamW. One starts from: {usual_rates()}.")),
    "training.learning_rate": Pair((3e-4, 2e-2), ("tlab_core.schedules:learning_rate",)),
    "training.min_learning_rate": Pair((0.0, 4e-3), ("tlab_core.schedules:between",), look=LATE),
    "training.schedule": Pair(("constant", "linear"), also={"training.steps": STEPS}, look=LATE),
    "training.warmup_steps": Pair((0, 100), ("tlab_core.schedules:climb", "tlab_core.schedules:warming_up"), {
        # Deep and Post-LN, near the edge, as in the lesson: losses of seeds 0, 1, 2 are 3.10, 3.11, 1.81 without warm-up
        # and 2.59, 2.16, 2.08 with it.
        "architecture.residual_type": "Post-LN", "architecture.num_layers": 12, "architecture.norm_type": "LayerNorm",
        "architecture.activation_type": "ReLU", "architecture.init_std": 0.02, "training.learning_rate": 6e-3,
        "training.seq_len": 32, "training.schedule": "constant", "training.steps": 120}, steps=120, look=(
        "Deep, Post-LN and at a high learning rate, a model is near the edge: without warm-up, two of the seeds 0, 1 and 2 "
        "learn no more than letter counts, and with it all three learn. Where nothing breaks, so slow a start only "
        "costs time: the small Pre-LN model of the other pages has a loss 0.21 higher with it after as many steps.")),
    "training.beta1": Pair((0.5, 0.99), ("tlab_core.optimizers:Adam",)),
    "training.beta2": Pair((0.5, 0.999), ("tlab_core.optimizers:Adam",), {"training.warmup_steps": 0}),
    "training.weight_decay": Pair((0.0, 5.0), ("tlab_core.optimizers:AdamW",), number="weight_size", look=(
        "So strong a pull costs loss at once. The usual 0.1 hardly shows in so few steps; it is there for long trainings, "
        "where weights would go on growing.")),
    "training.dropout": Pair((0.0, 0.5), ("tlab_core.dropout:Dropout",), look=(
        "What it is for can't be seen here: a model knows a text by heart only after reading it many times, and these runs "
        "read a thirtieth of theirs. What is left to see is the price.")),
    "training.label_smoothing": Pair((0.0, 0.3), ("tlab_core.objective:Objective",), number="certainty", look=(
        "The loss asks for certainty, and this knob forbids it: that the loss is higher is what it is meant to do.")),
    "training.z_loss": Pair((0.0, 0.3), ("tlab_core.objective:Objective",), number="drift", look=(
        "So high a price shows at once, and costs loss. Usual is 0.0001: too little to see in so few steps, enough to stop "
        "scores from drifting in a long training, where a number of low precision would overflow.")),
    "training.grad_clip": Pair((1.0, None), ("tlab_core.trainer:Trainer._shortening",),
                               {"training.optimizer": "SGD", "training.learning_rate": 0.5}, look=(
        "The learning rate is high, so that it matters: the longest gradient here is nearly seven times as long as the "
        "limit of 1, and a step that is not clipped leaps as far.")),
    "training.batch_size": Pair((1, 32), ("tlab_core.batches:Batches",)),
    "training.gradient_accumulation_steps": Pair((1, 4), ("tlab_core.shards:Shards.gradient",), {"training.batch_size": 2}),
    "training.seq_len": Pair((4, 64), ("tlab_core.batches:Batches",)),
    "training.steps": Pair((30, 1000), ("tlab_core.schedules:progress",)),
    "training.validation_fraction": Pair((0.01, 0.5), ("tlab_core.batches:Batches",)),
    "training.eval_every": Pair((5, 40), ("tlab_core.trainer:Trainer._validate",)),
    "training.statistics_every": Pair((2, 5), ("tlab_core.trainer:Trainer._looks_inside",)),
    "training.seed": Pair((0, 1), ("tlab_core.batches:Batches.batch",)),
    "training.shards": Pair((1, 4), ("tlab_core.shards:Shards",)),
    "training.executor": Pair(("serial", "threads"), also={"training.shards": 2}),
    "corpus": Pair(("stories", "brackets")),
    "probe_text": Pair(("", "One day One day One day One day One day "), ("tlab_core.experiment:Experiment.probe",)),
    "prompt": Pair(("One day ", '"Where is '), ("tlab_core.generation:stream",)),
}  # fmt: skip
