"""Dropout: random silence during training, so that no number can be relied on alone."""

import numpy as np

from tlab_core.workspace import Workspace


class Dropout:
    """Silences a random share p of the numbers that join the residual stream, and makes the others louder in return.

    y = x ∘ mask, each number of the mask 0 with probability p, else 1 / (1 − p), so that the mean stays; dx = dy ∘ mask.
    Shapes (N, D). Only while training: to measure and to write, every number passes as it is.
    Srivastava et al. 2014, "Dropout"; where it acts: Vaswani et al. 2017, "Attention Is All You Need", section 5.4.

    Every sequence has dice of its own, which are thrown at each place where dropout acts, in the order of the forward pass.
    So its masks don't depend on which others go through the model with it.
    """

    def __init__(self, rate: float, dice: list[np.random.Generator]):
        """Silence the share `rate` of the numbers of as many sequences as there are dice."""
        self.rate, self.dice = rate, dice

    @classmethod
    def of_step(cls, rate: float, seed: int, step: int, sequences: range) -> "Dropout":
        """Return the dropout of some sequences of a step's batch: its dice are keyed by seed, step and sequence."""
        keys = [np.random.SeedSequence(seed, spawn_key=(step, sequence)) for sequence in sequences]
        return cls(rate, [np.random.Generator(np.random.SFC64(key)) for key in keys])

    def part(self, sequences: slice) -> "Dropout":
        """Return the dropout of some of the sequences. The dice are the same ones: what was thrown stays thrown."""
        return Dropout(self.rate, self.dice[sequences])

    def forward(self, name: str, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return x ∘ mask in place; the mask is kept under `name`, which says where this is."""
        mask = work.buffer(f"{name}.mask", *x.shape)
        chance = np.empty((len(x) // len(self.dice), x.shape[1]), np.float32)  # so that both precisions get the same masks
        for dice, rows in zip(self.dice, np.split(mask, len(self.dice)), strict=True):
            dice.random(out=chance, dtype=np.float32)
            np.greater_equal(chance, self.rate, out=rows)
        mask *= 1 / (1 - self.rate)
        x *= mask
        return x

    def backward(self, name: str, dy: np.ndarray, work: Workspace) -> np.ndarray:
        """Return dy ∘ mask in a buffer that the next place uses again; dy stays, for the stream goes on with it."""
        mask = work.buffer(f"{name}.mask", *dy.shape)
        return np.multiply(dy, mask, out=work.buffer("dropout.dx", *dy.shape))  # y = x ∘ mask
