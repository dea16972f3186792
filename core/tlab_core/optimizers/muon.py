"""Steps that move a matrix equally far in all of its directions."""

import math
from itertools import accumulate, pairwise

import numpy as np

from tlab_core.optimizers.adam import AdamW
from tlab_core.optimizers.base import OPTIMIZERS
from tlab_core.parallel import cut
from tlab_core.parameters import places

ROUNDS = 5
QUINTIC = 3.4445, -4.7750, 2.0315  # steep at zero, so that small singular values grow fast; they end between 0.7 and 1.2
SMALLEST = 1e-7  # a shorter gradient is divided by this instead of its length
ELEMENTWISE = 100  # what AdamW's update of a number costs, in multiplications of a matrix product


@OPTIMIZERS.register("Muon")
class Muon(AdamW):
    """Moves a weight matrix equally far in all of its directions, where a gradient mostly points in a few.

    For the matrices inside the blocks, with gradient G (a × b), rate r and weight decay d:

        M = beta1 · M + (1 - beta1) · G               running average of the gradient
        N = beta1 · M + (1 - beta1) · G               one look ahead (Nesterov)
        O = U · Vᵀ, where N = U · S · Vᵀ              all singular values become about 1
        p = (1 - r · d) · p
        p = p - r · 0.2 · sqrt(max(a, b)) · O         so that numbers move as far as by AdamW

    O is found by 5 rounds of X ← 3.4445 · X - 4.7750 · A·X + 2.0315 · A²·X with A = X·Xᵀ, from X = N / |N| (Newton-Schulz).
    Queries, keys and values lie side by side in one array and are three matrices here. Embeddings, the table of positions,
    the head and all vectors get AdamW's update with the same rate. This lab's small models start from a rate of 0.01.

    Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the factor 0.2 · sqrt(max(a, b)) is from
    Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2.
    """

    uses = ("beta1", "beta2", "weight_decay")
    usual_learning_rate = 1e-2

    def __init__(self, parameters, shapes):
        super().__init__(parameters, shapes)
        self.parts = self._parts()

    def _parts(self) -> list[tuple[slice, str | None]]:
        """Return the buffer's parts in order: each hidden matrix with its name, and with None what lies between them."""
        parts, end = [], 0
        for name, place in places(self.shapes).items():
            if is_hidden(name, self.shapes[name]):
                if end < place.start:
                    parts.append((slice(end, place.start), None))
                parts.append((place, name))
                end = place.stop
        return [*parts, (slice(end, self.parameters.size), None)] if end < self.parameters.size else parts

    def _cost(self, part: slice, name: str | None) -> float:
        """Return about how many multiplications the update of a part takes."""
        if name is None:
            return ELEMENTWISE * (part.stop - part.start)
        products = 0
        for place in matrices_of(name, self.shapes[name]):
            short, long = sorted((self.shapes[name][0], place.stop - place.start))
            products += ROUNDS * short * short * (2 * long + short)
        return ELEMENTWISE * (part.stop - part.start) + products

    def spans(self, parts):
        """Cut the buffer into at most `parts` slices that may be updated at once, between matrices, equal in work."""
        costs = list(accumulate((self._cost(*part) for part in self.parts), initial=0.0))
        edges = [0, *(part.stop for part, _ in self.parts)]
        wanted = [costs[-1] * number / parts for number in range(parts + 1)]
        chosen = [edges[min(range(len(edges)), key=lambda i: abs(costs[i] - cost))] for cost in wanted]
        return [slice(start, stop) for start, stop in pairwise(sorted(set(chosen)))]

    def update(self, gradient, span, update, learning_rate, training, scale=1.0):
        """Make update number `update` on the part `span`, which is one of `spans` or several of them joined."""
        for part, name in self.parts:
            start, stop = max(part.start, span.start), min(part.stop, span.stop)
            if start >= stop:
                continue
            if name is None:
                super().update(gradient, slice(start, stop), update, learning_rate, training, scale)
            elif (start, stop) != (part.start, part.stop):
                raise ValueError(
                    f"the span {span.start} ... {span.stop} cuts through the matrix {name!r}, which lies at {part.start} "
                    f"... {part.stop}: Muon moves whole matrices. Use the slices that spans(parts) returns."
                )
            else:
                self._update_matrices(name, part, gradient, learning_rate, training, scale)

    def _update_matrices(self, name, part, gradient, learning_rate, training, scale):
        shape, momentum = self.shapes[name], training.beta1
        p, g, m = (flat[part].reshape(shape) for flat in (self.parameters, gradient, self.average))
        t = g * (scale * (1.0 - momentum))  # M = beta1 · M + (1 - beta1) · scale · G
        m *= momentum
        m += t
        t += momentum * m  # N = beta1 · M + (1 - beta1) · scale · G
        decay = 1.0 - learning_rate * training.weight_decay
        if decay != 1.0:
            p *= decay
        for columns in matrices_of(name, shape):
            n = t[:, columns]
            p[:, columns] -= learning_rate * 0.2 * math.sqrt(max(n.shape)) * orthogonal(n)


def is_hidden(name: str, shape: tuple[int, ...]) -> bool:
    """Tell whether a parameter is a matrix between two hidden layers, whose rows and columns are alike.

    >>> is_hidden("blocks.0.mlp.up.weight", (8, 32)), is_hidden("token_embedding.weight", (65, 8))
    (True, False)
    """
    return len(shape) == 2 and name.startswith("blocks.")


def matrices_of(name: str, shape: tuple[int, ...]) -> list[slice]:
    """Return the columns of each matrix that lies in a parameter: queries', keys' and values', or all.

    >>> matrices_of("blocks.0.attention.qkv.weight", (8, 24))
    [slice(0, 8, None), slice(8, 16, None), slice(16, 24, None)]
    """
    return cut(shape[1], 3 if name.endswith(".qkv.weight") else 1)


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """Return about U · Vᵀ for a matrix U · S · Vᵀ: the same directions, each with a singular value of about 1."""
    a, b, c = QUINTIC
    X = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix  # X · Xᵀ is then the smaller square
    X = X / max(float(np.linalg.norm(X)), SMALLEST)  # no singular value is above 1
    for _ in range(ROUNDS):
        A = X @ X.T
        X = a * X + (b * A + c * (A @ A)) @ X
    return X if X.shape == matrix.shape else X.T
