"""What attention heads look at, and how their queries and keys match."""

import numpy as np

from tlab_core.signals import moments


def attention_patterns(weights: np.ndarray, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Say what each head looks at: weights (L, H, T, T) over keys, tokens (T,) -> five measures, each (L, H).

    All are means over the queries from position 1 on: the first position can only look at itself.

    entropy: - Σ w ln w over the keys, in nats, not normalised: 0 looks at one key, ln(q + 1) evenly at all so far.
    largest_weight: the largest weight of a query. first_token: weight on key 0. previous_token: weight on key q - 1.
    induction: weight on the keys that directly follow an earlier occurrence of the query's own token, over the queries
    that have one (Olsson 2022, "In-context learning and induction heads"); NaN when no token occurs twice.
    """
    later = weights[:, :, 1:]
    # Zero weights (all of the future) add nothing: 0 · ln(smallest number) = 0, where 0 · ln 0 would be NaN.
    logs = np.log(later + np.finfo(np.float32).tiny)
    follows = follows_same_token(tokens)
    asked = follows.any(axis=1)
    repeats = np.einsum("lhqk,qk->lh", weights[:, :, asked], follows[asked], dtype=np.float64)
    return {
        "entropy": -np.vecdot(later, logs).mean(axis=-1, dtype=np.float64),
        "largest_weight": later.max(axis=-1).mean(axis=-1, dtype=np.float64),
        "first_token": later[..., 0].mean(axis=-1, dtype=np.float64),
        "previous_token": np.diagonal(weights, -1, 2, 3).mean(axis=-1, dtype=np.float64),
        "induction": repeats / asked.sum() if asked.any() else np.full(weights.shape[:2], np.nan),
    }


def follows_same_token(tokens: np.ndarray) -> np.ndarray:
    """Mark the keys that an induction head would look at: (T,) -> bool (T query, T key).

    Key k is marked for query q when the token before k is the token at q, and stands before q.

    >>> follows_same_token(np.array([7, 8, 7])).astype(int)
    array([[0, 0, 0],
           [0, 0, 0],
           [0, 1, 0]])
    """
    follows = np.zeros((len(tokens), len(tokens)), bool)
    follows[:, 1:] = tokens[:, None] == tokens[None, :-1]
    return np.tril(follows)


def causal_pairs(scores: np.ndarray) -> np.ndarray:
    """Keep the Q·K logits of a query and the keys up to it, without the future: (L, H, T, T) -> (L, H, T(T+1)/2)."""
    length = scores.shape[-1]
    pairs = np.flatnonzero(np.tril(np.ones((length, length), bool)))
    return scores.reshape(*scores.shape[:2], -1).take(pairs, axis=-1)  # an index would lay a row out with gaps


def mean_length(vectors: np.ndarray) -> np.ndarray:
    """Return the mean over positions of the vectors' lengths sqrt(Σ x²): (L, H, T, head_dim) -> (L, H)."""
    vectors = vectors.astype(np.float64)
    return np.sqrt(np.vecdot(vectors, vectors)).mean(axis=-1)


def logit_moments(pairs: np.ndarray) -> dict[str, np.ndarray]:
    """Say how large each head's Q·K logits are: `causal_pairs` (L, H, P) -> qk_mean, qk_std, qk_max, each (L, H).

    qk_max keeps its sign: it is the logit that softmax listens to most, not the largest magnitude.
    """
    spread = moments(pairs.reshape(-1, pairs.shape[-1]))
    shape = pairs.shape[:2]
    return {
        "qk_mean": spread["mean"].reshape(shape),
        "qk_std": spread["std"].reshape(shape),
        "qk_max": pairs.max(axis=-1),
    }
