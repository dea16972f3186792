"""Training on real text: below what letters alone can tell, then below what pairs can, and every parameter moves.

"The loss went down" would prove nothing: a model that trains only its output layer also gets below the unigram entropy.
The bigram entropy is where context begins to matter, and the margins say by how much it does.
"""

import numpy as np
import pytest

from tlab_core.baselines import entropies
from tlab_core.config import Training
from tlab_core.corpora import load_corpus
from tlab_core.trainer import Trainer
from tlab_core.transformer import Transformer

STEPS = 300


@pytest.fixture(scope="module")
def trained():
    text, tokenizer = load_corpus("stories")
    tokens = tokenizer.encode(text)
    model = Transformer(vocab_size=tokenizer.vocab_size, hidden_dim=64, num_layers=2, num_heads=4)
    start = {name: values.copy() for name, values in model.parameters.items()}
    training = Training(
        batch_size=16, seq_len=64, learning_rate=4e-3, warmup_steps=30, steps=STEPS, eval_every=20, statistics_every=50
    )
    trainer = Trainer(model, tokens, training)
    list(trainer.run())
    return trainer, start, entropies(trainer.data.validation, tokenizer.vocab_size)


def test_the_fresh_model_knows_nothing(trained):
    trainer, _, baseline = trained
    assert trainer.history["validation"]["loss"].values[0] == pytest.approx(baseline["uniform"], abs=0.1)


def test_it_gets_below_letters_and_then_below_pairs(trained):
    trainer, _, baseline = trained
    validation = trainer.history["validation"]["loss"]
    whole = trainer.evaluate()
    assert baseline["bigram"] < baseline["unigram"] - 0.5 < baseline["uniform"] - 0.5
    assert (validation < baseline["unigram"]).values.argmax() < (validation < baseline["bigram"]).values.argmax()
    assert whole < baseline["unigram"] - 2.0
    assert whole < baseline["bigram"] - 1.0
    assert validation.values[-1] == pytest.approx(whole, abs=0.05)  # the bounded set stands for the whole part


def test_every_parameter_moves(trained):
    trainer, start, _ = trained
    last = trainer.history["parameters"].isel(step=-1)
    for name, values in trainer.model.parameters.items():
        moved = np.abs(values - start[name])
        if name.endswith("qkv.bias"):
            # adding one vector to all keys adds the same number to all of a query's scores, which softmax takes off again
            moved = np.delete(moved, slice(64, 128))
        assert (moved > 1e-3).mean() > 0.9, name
        assert last["distance"].sel(parameter=name) > 0
    gradients = trainer.history["parameters"]["gradient_rms"].isel(step=slice(1, None))
    assert (gradients.min("step") > 0).all()


def test_what_follows_is_read_from_more_than_the_last_character(trained):
    trainer, _, _ = trained
    tokens, targets, _ = trainer.data.validation_batches(1)[0]
    losses = trainer.model.shard_losses(tokens, targets, trainer.model.workspace())
    assert losses[:, :4].mean() > losses[:, 32:].mean() + 0.3
