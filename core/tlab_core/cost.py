"""What a training step costs on paper: how many multiplications and additions its matrix products need.

A share of the machine's peak is these, over the seconds that a step took, over the operations a second that a large matrix
product reaches (tests/benchmarks/growth.py). Everything else in a step (norms, activations, softmax, the optimizer) is
time spent, but not counted.
"""

from tlab_core.activations import ACTIVATIONS
from tlab_core.config import Architecture


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
    matrices = 3 if ACTIVATIONS.get(a.activation_type).gated else 2
    D, F = a.hidden_dim, a.resolved_ff_dim
    weights = a.num_layers * (4 * D**2 + matrices * D * F) + D * a.vocab_size
    pairs = length * (length + 1) // 2  # of a query and a key that it may see
    return batch * (2 * weights * length + a.num_layers * 4 * D * pairs)


def step_flops(architecture: Architecture, batch: int, length: int) -> int:
    """Return the floating-point operations of a training step: backward makes two products where forward made one."""
    return 3 * forward_flops(architecture, batch, length)
