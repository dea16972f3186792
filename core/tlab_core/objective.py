"""What training aims at when it isn't the cross-entropy alone: softer targets, and scores that stay near zero."""

from typing import TYPE_CHECKING, Self

import numpy as np

from tlab_core.workspace import Workspace

if TYPE_CHECKING:
    from tlab_core.config import Training


class Objective:
    """Cross-entropy with softer targets (label smoothing) and a price on scores that drift away from zero (z-loss).

    With p = softmax(logits), ln Z = ln Σ e^logits, V tokens, smoothing ε and price z, for each position:

        q = (1 − ε) · onehot + ε / V                  the target: a share ε goes to all tokens alike
        L = −Σ q · ln p + z · (ln Z)²
        dL/dlogits = (1 + 2 · z · ln Z) · p − q

    Shapes: logits (N, V), targets (N,). Label smoothing: Szegedy et al. 2016, "Rethinking the Inception Architecture",
    section 7. Z-loss: Chowdhery et al. 2022, "PaLM", section 5.
    """

    def __init__(self, label_smoothing: float = 0.0, z_loss: float = 0.0):
        self.label_smoothing, self.z_loss = label_smoothing, z_loss

    @classmethod
    def of(cls, training: "Training") -> Self | None:
        """Return the objective that `training` asks for, None where it is the cross-entropy alone."""
        if training.label_smoothing == 0 and training.z_loss == 0:
            return None
        return cls(training.label_smoothing, training.z_loss)

    def backward(self, softmax: np.ndarray, targets: np.ndarray, scale: float, work: Workspace) -> np.ndarray:
        """Return scale · dL/dlogits in place of the softmax's numerators that CrossEntropy.forward left."""
        total = work.saved["softmax.total"]
        weight = scale / total
        if self.z_loss:
            log_z = np.log(total) + work.saved["softmax.largest"]
            weight *= 1 + 2 * self.z_loss * log_z
        softmax *= weight[:, None]
        if self.label_smoothing:
            softmax -= scale * self.label_smoothing / softmax.shape[-1]
        softmax[np.arange(len(targets)), targets] -= scale * (1 - self.label_smoothing)
        return softmax
