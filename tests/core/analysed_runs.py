"""A tiny run in float64 for the tests of analyses, with weights large enough for everything to be far from even."""

import numpy as np

from tlab_core import Architecture, Experiment, LiveRun, Training

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "big", "dog", "ran", "to", "its", "red", "barn", "where", "birds")
ALL = {"weights": {"parameter": "blocks.0.attention.qkv.weight"}, "logit_distance": {}, "long_context": {},
       "neuron": {"layer": 1}, "flow": {"layer": 1}}  # every analysis with options that it can't do without


def text(words: int = 1500) -> str:
    return " ".join(np.random.default_rng(3).choice(WORDS, words))


def run_of(folder, *, seq_len: int = 8, words: int = 1500, steps: int = 3, **knobs) -> LiveRun:
    """Return a run that has made a few steps on a text that is written into `folder`."""
    path = folder / "words.txt"
    path.write_text(text(words))
    plain = {"hidden_dim": 8, "num_layers": 2, "num_heads": 2, "ff_dim": 12, "init_std": 0.5, "dtype": "float64",
             "max_seq_len": 256}
    run = LiveRun(Experiment(
        architecture=Architecture(**plain | knobs), corpus=str(path),
        training=Training(seq_len=seq_len, batch_size=4, warmup_steps=0, learning_rate=0.01, shards=2, executor="serial"),
    ))  # fmt: skip
    run.advance(steps=steps)
    return run



def held_back_pieces(run: LiveRun, count: int, length: int) -> list[tuple[list[int], list[int]]]:
    """Return tokens and targets of evenly spread pieces of the held-back text, by plain steps through it."""
    text = run.trainer.data.validation.tolist()
    room = len(text) - length - 1
    count = min(count, room // length + 1)
    starts = [0] if count == 1 else [int(place * room / (count - 1)) for place in range(count)]
    return [(text[s : s + length], text[s + 1 : s + length + 1]) for s in starts]
