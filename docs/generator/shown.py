"""For each knob the two values that show most of what it does, and the code that it acts in. A test holds this table
against the knobs that there are."""

from dataclasses import dataclass, field
from typing import Any

from tlab_core.config import Architecture, Training
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
    """

    values: tuple[Any, Any]
    acts: tuple[str, ...] = ()
    also: dict[str, Any] = field(default_factory=dict)


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
    "architecture.max_seq_len": Pair((4, 48), ("tlab_core.generation:Window", "tlab_core.positions:Learned")),
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
    "training.optimizer": Pair(("SGD", "AdamW")),
    "training.learning_rate": Pair((3e-4, 2e-2), ("tlab_core.schedules:learning_rate",)),
    "training.min_learning_rate": Pair((0.0, 4e-3), ("tlab_core.schedules:between",)),
    "training.schedule": Pair(("constant", "linear"), also={"training.steps": STEPS}),
    "training.warmup_steps": Pair((0, 60), ("tlab_core.schedules:climb", "tlab_core.schedules:warming_up"),
                                  {"architecture.residual_type": "Post-LN", "architecture.num_layers": 6}),
    "training.beta1": Pair((0.5, 0.99), ("tlab_core.optimizers:Adam",)),
    "training.beta2": Pair((0.5, 0.999), ("tlab_core.optimizers:Adam",), {"training.warmup_steps": 0}),
    "training.weight_decay": Pair((0.0, 20.0), ("tlab_core.optimizers:AdamW",)),
    "training.dropout": Pair((0.0, 0.5), ("tlab_core.dropout:Dropout",)),
    "training.label_smoothing": Pair((0.0, 0.3), ("tlab_core.objective:Objective",)),
    "training.z_loss": Pair((0.0, 0.3), ("tlab_core.objective:Objective",)),
    "training.grad_clip": Pair((0.01, None), ("tlab_core.trainer:Trainer._shortening",), {"training.optimizer": "SGD"}),
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
