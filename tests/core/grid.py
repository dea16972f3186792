"""Small models for every combination of the options that exist, taken from the registries."""

import itertools

import numpy as np

from tlab_core import Transformer
from tlab_core.activations import ACTIVATIONS
from tlab_core.norms import NORMS
from tlab_core.positions import POSITIONS
from tlab_core.residuals import RESIDUALS

COMBINATIONS = list(itertools.product(NORMS.names(), RESIDUALS.names(), ACTIVATIONS.names(), POSITIONS.names()))
SMALL = {"vocab_size": 11, "hidden_dim": 12, "num_layers": 2, "num_heads": 3, "max_seq_len": 9, "init_std": 0.3}


def small_model(norm="RMSNorm", residual="Pre-LN", activation="SwiGLU", position="RoPE", **knobs) -> Transformer:
    """Return a model of a few hundred numbers in float64, with every parameter away from its special starting value."""
    model = Transformer(norm_type=norm, residual_type=residual, activation_type=activation, pos_encoding_type=position,
                        **{**SMALL, "dtype": "float64", **knobs})
    dice = np.random.default_rng(7)
    for parameter in model.parameters.values():
        parameter += 0.1 * dice.standard_normal(parameter.shape)
    return model


def small_batch(length=7, seed=3):
    """Return tokens and targets (2, length)."""
    dice = np.random.default_rng(seed)
    return dice.integers(0, SMALL["vocab_size"], (2, length)), dice.integers(0, SMALL["vocab_size"], (2, length))
