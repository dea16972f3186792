"""What a run will cost, worked out before it is built: parameters, memory, and how long a step takes.

On paper a step is the multiplications and additions of its matrix products (`step_flops`). A share of the machine's peak is
these, over the seconds that a step took, over the operations a second that a large matrix product reaches
(tests/benchmarks/growth.py). Everything else in a step (norms, activations, softmax, the optimizer) is time spent, but not
counted there; `estimate` counts it, roughly.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tlab_core import attention, schema
from tlab_core.activations import ACTIVATIONS
from tlab_core.config import Architecture
from tlab_core.crew import state_of
from tlab_core.experiment import PROBE_LENGTH, SHORTEST_PROBE, Experiment
from tlab_core.history import FIRST_CAPACITY, KEEP
from tlab_core.norms import NORMS
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.parallel import cores, cut, one_blas_thread, resolve_shards
from tlab_core.residuals import RESIDUALS
from tlab_core.trainer import CLOSE_LOOK, CLOSE_LOOK_EVERY
from tlab_core.transformer import Transformer
from tlab_core.workspace import BLOCK, pieces


def forward_flops(architecture: Architecture, batch: int, length: int) -> int:
    """Return the floating-point operations of a forward pass over `batch` sequences of `length` tokens.

    A product (N, D) · (D, E) counts 2·N·D·E. Per token and layer 2·(4·D² + m·D·F), m = 3 where the activation is gated and
    2 elsewhere; 2·D·V for the head; and 4·D for each key that a query may see, of which there are (T + 1) / 2 on average:
    the masked half need not be computed. Kaplan et al. 2020, "Scaling Laws for Neural Language Models", table 1, which
    counts no masked half.

    >>> forward_flops(Architecture(hidden_dim=128, num_layers=4, ff_dim=512, activation_type="GELU"), 1, 128) // 10**6
    220
    """
    a = architecture
    matrices = 3 if ACTIVATIONS.look(a.activation_type).gated else 2
    D, F = a.hidden_dim, a.resolved_ff_dim
    weights = a.num_layers * (4 * D**2 + matrices * D * F) + D * a.vocab_size
    pairs = length * (length + 1) // 2  # of a query and a key that it may see
    return batch * (2 * weights * length + a.num_layers * 4 * D * pairs)


def step_flops(architecture: Architecture, batch: int, length: int) -> int:
    """Return the floating-point operations of a training step: backward makes two products where forward made one."""
    return 3 * forward_flops(architecture, batch, length)


# ---- before a run is built


@dataclass(frozen=True)
class Estimate:
    """What a run costs: how many numbers its model learns, bytes of memory, and seconds a step."""

    parameters: int
    memory_bytes: int
    step_seconds: float


def estimate(experiment: Experiment, known: tuple[Experiment, float] | None = None) -> Estimate:
    """Return what a run of `experiment` costs, without building anything of it; a few milliseconds.

    The parameters are counted from the shapes that the model's parts declare, and are exact for a `resolved` experiment
    (its text decides the size of the vocabulary). The memory is what `memory_bytes` adds up.

    A step takes about

        (1.16 · W / R + t · Σ c · n) · turns / shards + overhead            seconds

    with W the operations of its products (`step_flops`) and R those that one core of this machine makes a second; n the
    numbers that are passed one by one (channels, feed-forward units, scores, parameters), c a weight for each kind, fitted
    to measured steps, and t the seconds of one exponential. R and t are measured once a process, in a few milliseconds
    (`machine_speed`); a core takes one shard a turn. `known` gives an experiment that trains here and the seconds that its
    steps really take: the estimate is then in the same proportion to what was measured as it is to what was worked out.
    """
    parameters, memory, seconds = _worked_out(experiment)
    if known is not None:
        seconds *= known[1] / _worked_out(known[0])[2]
    return Estimate(parameters, memory, seconds)


def _worked_out(experiment: Experiment) -> tuple[int, int, float]:
    shapes = Transformer.shapes_of(experiment.architecture)
    parameters = sum(map(math.prod, shapes.values()))
    return parameters, sum(memory_bytes(experiment, shapes).values()), _step_seconds(experiment, parameters)


def available_memory() -> int | None:
    """Return how many bytes this machine has to spare now; None where that can't be learned (Linux knows it best).

    A container's own limit counts where it is lower.
    """
    found = []
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    except (OSError, KeyError, ValueError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:  # version 2 of control groups; "max" where there is no limit
        files = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
        allowed, taken = (int(file.read_text(encoding="ascii")) for file in files)
        found.append(max(0, allowed - taken))
    except (OSError, ValueError):
        pass
    return min(found) if found else None


# ---- memory


def memory_bytes(experiment: Experiment, shapes: dict[str, tuple[int, ...]] | None = None) -> dict[str, int]:
    """Return the bytes that a run takes, by what takes them, when it has come to the end of its schedule.

    parameters  as they are, as they were at the start, and before the last update that was looked at
    gradients   one array of all parameters for each shard
    optimizer   what it remembers from step to step
    workspace   the layers' buffers, of each shard that goes at once and of the probe text
    history     the recorded statistics; of the attention maps and histograms at most 64 records, and the largest of them
                one and a half times more while it is thinned out or doubled

    Left out are the text, which all runs on it share but for 4 bytes a character, and what worker processes take for
    themselves: about 60 MB each, and no more than two a core however many runs there are.
    """
    a, t = experiment.architecture, experiment.training
    shapes = Transformer.shapes_of(a) if shapes is None else shapes
    number = np.dtype(a.dtype).itemsize
    size, shards = sum(map(math.prod, shapes.values())), resolve_shards(t.shards, t.batch_size)
    at_once = min(shards, max(2, cores()))
    longest = max(part.stop - part.start for part in cut(t.batch_size, shards))
    probe = probe_length(experiment)
    return {
        "parameters": 3 * number * size,
        "gradients": number * size * shards,
        "optimizer": number * size * _averages(t.optimizer),
        "workspace": number * (at_once * _shard_numbers(experiment, shapes, longest) + _probe_numbers(a, probe)),
        "history": _history_bytes(experiment, len(shapes), probe),
    }


def probe_length(experiment: Experiment) -> int:
    """Return how many characters the statistics read; a text too short for that many gives fewer."""
    if experiment.probe_text:
        return max(1, len(experiment.probe_text) - 1)
    return min(PROBE_LENGTH, max(experiment.training.seq_len, SHORTEST_PROBE - 1))


@cache
def _averages(optimizer: str) -> int:
    """Return how many numbers an optimizer remembers for each parameter."""
    one = {"weight": (8, 8)}
    made = OPTIMIZERS.get(optimizer)(np.zeros(64, np.float32), one)
    return sum(array.size for array in state_of(made).values()) // 64


def _shard_numbers(experiment: Experiment, shapes: dict[str, tuple[int, ...]], sequences: int) -> int:
    """Return how many numbers the buffers of one shard's passes hold.

    Each size of a piece has buffers of its own: five sequences in pieces of two make pieces of two and of one.
    """
    a, t = experiment.architecture, experiment.training
    cuts = [part.stop - part.start for part in pieces(sequences, t.seq_len, a.hidden_dim)]
    numbers = sum(_pass_numbers(a, size, t.seq_len, dropout=t.dropout > 0) for size in set(cuts))
    if len(cuts) > 1 or t.gradient_accumulation_steps > 1:  # gradients are added up: a product goes to one side first
        numbers += sum(map(math.prod, {shape for shape in shapes.values() if len(shape) > 1}))
    return numbers


def _probe_numbers(a: Architecture, length: int) -> int:
    """Return how many numbers a look inside holds: the buffers that stay, and copies of what it looks at."""
    L, D, F, H = a.num_layers, a.hidden_dim, a.resolved_ff_dim, a.num_heads
    copies = L * length * (3 * D + F + 3 * H * length)  # q, k, heads; preactivations; scores and weights, and who sees whom
    return _pass_numbers(a, 1, length, whole=True) + copies


def _pass_numbers(a: Architecture, sequences: int, length: int, *, dropout: bool = False, whole: bool = False) -> int:
    """Return how many numbers the buffers of a pass forward and back hold, over `sequences` of `length` tokens at once.

    `whole`: under a trace, which must see every array in one piece.
    """
    L, D, F, H, N = a.num_layers, a.hidden_dim, a.resolved_ff_dim, a.num_heads, sequences * length
    norm, layout = NORMS.look(a.norm_type), RESIDUALS.look(a.residual_type)
    gated = ACTIVATIONS.look(a.activation_type).gated
    norms, kept = 2 * L * len(layout.norms) + layout.final_norm, 2 if norm.measured else 1  # arrays that each norm keeps
    short = length <= attention.KEPT
    queries = length if whole else min(length, attention.QUERIES if short else attention.LONG_QUERIES)
    seen = H * N * (length + queries) // 2  # scores of all queries with the keys up to the end of their block
    tile = min(H * N * queries, N * H * length if whole else max(BLOCK, queries * length))
    layer = 4 * D + 2 * H + (3 if gated else 2) * F + 2 * (D + H) * a.qk_norm + 2 * D * dropout
    ends = 3 * D + a.vocab_size + kept * D  # the stream and its gradient, the head's, logits, what norms share
    shared = 6 * D + (3 if gated else 2) * D + F + D * dropout  # of all attentions, of all feed-forwards
    scratch = F * N if whole else min(F * N, max(BLOCK, F))
    return (N * (L * layer + ends + shared + norms * kept * D) + scratch + tile
            + (L * seen if short or whole else tile))


def _history_bytes(experiment: Experiment, parameters: int, probe: int) -> int:
    """Return what the records of a whole run take: buffers grow by doubling."""
    a, t = experiment.architecture, experiment.training
    every = t.resolved_statistics_every
    close = min(t.steps, CLOSE_LOOK) // min(CLOSE_LOOK_EVERY, every)
    looks = 1 + close + max(0, t.steps - CLOSE_LOOK) // every
    records = {"train": t.steps, "validation": 1 + t.steps // t.eval_every}
    sizes = {name: len(values) for name, values in schema.coordinates(
        num_layers=a.num_layers, num_heads=a.num_heads, vocab_size=a.vocab_size, parameters=map(str, range(parameters)),
        probe_length=probe,
    ).items()}
    total, largest = 0, 0
    for name, group in schema.GROUPS.items():
        record = 8 + sum(np.dtype(variable.dtype).itemsize * math.prod(sizes[dim] for dim in variable.dims)
                         for variable in group.variables.values())
        count = max(FIRST_CAPACITY, records.get(name, looks))
        room = 2 ** math.ceil(math.log2(count))
        held = record * (min(KEEP, room) if group.thinned else room)
        total, largest = total + held, max(largest, held)
    return total + (3 * largest // 2 if looks > FIRST_CAPACITY else 0)


# ---- time

SIDE = 384  # of the matrices whose product is timed
TRIES = 5  # the fastest counts: something else may take the core for a moment
# Fitted to the steps of docs/growth.md and docs/performance.md (a quiet machine, 31 sizes from 1 layer
# to 12, width 32 to 512, context 32 to 2048): all within 18 %, most within 5. What is counted is passed many times,
# forward, back and by the optimizer; each weight is in exponentials.
PRODUCTS = 1.16  # a step's products are smaller than what the peak is reached with
PER_CHANNEL, PER_UNIT, PER_SCORE, PER_PARAMETER = 47.0, 9.2, 6.8, 11.3
TWICE = 1.7  # beyond attention.KEPT scores are worked out again on the way back
PER_STEP, PER_PIECE = 1e-3, 5e-5  # seconds of Python's own: for a step, and for each layer and piece of the batch


@cache
def machine_speed() -> tuple[float, float]:
    """Measure the operations a second of one core's matrix products, and the seconds of one exponential; float32.

    The same arrays several times over, and the fastest time: some milliseconds in all, once a process.
    """
    dice = np.random.default_rng(0)
    a, b = dice.random((2, SIDE, SIDE), np.float32)
    product, numbers = np.empty_like(a), np.empty_like(a)
    with one_blas_thread():
        seconds = min(_timed(lambda: np.matmul(a, b, out=product)) for _ in range(TRIES))
    return 2 * SIDE**3 / seconds, min(_timed(lambda: np.exp(a, out=numbers)) for _ in range(TRIES)) / a.size


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _step_seconds(experiment: Experiment, parameters: int) -> float:
    """Return how long a step of `experiment` takes by what this machine's products and exponentials take."""
    a, t = experiment.architecture, experiment.training
    speed, exponential = machine_speed()
    T, tokens, groups = t.seq_len, t.batch_size * t.seq_len, t.gradient_accumulation_steps
    paths = 2 if ACTIVATIONS.look(a.activation_type).gated else 1
    scores = a.num_heads * T / 2 * (TWICE if T > attention.KEPT else 1)
    numbers = PER_CHANNEL * a.hidden_dim + PER_UNIT * paths * a.resolved_ff_dim + PER_SCORE * scores
    work = groups * (PRODUCTS * step_flops(a, t.batch_size, T) / speed + exponential * tokens * a.num_layers * numbers)
    work += exponential * PER_PARAMETER * parameters
    if a.dtype == "float64":
        work *= 2
    shards = resolve_shards(t.shards, t.batch_size)
    turns = -(-shards // cores())  # that each core takes, a shard at a time
    parts = sum(1 for _ in pieces(-(-t.batch_size // shards), T, a.hidden_dim))
    return work * turns / shards + PER_STEP + PER_PIECE * groups * turns * parts * a.num_layers
