"""How fast a training step is beside PyTorch's (contest.py says how that is measured).

    python -m tests.benchmarks.training                       all sizes of the table
    python -m tests.benchmarks.training 4,128,4,512,16,128    one size: layers, width, heads, ff, batch, seq
    python -m tests.benchmarks.training --llama 4,128         RMSNorm, SwiGLU, RoPE instead of LayerNorm, GELU, learned
    python -m tests.benchmarks.training --combinations        the second size with every other choice of one knob
    python -m tests.benchmarks.training --long                contexts of 1024 and 2048 at width 256

A ratio means little without the kernel behind NumPy's products, so that is printed. The last columns say how many rounds
other programs left alone, and the share of the processor that they had.
"""

import argparse

from tests.benchmarks.contest import GPT, LLAMA, SIZES, Result, Setting, contest, positive, sizes_of

LONG = [(4, 256, 8, 1024, 4, 1024), (4, 256, 8, 1024, 2, 2048)]
# Each is one step away from GPT's or Llama's kind.
COMBINATIONS = [
    *({"pos_encoding_type": kind} for kind in ("Sinusoidal", "RoPE", "ALiBi", "None")),
    *({"residual_type": kind} for kind in ("Post-LN", "Sandwich")),
    *({"activation_type": kind} for kind in ("ReLU", "Swish", "SwiGLU", "GEGLU")),
    *({"norm_type": kind} for kind in ("RMSNorm", "None")),
    {"tie_embeddings": False},
    {"qk_norm": True},
    {"use_bias": False},
    {**LLAMA, "qk_norm": True},
    {**LLAMA, "residual_type": "Sandwich"},
    {**LLAMA, "residual_type": "Post-LN", "activation_type": "ReLU", "pos_encoding_type": "ALiBi"},
    {**LLAMA, "activation_type": "GEGLU", "pos_encoding_type": "ALiBi", "qk_norm": True, "tie_embeddings": False},
]


def row(name: str, result: Result) -> str:
    """Return one line of the table."""
    pairs = [ours / theirs for ours, theirs in zip(result.speeds["numpy"], result.speeds["torch"], strict=True)]
    memory = result.memory["numpy"] / result.memory["torch"]
    return (
        f"{name:<44}{result.speed('numpy'):>10,.0f}{result.speed('torch'):>10,.0f}{result.ratio:>7.2f}"
        f"  {min(pairs):.2f}-{max(pairs):.2f}{memory:>8.2f}{result.others:>8.0%}  {result.quiet}/{result.setting.rounds}"
    )


def main():
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="layers,width,heads,ff,batch,seq, or the beginning of one in the table")
    parser.add_argument("--llama", action="store_true", help="RMSNorm, SwiGLU, RoPE, no biases")
    parser.add_argument("--combinations", action="store_true", help="other choices of one knob, and some of several")
    parser.add_argument("--long", action="store_true", help="long contexts")
    parser.add_argument("--shards", default="auto")
    parser.add_argument("--executor", default="auto", help="auto, serial, threads or processes")
    parser.add_argument("--seconds", type=positive(float), default=2.0, help="length of a window")
    parser.add_argument("--rounds", type=positive(int), default=5, help="windows of each side")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds to wait for a quiet machine, each round")
    given = parser.parse_args()
    sizes = sizes_of(parser, given.sizes, LONG if given.long else SIZES[1:2] if given.combinations else SIZES)
    kind = LLAMA if given.llama else GPT
    how = {"shards": given.shards if given.shards == "auto" else int(given.shards), "executor": given.executor}
    how |= {"seconds": given.seconds, "rounds": given.rounds, "patience": given.patience}
    columns = f"{'':<44}{'NumPy':>10}{'PyTorch':>10}{'ratio':>7}  {'by pair':<9}{'memory':>8}{'others':>8}  quiet"
    print(f"{columns}  tokens/s; memory: ratio of the peaks")
    for size in sizes:
        for change in COMBINATIONS if given.combinations else [{}]:
            result = contest(Setting(size, kind | change, **how))
            name = " ".join(map(str, change.values())) if given.combinations else ",".join(map(str, size))
            print(row(name, result), f" {result.about['numpy']}; {result.about['torch']}", flush=True)


if __name__ == "__main__":
    main()
