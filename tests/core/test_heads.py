"""Measures of attention on maps made by hand, of which the answer is known."""

import numpy as np

from tlab_core.heads import attention_patterns, causal_pairs, follows_same_token, logit_moments


def test_the_largest_logit_keeps_its_sign():
    pairs = causal_pairs(np.array([[[[-3.0, 99.0], [-7.0, -5.0]]]]))
    assert pairs.tolist() == [[[-3.0, -7.0, -5.0]]]
    assert logit_moments(pairs)["qk_max"].tolist() == [[-3.0]]


def test_made_up_heads_are_recognised():
    tokens = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    n = len(tokens)
    previous, first, induction = (np.zeros((n, n)) for _ in range(3))
    for q in range(n):
        previous[q, max(q - 1, 0)] = first[q, 0] = 1
        induction[q, q - 2 if q >= 3 else q] = 1
    patterns = attention_patterns(np.array([[previous, first, induction]]), tokens)
    np.testing.assert_allclose(patterns["previous_token"][0], [1, 1 / (n - 1), 0])
    np.testing.assert_allclose(patterns["first_token"][0], [1 / (n - 1), 1, 0])
    np.testing.assert_allclose(patterns["induction"][0], [0, 0, 1])
    np.testing.assert_allclose(patterns["entropy"], 0, atol=1e-12)
    np.testing.assert_allclose(patterns["largest_weight"], 1)


def test_keys_that_follow_the_same_token():
    tokens = [3, 1, 4, 1, 5, 5, 5, 3]
    marked = follows_same_token(np.array(tokens))
    for q in range(8):
        for k in range(8):
            assert marked[q, k] == (0 < k <= q and tokens[k - 1] == tokens[q])
