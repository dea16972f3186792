"""What a model must beat: how surprising a text is to someone who knows only how often letters and pairs occur."""

import numpy as np


def entropies(tokens: np.ndarray, vocab_size: int) -> dict[str, float]:
    """Return what the best model of each kind scores on these very tokens, in nats per character.

    uniform = ln V (every character equally likely);  unigram = -Σ p(b) ln p(b) (how often each occurs);
    bigram = -Σ p(a,b) ln p(b|a) (how often each follows each). Plain entropies: counted and scored on the same tokens,
    without smoothing, so no model that knows only letters, or only pairs, can be below them there. Shannon 1951.

    Returns {"uniform", "unigram", "bigram"}; ValueError for fewer than two tokens.

    >>> {kind: round(nats, 2) for kind, nats in entropies(np.array([0, 1, 0, 1, 0]), 2).items()}
    {'uniform': 0.69, 'unigram': 0.67, 'bigram': 0.0}
    """
    tokens = _checked(tokens, vocab_size)
    singles = np.unique(tokens, return_counts=True)[1]
    pairs, pair_counts = np.unique(_pairs(tokens, vocab_size), return_counts=True)
    firsts = np.bincount(tokens[:-1], minlength=vocab_size)  # (V,) how often each begins a pair
    conditional = pair_counts / firsts[pairs // vocab_size]
    return {
        "uniform": float(np.log(vocab_size)),
        "unigram": float(-np.average(np.log(singles / singles.sum()), weights=singles)),
        "bigram": float(-np.average(np.log(conditional), weights=pair_counts)) + 0.0,
    }


def cross_entropies(train: np.ndarray, held_out: np.ndarray, vocab_size: int) -> dict[str, float]:
    """Return what counts from `train` score on `held_out`, in nats per character, with add-one smoothing.

    unigram: p(b) = (n(b) + 1) / (N + V);  bigram: p(b|a) = (n(a,b) + 1) / (n(a) + V), Laplace's rule. This is what a
    model's validation loss compares with. Both score the same characters: all of `held_out` but the first. With
    thousands of different characters the added ones make the bigram look worse than it is.
    """
    train, held_out = _checked(train, vocab_size), _checked(held_out, vocab_size)
    singles = np.bincount(train, minlength=vocab_size)
    pairs, pair_counts = np.unique(_pairs(train, vocab_size), return_counts=True)
    firsts = np.bincount(train[:-1], minlength=vocab_size)
    asked = _pairs(held_out, vocab_size)
    place = np.minimum(np.searchsorted(pairs, asked), len(pairs) - 1)
    seen = np.where(pairs[place] == asked, pair_counts[place], 0)
    return {
        "uniform": float(np.log(vocab_size)),
        "unigram": float(-np.log((singles[held_out[1:]] + 1) / (len(train) + vocab_size)).mean()),
        "bigram": float(-np.log((seen + 1) / (firsts[held_out[:-1]] + vocab_size)).mean()),
    }


def _checked(tokens: np.ndarray, vocab_size: int) -> np.ndarray:
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or tokens.size < 2:
        raise ValueError(f"a baseline needs one sequence of two or more tokens, but this has the shape {tokens.shape}.")
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        outside = tokens.min() if tokens.min() < 0 else tokens.max()
        raise ValueError(f"token {outside} is outside 0 to {vocab_size - 1}: use the vocab_size of its tokenizer.")
    return tokens.astype(np.int64)


def _pairs(tokens: np.ndarray, vocab_size: int) -> np.ndarray:
    """Return one number for each neighbouring pair (a, b), from which both can be had back: a · V + b."""
    return tokens[:-1] * vocab_size + tokens[1:]
