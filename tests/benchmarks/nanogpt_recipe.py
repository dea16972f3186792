"""How well the lab trains on Tiny Shakespeare by nanoGPT's recipe for a CPU, whose README reports a loss of 1.88.

    python -m tests.benchmarks.nanogpt_recipe                     fetches the text once
    python -m tests.benchmarks.nanogpt_recipe path/to/input.txt   reads it from there

4 layers, 4 heads, width 128, context 64, batch 12, 2000 steps, learning rate 1e-3 to 1e-4 along a cosine after 100 warm-up
steps, betas 0.9 and 0.99, weight decay 0.1, clipping at 1, no dropout; GPT-2's parts: LayerNorm before each branch, GELU,
learned positions, tied embeddings, no biases. The loss is that of the whole validation part (the last tenth) in pieces of
64 characters; nanoGPT reports the mean of 20 random batches.
"""

import argparse
import time

from tlab_core.config import Architecture, Training
from tlab_core.corpora import load_corpus
from tlab_core.parallel import blas_kernels
from tlab_core.trainer import Trainer
from tlab_core.transformer import Transformer

ARCHITECTURE = {
    "hidden_dim": 128,
    "num_layers": 4,
    "num_heads": 4,
    "max_seq_len": 64,
    "norm_type": "LayerNorm",
    "residual_type": "Pre-LN",
    "activation_type": "GELU",
    "pos_encoding_type": "Learned",
    "use_bias": False,
}
TRAINING = {
    "batch_size": 12,
    "seq_len": 64,
    "steps": 2000,
    "learning_rate": 1e-3,
    "min_learning_rate": 1e-4,
    "schedule": "cosine",
    "warmup_steps": 100,
    "beta1": 0.9,
    "beta2": 0.99,
    "weight_decay": 0.1,
    "grad_clip": 1.0,
    "eval_every": 250,
}


def main():
    """Train by the recipe, telling the loss every 250 steps, then that of the whole validation part and the time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", default="tiny-shakespeare", help="path of the text, or a corpus's name")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    text, tokenizer = load_corpus(given.text)
    architecture = Architecture(vocab_size=tokenizer.vocab_size, seed=given.seed, **ARCHITECTURE)
    model = Transformer(architecture)
    trainer = Trainer(model, tokenizer.encode(text), Training(seed=given.seed, **TRAINING))
    print(f"{model.parameter_count:,} parameters, {trainer.shards} shards, {', '.join(blas_kernels())}")
    began = time.perf_counter()
    for record in trainer.run():
        if record.step % trainer.training.eval_every == 0:
            validation = trainer.recorder.group("validation")["loss"].values[-1]
            seconds = time.perf_counter() - began
            print(
                f"step {record.step:5}  loss {record.loss:.3f}  validation {validation:.3f}  {seconds:6.1f} s", flush=True
            )
    seconds = time.perf_counter() - began
    print(f"validation loss {trainer.evaluate():.4f} after {trainer.step} steps in {seconds:.1f} s, statistics included")


if __name__ == "__main__":
    main()
