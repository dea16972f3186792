"""What a run costs on paper is what it costs: operations, parameters, memory."""

import itertools
import tracemalloc

import numpy as np
import pytest

from tlab_core import attention, cost
from tlab_core.activations import ACTIVATIONS
from tlab_core.config import Architecture, Training
from tlab_core.cost import available_memory, estimate, forward_flops, machine_speed, memory_bytes, step_flops
from tlab_core.crew import state_of
from tlab_core.experiment import Experiment, default_experiment
from tlab_core.norms import NORMS
from tlab_core.optimizers import OPTIMIZERS
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS
from tlab_core.run import LiveRun
from tlab_core.transformer import Transformer


def counted(monkeypatch, run) -> int:
    """Run something and return the operations of all its products of matrices."""
    total, matmul = 0, np.matmul

    def counting(a, b, **how):
        nonlocal total
        if a.ndim > 1 and b.ndim > 1:
            total += 2 * int(np.prod(a.shape)) * b.shape[-1]
        return matmul(a, b, **how)

    with monkeypatch.context() as patch:
        patch.setattr(np, "matmul", counting)
        run()
    return total


@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_the_operations_on_paper_are_those_that_are_made(monkeypatch, activation):
    shape = {"hidden_dim": 32, "num_layers": 3, "num_heads": 4, "ff_dim": 72, "vocab_size": 19}
    architecture = Architecture(**shape, activation_type=activation)
    model = Transformer(architecture)
    B, T = 2, 16
    tokens = np.random.default_rng(0).integers(0, 19, (B, T))
    # At so short a context nothing is skipped: every query meets all T keys, where (T + 1) / 2 would do.
    assert T <= attention.QUERIES
    masked = 3 * B * 4 * 32 * (T * T - T * (T + 1) // 2)
    assert counted(monkeypatch, lambda: model.forward(tokens)) == forward_flops(architecture, B, T) + masked
    assert counted(monkeypatch, lambda: model.loss_and_grads(tokens, tokens)) == step_flops(architecture, B, T) + 3 * masked


def test_a_long_context_skips_most_of_what_is_masked(monkeypatch):
    architecture = Architecture(hidden_dim=32, num_layers=1, num_heads=4, ff_dim=32, vocab_size=19)
    model = Transformer(architecture)
    tokens = np.zeros((1, 512), int)
    made = counted(monkeypatch, lambda: model.loss_and_grads(tokens, tokens))
    assert step_flops(architecture, 1, 512) < made < 1.15 * step_flops(architecture, 1, 512)


# ---- parameters


GRID = list(itertools.product(NORMS.names(), RESIDUALS.names(), ["GELU", "SwiGLU"], ["Learned", "RoPE"], [True, False]))


@pytest.mark.parametrize(("norm", "layout", "activation", "position", "flag"), GRID)
def test_the_parameters_are_counted_exactly(norm, layout, activation, position, flag):
    architecture = Architecture(
        vocab_size=19, hidden_dim=24, num_layers=3, num_heads=2, max_seq_len=40, norm_type=norm, residual_type=layout,
        activation_type=activation, pos_encoding_type=position, tie_embeddings=flag, use_bias=not flag, qk_norm=flag,
    )  # fmt: skip
    model = Transformer(architecture)
    assert Transformer.shapes_of(architecture) == model.shapes
    assert estimate(Experiment(architecture=architecture)).parameters == model.parameter_count


@pytest.mark.parametrize("name", POSITIONS.names())
def test_every_position_encoding_and_size_is_counted(name):
    for width, layers, ff in ((8, 1, None), (64, 5, 100)):
        architecture = Architecture(hidden_dim=width, num_layers=layers, num_heads=2, ff_dim=ff, pos_encoding_type=name)
        assert estimate(Experiment(architecture=architecture)).parameters == Transformer(architecture).parameter_count


# ---- memory


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "story.txt"
    path.write_text("One day a cat went to the wood and met a dog.\n" * 1000, encoding="utf-8")
    return str(path)


SMALL = {"hidden_dim": 64, "num_layers": 3, "num_heads": 4}
STEPS = {"steps": 8, "statistics_every": 1, "seq_len": 32, "batch_size": 8, "executor": "serial", "eval_every": 4}
RUNS = {
    "gated": ({}, {}),
    "plain": ({"activation_type": "GELU", "norm_type": "LayerNorm"}, {"optimizer": "SGD"}),
    "no norm": ({"norm_type": "None", "residual_type": "Post-LN", "pos_encoding_type": "ALiBi"}, {"optimizer": "Lion"}),
    "everything": ({"residual_type": "Sandwich", "qk_norm": True, "tie_embeddings": False}, {"dropout": 0.1}),
    "narrow": ({"hidden_dim": 32, "num_layers": 8}, {"batch_size": 2}),
    "wide": ({"hidden_dim": 256, "num_layers": 2}, {"batch_size": 16, "seq_len": 64, "optimizer": "Muon"}),
    "long": ({"num_layers": 2}, {"batch_size": 4, "seq_len": 256}),
    "very long": ({"num_layers": 1}, {"batch_size": 2, "seq_len": 640}),
    "exact": ({"dtype": "float64"}, {"batch_size": 6, "gradient_accumulation_steps": 2}),
    "much recorded": ({"hidden_dim": 32}, {"steps": 66, "batch_size": 2}),
    "four shards": ({}, {"shards": 4, "batch_size": 5}),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_memory_is_that_of_the_buffers_that_a_run_makes(name, text_file):
    architecture, training = RUNS[name]
    run = LiveRun(Experiment(architecture=Architecture(**SMALL | architecture),
                             training=Training(**STEPS | {"shards": 1} | training), corpus=text_file))  # fmt: skip
    run.advance(until=run.experiment.training.steps)
    trainer = run.trainer
    shards = trainer._team.shards
    works = {id(work.buffers): work.buffers for work in [*shards._works.values(), trainer._probe_work]}
    made = {
        "parameters": run.model.flat.nbytes + trainer._before[0].nbytes + sum(x.nbytes for x in trainer.start.values()),
        "gradients": sum(array.nbytes for array in shards.gradients),
        "optimizer": sum(array.nbytes for array in state_of(trainer.optimizer).values()),
        "workspace": sum(array.nbytes for buffers in works.values() for array in buffers.values()),
        "history": sum(array.nbytes for records in trainer.recorder._records.values()
                       for array in records.published.arrays.values()),
    }  # fmt: skip
    worked_out = memory_bytes(run.experiment)
    assert list(worked_out) == list(made)
    for what in ("parameters", "gradients", "optimizer"):
        assert worked_out[what] == made[what], what
    # What a record needs for a moment, when the buffers are full, is gone again.
    assert made["history"] <= worked_out["history"] <= 2.5 * made["history"]
    # Serial, one thread's buffers serve all shards; what a look copies besides is gone again.
    assert made["workspace"] / 1.5 < worked_out["workspace"] < 2.6 * made["workspace"]
    assert sum(made.values()) / 1.5 < sum(worked_out.values()) < 2 * sum(made.values())
    assert estimate(run.experiment).memory_bytes == sum(worked_out.values())


@pytest.mark.parametrize("name", ["gated", "wide", "long", "much recorded"])
def test_the_memory_is_what_python_counts_while_a_run_trains(name, text_file):
    architecture, training = RUNS[name]
    experiment = Experiment(architecture=Architecture(**SMALL | architecture),
                            training=Training(**STEPS | {"shards": 1} | training), corpus=text_file)  # fmt: skip
    LiveRun(experiment)  # the text, and tables that all runs share
    tracemalloc.start()
    try:
        run = LiveRun(experiment)
        run.advance(until=experiment.training.steps)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / 1.5 < estimate(run.experiment).memory_bytes < 1.5 * peak


def test_more_of_anything_takes_more_memory():
    first = default_experiment()
    knobs = {"num_layers": 8, "hidden_dim": 256, "ff_dim": 640, "vocab_size": 500}
    plain = estimate(first).memory_bytes
    for knob, value in knobs.items():
        assert estimate(first.replace(architecture=first.architecture.replace(**{knob: value}))).memory_bytes > plain
    for knob, value in {"seq_len": 256, "steps": 20_000}.items():
        assert estimate(first.replace(training=first.training.replace(**{knob: value}))).memory_bytes > plain
    assert estimate(first.replace(probe_text="a" * 500)).memory_bytes > plain


def test_every_optimizer_is_asked_what_it_remembers():
    counted = {name: cost._averages(name) for name in OPTIMIZERS.names()}
    assert counted == {"SGD": 0, "Momentum": 1, "Adam": 2, "AdamW": 2, "Lion": 1, "Muon": 2}


def test_free_memory_is_a_number_of_bytes_or_not_known():
    free = available_memory()
    assert free is None or 0 <= free < 2**50


# ---- time


def with_training(**knobs):
    first = default_experiment()
    return first.replace(training=first.training.replace(**knobs))


def test_the_time_of_a_step_follows_its_formula(monkeypatch):
    """A plain transcription, for one shard in one piece on a machine of round numbers."""
    monkeypatch.setattr(cost, "machine_speed", lambda: (1e11, 1e-9))
    experiment = with_training(batch_size=4, seq_len=64, shards=1)
    a = experiment.architecture
    products = 1.16 * step_flops(a, 4, 64) / 1e11
    numbers = 4 * 64 * 4 * (47 * 128 + 9.2 * 2 * 320 + 6.8 * 4 * 64 / 2) + 11.3 * estimate(experiment).parameters
    assert estimate(experiment).step_seconds == pytest.approx(products + numbers * 1e-9 + 1e-3 + 4 * 5e-5)


def test_more_cores_take_shards_at_once(monkeypatch):
    monkeypatch.setattr(cost, "machine_speed", lambda: (1e11, 1e-9))
    seconds = {}
    for cores, shards in ((1, 4), (2, 4), (4, 4), (4, 1)):
        monkeypatch.setattr(cost, "cores", lambda cores=cores: cores)
        seconds[cores, shards] = estimate(with_training(batch_size=16, shards=shards)).step_seconds - cost.PER_STEP
    assert seconds[1, 4] == pytest.approx(2 * seconds[2, 4])
    assert seconds[2, 4] == pytest.approx(2 * seconds[4, 4])
    assert seconds[4, 1] == pytest.approx(seconds[1, 4], rel=0.01)


def test_a_run_that_trains_here_says_how_fast_this_machine_is():
    known = with_training(seq_len=32)
    twice = with_training(seq_len=32, gradient_accumulation_steps=2)
    assert estimate(known, (known, 0.5)).step_seconds == pytest.approx(0.5)
    ratio = estimate(twice).step_seconds / estimate(known).step_seconds
    assert estimate(twice, (known, 0.5)).step_seconds == pytest.approx(0.5 * ratio)


def test_the_machine_is_measured_once():
    assert machine_speed() is machine_speed()
    speed, exponential = machine_speed()
    assert speed > 0 < exponential
