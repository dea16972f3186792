"""The entropies that a model must beat, against counts made by hand and by brute force."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from tlab_core.baselines import cross_entropies, entropies


def markov(length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a chain of 3 tokens and its transition matrix."""
    chances = np.array([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.3, 0.4, 0.3]])
    dice = np.random.default_rng(seed)
    tokens = [0]
    for _ in range(length - 1):
        tokens.append(dice.choice(3, p=chances[tokens[-1]]))
    return np.array(tokens), chances


def test_entropies_of_a_known_chain():
    tokens, chances = markov(40_000, 0)
    share = np.linalg.matrix_power(chances, 100)[0]
    found = entropies(tokens, 3)
    assert found["uniform"] == pytest.approx(math.log(3))
    assert found["unigram"] == pytest.approx(-(share * np.log(share)).sum(), abs=0.01)
    assert found["bigram"] == pytest.approx(-(share[:, None] * chances * np.log(chances)).sum(), abs=0.01)


def test_entropies_by_brute_force():
    tokens = np.random.default_rng(1).integers(0, 5, 300)
    pairs, firsts = Counter(pairwise(tokens)), Counter(tokens[:-1])
    bigram = -sum(count * math.log(count / firsts[a]) for (a, _), count in pairs.items()) / 299
    found = entropies(tokens, 7)
    assert found["bigram"] == pytest.approx(bigram, rel=1e-12)
    assert found["uniform"] == math.log(7)
    assert list(found) == ["uniform", "unigram", "bigram"]


def test_what_never_surprises_has_no_entropy():
    assert entropies(np.array([2, 2, 2]), 3) == {"uniform": math.log(3), "unigram": 0.0, "bigram": 0.0}
    assert entropies(np.array([0, 1] * 50), 2)["bigram"] == 0.0


def test_cross_entropies_by_brute_force():
    dice = np.random.default_rng(2)
    train, held_out = dice.integers(0, 4, 100), dice.integers(0, 6, 50)  # 4 and 5 never come up in training
    singles, firsts = Counter(train), Counter(train[:-1])
    pairs = Counter(pairwise(train))
    asked = list(pairwise(held_out))
    found = cross_entropies(train, held_out, 6)
    assert found["uniform"] == math.log(6)
    assert found["unigram"] == pytest.approx(-np.mean([math.log((singles[b] + 1) / 106) for _, b in asked]), rel=1e-12)
    assert found["bigram"] == pytest.approx(
        -np.mean([math.log((pairs[a, b] + 1) / (firsts[a] + 6)) for a, b in asked]), rel=1e-12
    )


def test_smoothed_chances_add_up_to_one():
    train = np.random.default_rng(3).integers(0, 3, 30)
    for first in range(4):
        chances = [math.exp(-cross_entropies(train, np.array([first, second]), 4)["bigram"]) for second in range(4)]
        assert sum(chances) == pytest.approx(1)


def test_with_much_text_the_two_agree():
    tokens, _ = markov(40_000, 4)
    held_out, _ = markov(40_000, 5)
    plain, crossed = entropies(held_out, 3), cross_entropies(tokens, held_out, 3)
    for kind in plain:
        assert crossed[kind] == pytest.approx(plain[kind], abs=0.005)
        assert crossed[kind] >= plain[kind] - 1e-4


@pytest.mark.parametrize(
    ("tokens", "message"),
    [([1], "two or more tokens"), ([[0, 1]], r"shape \(1, 2\)"), ([0, 3], "token 3 is outside 0 to 2"),
     ([0, -1], "token -1 is outside")],
)
def test_wrong_tokens(tokens, message):
    with pytest.raises(ValueError, match=message):
        entropies(np.array(tokens), 3)
    with pytest.raises(ValueError, match=message):
        cross_entropies(np.array([0, 1, 2]), np.array(tokens), 3)
