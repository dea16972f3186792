"""How a gradient becomes a step. One idea a file; all update one flat buffer of parameters in place (see base.py)."""

from tlab_core.optimizers.adam import Adam, AdamW
from tlab_core.optimizers.base import BLOCK, OPTIMIZERS, Optimizer, blocks
from tlab_core.optimizers.lion import Lion
from tlab_core.optimizers.muon import Muon
from tlab_core.optimizers.sgd import SGD, Momentum

__all__ = ["BLOCK", "OPTIMIZERS", "SGD", "Adam", "AdamW", "Lion", "Momentum", "Muon", "Optimizer", "blocks"]
