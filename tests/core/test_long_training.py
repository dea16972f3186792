"""What the README and the lab promise of whole trainings; a minute or two each."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.nanogpt_recipe import ARCHITECTURE, TRAINING
from tlab_core import LiveRun, Trainer, Training, Transformer, default_experiment, load_corpus
from tlab_core.baselines import cross_entropies

SHAKESPEARE = Path(__file__).parents[3] / "shared" / "data" / "tiny_shakespeare.txt"

pytestmark = pytest.mark.slow


def test_the_run_that_the_lab_opens_with_writes_sentences():
    run = LiveRun(default_experiment())
    run.advance(steps=500)
    # 0.57 where this was written; letter pairs alone give 2.11.
    assert run.trainer.evaluate(8) < 0.70
    written = "".join(run.write("One day ", 400, temperature=0.5))
    words = [word.strip('.,"!?') for word in written.split()[:-1]]
    known = set(load_corpus("stories")[0].replace(".", " ").replace(",", " ").replace('"', " ").split())
    assert np.mean([word in known for word in words if word]) > 0.75


def test_tiny_shakespeare_by_nanogpts_recipe():
    if not SHAKESPEARE.exists() and not os.environ.get("CI"):
        pytest.skip("there is no copy of Tiny Shakespeare beside the project, and tests fetch nothing")
    text, tokenizer = load_corpus(SHAKESPEARE)
    model = Transformer(vocab_size=tokenizer.vocab_size, **ARCHITECTURE)
    trainer = Trainer(model, tokenizer.encode(text), Training(**{**TRAINING, "statistics_every": 500}))
    for _ in trainer.run():
        pass
    trainer.close()
    data = trainer.data
    baselines = cross_entropies(data.training, data.validation, tokenizer.vocab_size)
    # nanoGPT's README reports 1.88 from random batches; 1.894 where this was written. Letter pairs alone give 2.5.
    assert trainer.evaluate() < 1.93 < baselines["bigram"] - 0.4
