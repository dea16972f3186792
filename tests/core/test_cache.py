"""The key/value cache: a model that reads each token once says what one says that reads everything again."""

import itertools

import numpy as np
import pytest

from tests.core.grid import COMBINATIONS, SMALL, small_model
from tlab_core.activations import ACTIVATIONS
from tlab_core.cache import KeyValueCache
from tlab_core.config import Training
from tlab_core.generation import CachedWindow, Window, generate, stream
from tlab_core.parallel import blas_libraries
from tlab_core.positions import POSITIONS
from tlab_core.trainer import Trainer
from tlab_core.transformer import Transformer

TEXT = np.random.default_rng(5).integers(0, SMALL["vocab_size"], 24)


def assert_same_logits(model, tolerance, prompt=3, length=24):
    """Feed both windows the same text, past the first cut, and compare what they say of each next token."""
    cached, plain = CachedWindow(model, TEXT[:prompt]), Window(model, TEXT[:prompt])
    for token in TEXT[prompt:length]:
        expected = plain.logits()
        np.testing.assert_allclose(cached.logits(), expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
        cached.append(token)
        plain.append(token)
        assert cached.tokens == plain.tokens


# ---- the same logits


@pytest.mark.parametrize("position", POSITIONS.names())
def test_every_combination_says_the_same_with_and_without(position):
    for norm, residual, activation, _ in (combination for combination in COMBINATIONS if combination[3] == position):
        model = small_model(norm, residual, activation, position)
        assert_same_logits(model, 1e-10, length=13)


@pytest.mark.parametrize("position", POSITIONS.names())
@pytest.mark.parametrize(("qk_norm", "tied", "bias"), list(itertools.product([False, True], repeat=3)))
def test_qk_norm_tied_embeddings_and_biases_too(position, qk_norm, tied, bias):
    model = small_model(position=position, norm="LayerNorm", qk_norm=qk_norm, tie_embeddings=tied, use_bias=bias)
    assert_same_logits(model, 1e-10)


@pytest.mark.parametrize("position", POSITIONS.names())
@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
def test_in_single_precision_too(position, norm):
    assert_same_logits(small_model(position=position, norm=norm, dtype="float32"), 2e-5)


@pytest.mark.parametrize("prompt", [1, 2, 8, 9, 10, 20])
def test_whatever_the_prompts_length(prompt):
    assert_same_logits(small_model(position="ALiBi"), 1e-10, prompt)


@pytest.mark.parametrize("position", POSITIONS.names())
@pytest.mark.parametrize("cuts", [[1, 1, 1, 1, 1, 1, 1], [7], [3, 1, 3], [1, 4, 2]])
def test_a_text_read_in_pieces_gets_the_logits_of_the_whole(position, cuts):
    model = small_model(position=position, qk_norm=True)
    tokens = TEXT[:14].reshape(2, 7)  # two sequences side by side
    work = model.workspace()
    work.cache = KeyValueCache(9)
    pieces = np.split(tokens, np.cumsum(cuts)[:-1], axis=1)
    logits = np.concatenate([model.read_on(piece, work).copy() for piece in pieces], axis=1)
    np.testing.assert_allclose(logits, model.forward(tokens), rtol=1e-10, atol=1e-12)


def test_scores_too_large_for_an_exponential_are_no_trouble():
    model = small_model(position="None", dtype="float32")
    for name, parameter in model.parameters.items():
        if "qkv" in name:
            parameter *= 40
    assert_same_logits(model, 1e-4)


# ---- the same texts


@pytest.mark.parametrize("position", POSITIONS.names())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_greedy_texts_are_those_of_the_whole_model(position, dtype):
    model = small_model(position=position, dtype=dtype, max_seq_len=16)
    text = [1, 2]
    while len(text) < 16:
        text.append(int(model.forward([text])[0, -1].argmax()))
    assert generate(model, [1, 2], 16, temperature=0)[0].tolist() == text


def test_what_was_kept_matters():
    window = CachedWindow(small_model(), TEXT[:5])
    before = window.logits()
    window.append(7)
    window.cache.kept["blocks.1.attention"][1, :, :, 2] += 1
    expected = Window(window.model, window.tokens)
    assert np.abs(window.logits() - expected.logits()).max() > 1e-3
    assert np.abs(before - window.logits()).max() > 1e-3


# ---- what is read, and what is kept


def test_each_token_is_read_once_between_two_cuts(monkeypatch):
    model, read = small_model(), []
    read_on = model.read_on
    monkeypatch.setattr(model, "read_on", lambda tokens, work: read.append(tokens.shape[1]) or read_on(tokens, work))
    generate(model, TEXT[:4], 22)
    assert read == [4, 1, 1, 1, 1, 1, 4, 1, 1, 1, 1, 1, 4, 1, 1, 1, 1, 1]


def test_asking_twice_gives_the_same_logits():
    window = CachedWindow(small_model(), TEXT[:4])
    window.logits()
    window.append(3)
    first = window.logits()
    assert window.logits() is first
    kept = first.copy()
    window.append(5)
    window.logits()
    assert (first == kept).all()  # a later token leaves logits alone that someone still holds


def test_memory_does_not_grow_with_the_text():
    window = CachedWindow(small_model(qk_norm=True), TEXT[:1])
    sizes = []
    for token in np.tile(TEXT, 3):
        window.logits()
        window.append(int(token))
        sizes.append(len(window.work.buffers))
    assert len(set(sizes[20:])) == 1


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_model_that_was_trained_between_two_tokens_reads_all_again(executor):
    model = small_model(position="Learned")
    training = Training(batch_size=2, seq_len=8, learning_rate=0.05, warmup_steps=0, executor=executor, shards=2)
    trainer = Trainer(model, np.tile(TEXT, 20), training)
    window = CachedWindow(model, TEXT[:4])
    before = window.logits()
    for token in TEXT[4:7]:
        list(trainer.run(steps=1))
        window.append(int(token))
        np.testing.assert_allclose(window.logits(), Window(model, window.tokens).logits(), rtol=1e-10)
    list(trainer.run(steps=1))
    changed = window.logits()  # also without a new token
    np.testing.assert_allclose(changed, Window(model, window.tokens).logits(), rtol=1e-10)
    assert np.abs(changed - before).max() > 1e-3
    trainer.close()


def test_numpy_is_set_as_before_between_two_tokens():
    before = np.geterr(), [library.num_threads for library in blas_libraries()]
    tokens = stream(small_model(), TEXT[:3], 9)
    next(tokens)
    assert (np.geterr(), [library.num_threads for library in blas_libraries()]) == before


def test_a_diverged_model_is_reported_without_warnings():
    model = Transformer(vocab_size=5, hidden_dim=8, num_layers=2, num_heads=2)
    model.parameters["blocks.0.attention.qkv.weight"][:] = 1e30
    for temperature in (0, 1):
        with pytest.raises(ValueError, match="logits are not finite"):
            list(stream(model, [1, 2], 9, temperature=temperature))


# ---- the parts


@pytest.mark.parametrize("position", POSITIONS.names())
def test_positions_after_a_past_are_those_of_the_whole(position):
    model = small_model(position=position, max_seq_len=20)
    encoding, dice = model.positions, np.random.default_rng(0)
    x = dice.standard_normal((2, 3, 9, 4))
    whole = x.copy()
    encoding.rotate(whole)
    mask, dtype = encoding.mask(9, np.dtype(float)), np.dtype(float)
    for past, stop in ((0, 9), (4, 9), (8, 9), (3, 4)):
        part = x[:, :, past:stop].copy()
        encoding.rotate(part, past)
        np.testing.assert_allclose(part, whole[:, :, past:stop], rtol=1e-14)
        rows = encoding.mask(stop - past, dtype, past)
        expected = mask[:, past:stop, :stop]
        assert (rows == expected).all() if rows is not None else not expected.any()


def test_a_text_longer_than_the_learned_table_is_refused_as_ever():
    model = small_model(position="Learned")
    work = model.workspace()
    work.cache = KeyValueCache(20)
    model.read_on(TEXT[None, :8], work)
    with pytest.raises(ValueError, match="the text has 10 tokens.*max_seq_len = 9"):
        model.read_on(TEXT[None, :2], work)


@pytest.mark.parametrize("activation", ACTIVATIONS.names())
def test_the_value_without_the_slope_is_the_same_number(activation):
    kind, dice = ACTIVATIONS.get(activation), np.random.default_rng(0)
    u = 3 * dice.standard_normal((2 if kind.gated else 1, 4, 50))
    with_slope, alone = u.copy(), u.copy()
    kind.forward(*with_slope, np.empty((4, 50)), np.empty((4, 50)))
    kind.value(*alone, np.empty((4, 50)))
    assert (with_slope[-1] == alone[-1]).all()
    assert np.abs(alone[-1] - u[-1]).max() > 1
