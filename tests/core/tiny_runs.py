"""A tiny model and trainer for the tests of the training loop: 11 tokens, 2 layers, 16 wide, hundreds of steps a second."""

import numpy as np

from tlab_core.config import Training
from tlab_core.trainer import Trainer
from tlab_core.transformer import Transformer

TOKENS = np.random.default_rng(0).integers(0, 11, 900).cumsum() % 11


def model_of(**knobs):
    return Transformer(**{"vocab_size": 11, "hidden_dim": 16, "num_layers": 2, "num_heads": 2, "max_seq_len": 16, **knobs})


def trainer_of(tokens=TOKENS, model=None, **settings):
    extras = {name: settings.pop(name) for name in ("probe", "answers", "experiment", "own_statistics") if name in settings}
    given = {"batch_size": 5, "seq_len": 8, "steps": 40, "warmup_steps": 4, "learning_rate": 0.01, "shards": 2, **settings}
    return Trainer(model or model_of(), tokens, Training(**given), **extras)


def same_bits(one, other):
    """Compare two trainers' parameters, moments and histories (but for the clock)."""
    assert np.array_equal(one.model.flat, other.model.flat)
    assert np.array_equal(one.optimizer.average, other.optimizer.average)
    assert np.array_equal(one.optimizer.square_average, other.optimizer.square_average)
    for group in ("train", "validation", "residual", "layers", "parameters", "heads", "attention", "probe"):
        ours, theirs = one.recorder.group(group), other.recorder.group(group)
        assert ours.drop_vars("seconds", errors="ignore").identical(theirs.drop_vars("seconds", errors="ignore")), group
