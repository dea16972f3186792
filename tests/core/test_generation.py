"""Sampling: what temperature, top-k and top-p keep, where a text stops, and what a full window does."""

import math

import numpy as np
import pytest

from tlab_core.generation import Choice, GenerationError, Window, choices, draw, generate, probabilities, stream
from tlab_core.transformer import Transformer

LOGITS = np.log([0.5, 0.25, 0.15, 0.1])


@pytest.fixture(scope="module")
def model():
    # a large spread, so that an untrained model has opinions and its text depends on all that it sees
    return Transformer(vocab_size=17, hidden_dim=16, num_layers=2, num_heads=2, max_seq_len=12, init_std=0.4)


def text_of(model, prompt, length, **settings):
    return list(stream(model, prompt, length, **settings))


# ---- probabilities


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_temperature_is_softmax_of_logits_over_temperature(temperature):
    expected = np.array([0.5, 0.25, 0.15, 0.1]) ** (1 / temperature)
    assert probabilities(LOGITS, temperature) == pytest.approx(expected / expected.sum(), rel=1e-12)


def test_temperature_zero_takes_the_likeliest_and_among_equals_the_lower_id():
    assert probabilities(LOGITS[::-1], 0).tolist() == [0, 0, 0, 1]
    assert probabilities([1.0, 7.0, 7.0], 0).tolist() == [0, 1, 0]
    assert probabilities(LOGITS[::-1], 1e-320).tolist() == [0, 0, 0, 1]
    assert probabilities([1e30, -1e30, 0.0], 1e-3).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("top_k", "kept"),
    [(1, [1, 0, 0, 0]), (2, [2 / 3, 1 / 3, 0, 0]), (4, [0.5, 0.25, 0.15, 0.1]), (99, [0.5, 0.25, 0.15, 0.1])],
)
def test_top_k_keeps_the_k_likeliest(top_k, kept):
    assert probabilities(LOGITS, top_k=top_k) == pytest.approx(kept)
    assert probabilities(LOGITS[::-1], top_k=top_k) == pytest.approx(kept[::-1])


def test_top_k_keeps_exactly_k_of_equals():
    assert probabilities(np.zeros(5), top_k=2).tolist() == [0.5, 0.5, 0, 0, 0]


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (1e-9, [1, 0, 0, 0]),
        (0.49, [1, 0, 0, 0]),
        (0.51, [2 / 3, 1 / 3, 0, 0]),
        (0.76, [5 / 9, 2.5 / 9, 1.5 / 9, 0]),
        (1.0, [0.5, 0.25, 0.15, 0.1]),
    ],
)
def test_top_p_keeps_the_smallest_set_with_that_probability(top_p, kept):
    assert probabilities(LOGITS, top_p=top_p) == pytest.approx(kept)
    assert probabilities(LOGITS[::-1], top_p=top_p) == pytest.approx(kept[::-1])


def test_top_p_looks_at_what_temperature_and_top_k_left():
    assert probabilities(LOGITS, top_k=2, top_p=0.66) == pytest.approx([1, 0, 0, 0])  # 0.5 of 0.75 is 0.67
    assert probabilities(LOGITS, temperature=0.1, top_p=0.9) == pytest.approx([1, 0, 0, 0])
    assert np.count_nonzero(probabilities(LOGITS, temperature=10, top_p=0.9)) == 4


def nucleus(logits, temperature, top_k, top_p):
    """The likeliest k, then the nucleus of Holtzman et al. 2020, section 3.1, written out one token after the other."""
    scaled = [float(logit) / temperature for logit in logits]
    masses = [math.exp(logit - max(scaled)) for logit in scaled]
    ranked = sorted(range(len(masses)), key=lambda token: -masses[token])[:top_k]
    total = sum(masses[token] for token in ranked)
    kept, reached = [], 0.0
    for token in ranked:
        kept.append(token)
        reached += masses[token] / total
        if top_p is not None and reached >= top_p:
            break
    return [masses[token] / sum(masses[other] for other in kept) if token in kept else 0.0 for token in range(len(masses))]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [None, 1, 3, 20, 40])
@pytest.mark.parametrize("top_p", [None, 0.05, 0.5, 0.93])
def test_top_k_and_top_p_keep_what_a_plain_transcription_keeps(temperature, top_k, top_p):
    for seed in range(5):
        logits = np.random.default_rng(seed).normal(0, 2, 30)
        expected = nucleus(logits, temperature, top_k, top_p)
        assert probabilities(logits, temperature, top_k, top_p) == pytest.approx(expected, rel=1e-9)


def test_probabilities_are_float64_whatever_the_logits_are():
    chances = probabilities(np.linspace(-3, 3, 65).astype(np.float32))
    assert chances.dtype == np.float64
    assert abs(chances.sum() - 1) < 1e-15


def test_draws_follow_the_probabilities_and_never_take_what_was_cut():
    dice = np.random.default_rng(1)
    chances = np.array([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    counts = np.bincount([draw(chances, dice) for _ in range(20_000)], minlength=6)
    assert counts[[0, 2, 5]].tolist() == [0, 0, 0]
    assert np.abs(counts / 20_000 - chances).max() < 4 * np.sqrt(0.25 / 20_000)


@pytest.mark.parametrize(("throw", "token"), [(0.0, 1), (1 - 2**-53, 10)])
def test_the_lowest_and_the_highest_throw_take_possible_tokens(throw, token):
    class Loaded:
        def random(self):
            return throw

    for total in np.random.default_rng(0).uniform(0.5, 2.0, 100):
        chances = np.concatenate([[0.0], np.full(10, total / 10), [0.0]])
        assert draw(chances, Loaded()) == token


# ---- texts


def test_max_length_counts_the_prompt_which_is_returned_in_front(model):
    [text] = model.generate([3, 1, 4], max_length=9)
    assert text.tolist()[:3] == [3, 1, 4]
    assert len(text) == 9
    assert text.tolist()[3:] == text_of(model, [3, 1, 4], 9)
    assert set(text.tolist()) <= set(range(17))


def test_a_prompt_as_long_as_max_length_comes_back(model):
    [text] = generate(model, np.array([3, 1, 4]), 3)
    assert text.tolist() == [3, 1, 4]


def test_greedy_takes_the_models_likeliest_token_each_time(model):
    text = [5]
    for token in text_of(model, [5], 12, temperature=0):
        assert token == model.forward([text])[0, -1].argmax()
        text.append(token)
    assert len(text) == 12


def test_sampled_tokens_are_drawn_from_the_models_probabilities(model):
    chances = probabilities(model.forward([[5, 2]])[0, -1], 0.8, top_k=6)
    drawn = [text_of(model, [5, 2], 3, temperature=0.8, top_k=6, seed=seed)[0] for seed in range(600)]
    counts = np.bincount(drawn, minlength=17)
    assert np.count_nonzero(chances) == 6
    assert counts[chances == 0].sum() == 0
    assert np.abs(counts / 600 - chances).max() < 4 * np.sqrt(0.25 / 600)


def test_one_seed_one_text(model):
    first = text_of(model, [1, 2], 40, seed=7)
    assert first == text_of(model, [1, 2], 40, seed=7)
    assert first != text_of(model, [1, 2], 40, seed=8)
    assert first != text_of(model, [1, 2], 40, seed=7, index=1)


def test_a_text_does_not_depend_on_its_neighbours(model):
    together = model.generate([[1, 2], [9], [1, 2], [4, 4, 4, 4]], max_length=30, seed=3)
    assert [len(text) for text in together] == [30] * 4
    for index, prompt in enumerate([[1, 2], [9], [1, 2], [4, 4, 4, 4]]):
        assert together[index].tolist() == prompt + text_of(model, prompt, 30, seed=3, index=index)
    assert together[0].tolist() != together[2].tolist()  # the same prompt twice gives two texts


@pytest.mark.parametrize(
    ("prompts", "count"),
    [
        ([1, 2, 3], 1),
        (np.array([1, 2, 3], np.uint8), 1),
        (np.array([[1, 2, 3], [4, 5, 6]]), 2),
        ([np.array([1]), np.array([2, 3])], 2),
        ([[1], (2, 3), np.array([4])], 3),
        ([np.int64(1), np.int64(2)], 1),
    ],
)
def test_prompts_of_many_shapes_give_a_list_of_integer_arrays(model, prompts, count):
    texts = model.generate(prompts, max_length=5)
    assert isinstance(texts, list)
    assert len(texts) == count
    assert all(text.shape == (5,) and text.dtype.kind == "i" for text in texts)


def test_a_long_prompt_is_returned_whole_and_its_last_window_decides(model):
    prompt = list(np.arange(30) % 17)
    long = model.generate(prompt, max_length=40, seed=2)[0]
    assert long[:30].tolist() == prompt
    short = model.generate(prompt[-12:], max_length=22, seed=2)[0]
    assert long[30:].tolist() == short[12:].tolist()
    assert long[30:].tolist() != model.generate(prompt[-11:], max_length=21, seed=2)[0][11:].tolist()


def test_a_full_window_is_cut_to_its_last_half_and_grows_again(model):
    window = Window(model, np.arange(10))
    lengths, seen = [], list(range(10))
    for token in range(10):
        window.append(token)
        seen.append(token)
        assert window.tokens == seen[-len(window.tokens) :]
        lengths.append(len(window.tokens))
    assert lengths == [11, 12, 6, 7, 8, 9, 10, 11, 12, 6]


def test_the_smallest_window_still_writes():
    tiny = Transformer(vocab_size=5, hidden_dim=4, num_layers=1, num_heads=1, max_seq_len=1)
    assert len(tiny.generate([1, 2], max_length=9)[0]) == 9


@pytest.mark.parametrize("encoding", ["Learned", "Sinusoidal", "ALiBi", "None"])
def test_every_position_encoding_writes_past_its_window(encoding):
    one = Transformer(vocab_size=9, hidden_dim=8, num_layers=1, num_heads=2, max_seq_len=6, pos_encoding_type=encoding)
    assert len(one.generate([1, 2, 3], max_length=25)[0]) == 25


def test_tokens_stream_one_by_one(model, monkeypatch):
    calls = []
    read_on = model.read_on
    monkeypatch.setattr(model, "read_on", lambda tokens, work: calls.append(1) or read_on(tokens, work))
    tokens = stream(model, [1], 50)
    assert not calls
    next(tokens)
    assert len(calls) == 1


# ---- what the model thought of a text


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0}, {"temperature": 2.0}, {"top_k": 3}, {"temperature": 0.7, "top_p": 0.6}]
)
def test_choices_are_the_streamed_tokens_with_the_probabilities_of_a_plain_softmax(model, settings):
    prompt, seen = [5, 2], Window(model, np.array([5, 2]))
    found = list(choices(model, prompt, 30, seed=4, **settings))
    assert [choice.token for choice in found] == text_of(model, prompt, 30, seed=4, **settings)
    for choice in found:
        logits = seen.logits().astype(float)
        chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert choice.probability == pytest.approx(chances[choice.token], rel=1e-4)
        likeliest = sorted(range(17), key=lambda token: -logits[token])[:5]
        assert [token for token, _ in choice.alternatives] == likeliest
        assert [chance for _, chance in choice.alternatives] == pytest.approx(chances[likeliest], rel=1e-4)
        seen.append(choice.token)


def test_what_temperature_and_the_cuts_leave_is_drawn_but_the_probabilities_told_are_the_models_own(model):
    [plain] = choices(model, [5], 2, top_k=1)
    [hot] = choices(model, [5], 2, temperature=0)
    assert plain == hot
    assert plain.alternatives[0] == (plain.token, plain.probability)
    assert plain.probability < 0.9


def test_choices_take_one_forward_a_token(model, monkeypatch):
    calls = []
    read_on = model.read_on
    monkeypatch.setattr(model, "read_on", lambda tokens, work: calls.append(1) or read_on(tokens, work))
    list(choices(model, [1], 9))
    assert len(calls) == 8


def test_alternatives_are_as_many_as_there_are_and_among_equals_the_lower_id_goes_first():
    tiny = Transformer(vocab_size=3, hidden_dim=4, num_layers=1, num_heads=1)
    for values in tiny.parameters.values():
        values[:] = 0
    [choice] = choices(tiny, [1], 2)
    assert choice.alternatives == tuple((token, pytest.approx(1 / 3)) for token in range(3))


def test_a_choice_can_be_told_in_other_names():
    choice = Choice(1, 0.25, ((0, 0.5), (1, 0.25)))
    assert choice.named("ab".__getitem__) == Choice("b", 0.25, (("a", 0.5), ("b", 0.25)))


# ---- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature = -0.1 is not allowed: it must be a finite number of at least 0"),
        ({"temperature": float("nan")}, "temperature = nan is not allowed"),
        ({"temperature": float("inf")}, "temperature = inf is not allowed"),
        ({"temperature": "hot"}, "temperature = 'hot' is not allowed"),
        ({"temperature": None}, "temperature = None is not allowed"),
        ({"top_k": 0}, "top_k = 0 is not allowed: it must be a whole number of at least 1"),
        ({"top_k": 2.5}, "top_k = 2.5 is not allowed"),
        ({"top_k": True}, "top_k = True is not allowed"),
        ({"top_p": 0}, "top_p = 0 is not allowed: it must be above 0 and at most 1"),
        ({"top_p": 1.01}, "top_p = 1.01 is not allowed"),
        ({"top_p": float("nan")}, "top_p = nan is not allowed"),
        ({"seed": -1}, "seed = -1 is not allowed: it must be a whole number of at least 0"),
        ({"seed": 0.5}, "seed = 0.5 is not allowed"),
    ],
)
def test_sampling_settings_are_refused_at_the_call(model, settings, message):
    for way in (stream, choices):
        with pytest.raises(GenerationError, match=message):
            way(model, [1], 4, **settings)
    with pytest.raises(GenerationError, match=message):
        model.generate([1], 4, **settings)


@pytest.mark.parametrize(
    ("prompt", "max_length", "message"),
    [
        ([], 4, "the prompt is empty: give at least one token"),
        (np.array([], int), 4, "the prompt is empty"),
        ([[1, 2], []], 4, "the prompt is empty"),
        ([1, 2, 3], 2, "max_length = 2 is not allowed: it counts the prompt's 3 tokens.*at least 3"),
        ([[1], [1, 2, 3]], 2, "it counts the prompt's 3 tokens"),
        ([1], 2.5, "max_length = 2.5 is not allowed"),
        ([1], None, "max_length = None is not allowed"),
        ([1, 17], 4, "token id 17, but the model knows ids 0 to 16"),
        ([-1], 4, "token id -1"),
        ([1.0, 2.0], 4, "whole token ids, not float64"),
        ("One day", 9, "the prompt is text.*tokenizer.encode"),
        (np.zeros((2, 2, 2), int), 9, "1-D array of whole token ids, not int64 of shape"),
    ],
)
def test_prompts_are_refused_with_what_came_and_what_is_allowed(model, prompt, max_length, message):
    with pytest.raises(GenerationError, match=message):
        model.generate(prompt, max_length)


def test_a_diverged_model_can_not_write():
    broken = Transformer(vocab_size=5, hidden_dim=4, num_layers=1, num_heads=1)
    broken.parameters["blocks.0.mlp.down.weight"][:] = np.inf
    with pytest.raises(GenerationError, match="logits are not finite.*lower learning_rate"):
        broken.generate([1], 3)
    with pytest.raises(GenerationError, match="logits are not finite"):
        next(choices(broken, [1], 3))
