"""Every knob of a transformer and of its training, with its bounds and what it does in plain words."""


from tlab_core.activations import ACTIVATIONS
from tlab_core.extensions import origin
from tlab_core.knobs import BooleanKnob, ChoiceKnob, CountOrAutoKnob, IntegerKnob, NumberKnob
from tlab_core.norms import NORMS
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.positions import POSITIONS
from tlab_core.processes import EXECUTORS
from tlab_core.residuals import RESIDUALS
from tlab_core.schedules import SCHEDULES
from tlab_core.settings import Problem, Settings

TOKENS_A_LOOK = 25_600  # a look inside costs about as much as training on 530 tokens, from 2 layers of 32 to 12 of 256


class Architecture(Settings):
    """What the transformer is made of."""

    vocab_size = IntegerKnob(65, bounds=(2, 1_000_000), unit="characters", label="Vocabulary", doc=(
        "How many different characters the model can read and write. The corpus decides it."))
    hidden_dim = IntegerKnob(128, bounds=(1, 16_384), softbounds=(64, 512), step=32, unit="numbers", label="Width", doc=(
        "How many numbers describe each position on the residual stream. Wider remembers more and costs more: "
        "time grows with its square."))
    num_layers = IntegerKnob(4, bounds=(1, 128), softbounds=(2, 12), unit="layers", label="Layers", doc=(
        "How many times attention and feed-forward take turns. Deeper composes more steps of reasoning, and makes "
        "gradients travel further."))
    num_heads = IntegerKnob(4, bounds=(1, 256), softbounds=(2, 16), unit="heads", label="Heads", doc=(
        "How many places each layer can look at independently. The width is shared out among them."))
    ff_dim = IntegerKnob(None, bounds=(1, 65_536), softbounds=(64, 2048), step=8, allow_None=True, unit="units",
                         label="Feed-forward width", doc=(
        "How many units the feed-forward part has. None takes 4 × width, or 8/3 × width where the activation is gated, "
        "which keeps the number of parameters."))
    max_seq_len = IntegerKnob(256, bounds=(1, 65_536), softbounds=(64, 512), step=32, unit="characters",
                              label="Longest context", doc=(
        "The longest text that a learned position table covers, and the most that generation looks back on."))
    norm_type = ChoiceKnob("RMSNorm", options=NORMS, label="Norm", doc=(
        "Rescales each position's numbers to a steady size. LayerNorm also centres them; RMSNorm only rescales; None "
        "leaves them as they come."))
    residual_type = ChoiceKnob("Pre-LN", options=RESIDUALS, label="Residual layout", doc=(
        "Where the norm sits. Pre-LN keeps the road through the layers free; Post-LN puts a norm on the road itself; "
        "Sandwich norms both what a branch reads and what it writes."))
    activation_type = ChoiceKnob("SwiGLU", options=ACTIVATIONS, label="Activation", doc=(
        "The bend that lets feed-forward units switch on and off. Gated ones (SwiGLU, GEGLU) multiply two paths."))
    pos_encoding_type = ChoiceKnob("RoPE", options=POSITIONS, label="Position", doc=(
        "How the model knows where a character stands. Without it only the causal mask gives order away."))
    tie_embeddings = BooleanKnob(True, label="Tie embeddings", doc=(
        "One table both reads characters in and scores the next one. Off: two tables, more parameters."))
    use_bias = BooleanKnob(True, label="Biases", doc=(
        "Linear layers and LayerNorm may add a constant. The output head never does."))
    qk_norm = BooleanKnob(False, label="QK-norm", doc=(
        "Rescales each head's queries and keys before they meet, so that match scores can't grow without bound."))
    init_std = NumberKnob(0.02, bounds=(0, 10), softbounds=(0.005, 0.1), exclusive_minimum=True, label="Initial spread",
                          doc=(
        "The standard deviation of the dice that fill the weight matrices. What writes to the residual stream gets it "
        "divided by √(2 · layers)."))
    seed = IntegerKnob(0, bounds=(0, 2**32 - 1), softbounds=(0, 9), label="Seed", doc=(
        "Which dice fill the weights. Each array has its own, so models that differ in one knob share all other parts."))
    dtype = ChoiceKnob("float32", options=("float32", "float64"), label="Precision", doc=(
        "How many bits each number has. float64 is for checking gradients: half as fast and as good as exact."))

    @property
    def resolved_ff_dim(self) -> int:
        """Return `ff_dim`, with None worked out so that gated and plain activations cost about the same."""
        if self.ff_dim is not None:
            return self.ff_dim
        if not ACTIVATIONS.look(self.activation_type).gated:
            return 4 * self.hidden_dim
        return -(-8 * self.hidden_dim // 24) * 8  # 8/3 · hidden_dim, rounded up to a multiple of 8

    @property
    def head_dim(self) -> int:
        """Return how many numbers each head works with."""
        return self.hidden_dim // self.num_heads

    @property
    def unheeded(self) -> dict[str, str]:
        """Return the layout of the norms where there is no norm: then all of the lab's own are x + f(x)."""
        if self.norm_type != "None" or any(origin(layout) is not None for _, layout in RESIDUALS.items()):
            return {}
        return {"residual_type": "without a norm all layouts are the same"}

    def _heads_fit(self, heads: int, width: int) -> bool:
        even = not POSITIONS.look(self.pos_encoding_type).needs_even_head_dim or (width // heads) % 2 == 0
        return width % heads == 0 and even

    def problems(self) -> list[Problem]:
        missing = super().problems()
        if self._heads_fit(self.num_heads, self.hidden_dim):
            return missing
        fitting = [heads for heads in range(1, min(256, self.hidden_dim) + 1) if self._heads_fit(heads, self.hidden_dim)]
        if fitting:
            fix = {"num_heads": min(fitting, key=lambda heads: abs(heads - self.num_heads))}
        else:  # an odd width has no even head width whatever the number of heads
            fix = {"hidden_dim": -(-self.hidden_dim // (2 * self.num_heads)) * 2 * self.num_heads}
        if self.hidden_dim % self.num_heads:
            allowed = f"heads share the width equally, so it must divide hidden_dim = {self.hidden_dim}"
            return [*missing, Problem("num_heads", self.num_heads, allowed, fix)]
        allowed = (f"{self.pos_encoding_type} turns pairs of numbers, so each head needs an even width, and "
                   f"{self.hidden_dim} / {self.num_heads} = {self.head_dim} is odd")
        return [*missing, Problem("num_heads", self.num_heads, allowed, fix)]


def usual_rates() -> str:
    """Return what learning rate one starts from with each optimizer, in words."""
    return ", ".join(f"{name} about {kind.usual_learning_rate:g}" for name, kind in OPTIMIZERS.so_far().items())


class Training(Settings):
    """How the transformer learns."""

    optimizer = ChoiceKnob("AdamW", options=OPTIMIZERS, label="Optimizer", doc=(
        "How gradients become steps. SGD goes straight down, Momentum rolls, Adam gives every weight its own step size, "
        "AdamW shrinks weights too, Lion moves all equally far, Muon moves matrices equally far in all directions. "
        f"Each wants a learning rate of its own: {usual_rates()}."))
    learning_rate = NumberKnob(1e-3, bounds=(0, 1000), softbounds=(1e-5, 1), exclusive_minimum=True, unit="per step",
                               label="Learning rate", doc=(
        "How far each step moves the weights. Too small: nothing happens. Too large: the loss jumps or breaks."))
    min_learning_rate = NumberKnob(None, bounds=(0, 1000), allow_None=True, unit="per step",
                                   label="Final learning rate", doc=(
        "Where the schedule ends. None takes a tenth of the learning rate."))
    schedule = ChoiceKnob("cosine", options=SCHEDULES, label="Schedule", doc=(
        "How the learning rate goes down after warm-up: not at all, in a straight line, or along a cosine."))
    warmup_steps = IntegerKnob(100, bounds=(0, 10_000_000), softbounds=(0, 500), unit="steps", label="Warm-up", doc=(
        "Steps during which the learning rate climbs from near zero, while the optimizer learns how large gradients are."))
    beta1 = NumberKnob(0.9, bounds=(0, 0.9999), softbounds=(0.5, 0.99), label="Beta 1", doc=(
        "How long the optimizer remembers the direction of past gradients. SGD doesn't."))
    beta2 = NumberKnob(0.99, bounds=(0, 0.99999), softbounds=(0.9, 0.999), label="Beta 2", doc=(
        "How long the optimizer remembers the size of past gradients (Lion: their direction). SGD and Momentum don't."))
    weight_decay = NumberKnob(0.1, bounds=(0, 100), softbounds=(0, 1), label="Weight decay", doc=(
        "How strongly weight matrices are pulled towards zero at each step, by AdamW, Lion and Muon. Biases and norms are "
        "left alone."))
    dropout = NumberKnob(0.0, bounds=(0, 0.999), softbounds=(0, 0.5), label="Dropout", doc=(
        "The share of the numbers joining the residual stream that is silenced at random while training, so that the model "
        "can't rely on any single one. It learns more slowly, and knows its text less by heart."))
    label_smoothing = NumberKnob(0.0, bounds=(0, 0.999), softbounds=(0, 0.3), label="Label smoothing", doc=(
        "The share of each target that is spread over all characters, so that the model never gets quite certain. The "
        "training loss shown stays the plain one, to compare with validation."))
    z_loss = NumberKnob(0.0, bounds=(0, 1000), softbounds=(0, 0.01), label="Z-loss", doc=(
        "The price on scores that all drift away from zero together, which the softmax doesn't mind: it keeps ln Z, the "
        "logarithm of its total, near zero. The training loss shown is without it."))
    grad_clip = NumberKnob(1.0, bounds=(0, 1e9), softbounds=(0.1, 10), exclusive_minimum=True, allow_None=True,
                           label="Gradient clip", doc=(
        "The longest that the whole gradient may be; a longer one is scaled down. None never scales."))
    batch_size = IntegerKnob(16, bounds=(1, 4096), softbounds=(2, 64), unit="sequences", label="Batch", doc=(
        "How many pieces of text each step looks at. More: a steadier direction, a slower step."))
    gradient_accumulation_steps = IntegerKnob(1, bounds=(1, 1024), softbounds=(1, 8), unit="batches",
                                              label="Accumulate", doc=(
        "How many batches go through the model, one after the other, before it is updated once: as good as a batch so many "
        "times as large, without its memory."))
    seq_len = IntegerKnob(64, bounds=(1, 65_536), softbounds=(16, 256), step=16, unit="characters", label="Context",
                          doc=(
        "How many characters each piece of text has: how far the model can look back while it learns."))
    steps = IntegerKnob(2000, bounds=(1, 100_000_000), softbounds=(100, 10_000), unit="steps", label="Steps", doc=(
        "The horizon over which the schedule brings the learning rate down."))
    validation_fraction = NumberKnob(0.1, bounds=(0, 0.9), softbounds=(0.05, 0.5), exclusive_minimum=True,
                                     label="Validation share", doc=(
        "The share of the text, at its end, that is never trained on and only measured."))
    eval_every = IntegerKnob(50, bounds=(1, 10_000_000), softbounds=(10, 500), unit="steps", label="Validate every", doc=(
        "Steps between two measurements of the loss on text that is not trained on."))
    statistics_every = CountOrAutoKnob("auto", bounds=(1, 10_000_000), softbounds=(5, 200), unit="steps",
                                       label="Look inside every", doc=(
        "Steps between two looks inside the model; during the first 100 steps at most 5. auto looks every 25,600 tokens, "
        "which costs about 3 % of the training time."))
    seed = IntegerKnob(0, bounds=(0, 2**32 - 1), softbounds=(0, 9), label="Data seed", doc=(
        "Which pieces of text come up in which step."))
    shards = CountOrAutoKnob("auto", bounds=(1, 1024), softbounds=(1, 8), label="Shards", doc=(
        "Into how many parts a batch is cut to be worked on at once. It fixes the order of sums, and so the last bit of "
        "every number; auto takes one for each core."))
    executor = ChoiceKnob("auto", options=EXECUTORS, extra=("auto",), label="Executor", doc=(
        "Who works on the shards: this process one after the other, a thread each, or worker processes, which are fastest "
        "but take half a second to start; auto takes them for large models. It never changes a number."))

    @property
    def unheeded(self) -> dict[str, str]:
        """Return what other optimizers heed and the chosen one doesn't, and what a constant schedule has no use for."""
        heeded = OPTIMIZERS.look(self.optimizer).uses
        others = dict.fromkeys(knob for _, kind in OPTIMIZERS.items() for knob in kind.uses)
        found = {knob: f"{self.optimizer} has no use for it" for knob in others if knob not in heeded}
        return found | ({"min_learning_rate": "a constant schedule never goes down"} if self.schedule == "constant" else {})

    @property
    def resolved_min_learning_rate(self) -> float:
        """Return `min_learning_rate`, with None worked out as a tenth of the learning rate."""
        return self.learning_rate / 10 if self.min_learning_rate is None else self.min_learning_rate

    @property
    def resolved_statistics_every(self) -> int:
        """Return `statistics_every` in steps, with "auto" worked out from the tokens of a step."""
        if self.statistics_every != "auto":
            return self.statistics_every
        return max(1, TOKENS_A_LOOK // (self.batch_size * self.seq_len * self.gradient_accumulation_steps))

    def problems(self) -> list[Problem]:
        found = super().problems()
        if self.resolved_min_learning_rate > self.learning_rate:
            allowed = f"the schedule only goes down, so it must be at most learning_rate = {self.learning_rate:g}"
            found.append(Problem("min_learning_rate", self.min_learning_rate, allowed, {"min_learning_rate": None}))
        if self.shards != "auto" and self.shards > self.batch_size:
            allowed = f"each shard needs a sequence, so it must be at most batch_size = {self.batch_size}"
            found.append(Problem("shards", self.shards, allowed, {"shards": self.batch_size}))
        return found



