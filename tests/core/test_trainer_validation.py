"""What the trainer measures on held-back text, and what it refuses to train on."""

import numpy as np
import pytest

from tests.core.tiny_runs import TOKENS, model_of, trainer_of
from tlab_core.batches import DataError
from tlab_core.config import Training
from tlab_core.settings import SettingsError
from tlab_core.trainer import Trainer

# ---- validation


def mean_loss(model, part, starts, length):
    """Return the mean cross-entropy over pieces, from the logits, one token at a time."""
    losses = []
    for start in starts:
        piece = part[start : start + length + 1]
        logits = model.forward(piece[None, :-1])[0].astype(np.float64)
        for scores, target in zip(logits, piece[1:], strict=True):
            losses.append(np.log(np.exp(scores).sum()) - scores[target])
    return np.mean(losses)


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize(("total", "border"), [(900, 810), (890, 801)])
def test_evaluate_reads_the_whole_validation_part(executor, total, border):
    trainer = trainer_of(TOKENS[:total], executor=executor)
    part = TOKENS[border:total]
    starts = range(0, 81, 8)  # 90 tokens, and just so 89, hold 11 pieces of 8 with their targets
    assert len(starts) == 11
    assert trainer.evaluate() == pytest.approx(mean_loss(trainer.model, part, starts, 8), rel=1e-5)
    assert trainer.evaluate(batches=99) == trainer.evaluate()


def test_evaluate_with_a_number_spreads_its_pieces_evenly():
    trainer = trainer_of()
    starts = np.linspace(0, 81, 5).astype(int)
    assert starts[-1] + 8 + 1 == 90  # the last one ends where the text does
    expected = mean_loss(trainer.model, TOKENS[810:], starts, 8)
    assert trainer.evaluate(batches=1) == pytest.approx(expected, rel=1e-5)


def test_validation_records_are_bounded_and_compare_like_with_like():
    tokens = np.tile(TOKENS, 20)
    for every, batches in ((50, 6), (16, 2), (4, 1), (1000, 8)):
        trainer = trainer_of(tokens, eval_every=every)
        recorded = trainer.history["validation"]["loss"].values[0]
        assert recorded == pytest.approx(trainer.evaluate(batches=batches), rel=1e-12)


def test_answer_accuracy_counts_greedy_guesses_on_answers_only():
    # lines "x y ; 10" where y = x: the answer repeats the question
    dice = np.random.default_rng(1)
    questions = dice.integers(0, 9, 300)
    tokens = np.column_stack([questions, np.full(300, 9), questions, np.full(300, 10)]).ravel()
    answers = np.tile([False, False, True, False], 300)
    trainer = trainer_of(tokens, answers=answers, learning_rate=0.03, steps=300, batch_size=16)
    list(trainer.run())
    accuracy = trainer.history["validation"]["answer_accuracy"].values
    assert accuracy[0] < 0.4
    assert accuracy[-1] == 1.0  # though half of all tokens, the questions, can't be known
    for tokens, targets, mask in trainer.data.validation_batches(2):
        assert (tokens[:, 0] == 10).all()  # pieces begin where the last line's answer has ended
        assert mask.sum() == 2 * len(tokens)
        assert (targets[mask] < 9).all()
    assert np.isnan(trainer_of().history["validation"]["answer_accuracy"]).all()


# ---- refusals


@pytest.mark.parametrize("steps", [-1, 2.5, "10", True])
def test_bad_steps(steps):
    with pytest.raises(ValueError, match="is not allowed: it must be a whole number of at least 0, or None"):
        trainer_of().run(steps=steps)


@pytest.mark.parametrize("batches", [0, -1, 1.5])
def test_bad_batches(batches):
    with pytest.raises(ValueError, match=f"batches = {batches} is not allowed: it must be a whole number of at least 1"):
        trainer_of().evaluate(batches)


@pytest.mark.parametrize(
    ("tokens", "settings", "message"),
    [
        (
            TOKENS[:50],
            {},
            "of its 50 tokens the validation part has 5 .*seq_len = 8 needs at least 9.*seq_len to 4 or less",
        ),
        (TOKENS[:50], {}, "or set validation_fraction to 0.2 or more"),
        (TOKENS[:12], {}, "the validation part has 2 .*set seq_len to 1 or less, or bring a longer text\\.$"),
        (TOKENS[:80], {"validation_fraction": 0.9}, "the training part has 7 .*set seq_len to 6 or less"),
        (TOKENS[:2], {}, "the text is too short"),
        (np.array([], int), {}, "the tokens must be a 1-D array of whole token ids, not int64 of shape \\(0,\\)"),
        (TOKENS.reshape(2, -1), {}, "must be a 1-D array of whole token ids, not int64 of shape \\(2, 450\\)"),
        (TOKENS * 1.0, {}, "not float64 .*tokenizer.encode"),
        ("once upon", {}, "the tokens are text: turn them into ids first"),
        (TOKENS + 1, {}, "hold the id 11, but the model has vocab_size = 11, so ids go from 0 to 10.*vocab_size=12"),
        (TOKENS - 1, {}, "hold the id -1, but the model has vocab_size = 11"),
    ],
)
def test_tokens_that_can_not_be_trained_on(tokens, settings, message):
    with pytest.raises(DataError, match=message):
        trainer_of(tokens, **settings)


def test_the_fixes_that_are_offered_work():
    trainer_of(TOKENS[:50], seq_len=4)
    trainer_of(TOKENS[:50], validation_fraction=0.2)
    trainer_of(TOKENS[:80], validation_fraction=0.9, seq_len=6)


def test_settings_are_checked_at_construction():
    training = Training(batch_size=2, shards=4)
    with pytest.raises(SettingsError, match="shards = 4 does not fit: each shard needs a sequence.*set shards to 2"):
        Trainer(model_of(), TOKENS, training)


def test_a_learned_table_limits_training():
    with pytest.raises(
        DataError, match="seq_len = 24 is longer than the model's table of learned positions.*to 16 or less"
    ):
        trainer_of(model=model_of(pos_encoding_type="Learned"), seq_len=24)
    with pytest.raises(DataError, match="the probe's length = 29 is longer"):
        trainer_of(model=model_of(pos_encoding_type="Learned"), probe=TOKENS[:30])
    trainer_of(model=model_of(pos_encoding_type="RoPE"), seq_len=24)


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"probe": [1, 2]}, "the probe has 2 tokens: it needs at least 3"),
        ({"probe": [1, 2, 11]}, "the probe's tokens hold the id 11"),
        ({"answers": [True, False]}, "answers must be one True or False for each of the 900 tokens, not bool of shape"),
        ({"answers": np.ones(900)}, "not float64 of shape"),
    ],
)
def test_probes_and_answers_are_checked(extras, message):
    with pytest.raises(DataError, match=message):
        trainer_of(**extras)
