"""How fast text is written beside PyTorch: both in turn, one token at a time with a key/value cache, batch 1, greedily.

    python -m tests.benchmarks.generation                    all sizes of the table
    python -m tests.benchmarks.generation 4,128,4,512,128    one size: layers, width, heads, ff, window
    python -m tests.benchmarks.generation --llama 4,128      RMSNorm, SwiGLU, RoPE instead of LayerNorm, GELU, learned

A text begins with one token and fills the window. Each side runs in a process of its own and writes texts in windows of a
second, A B A B ..., so that both see the same machine; a figure is the median of the windows' medians. PyTorch runs eagerly
in inference mode, with keys and values in arrays that are there from the start and SDPA, once on one thread and once on all
cores: its better median counts. A ratio means little without the kernel behind NumPy's products, so that is printed. It
means nothing on a busy machine.
"""

import argparse
import multiprocessing
import statistics
import time

import numpy as np

from tests.benchmarks.contest import GPT, LLAMA, Setting, positive, sizes_of

SIZES = [(2, 64, 4, 256, 128), (4, 128, 4, 512, 128), (6, 256, 8, 1024, 128)]


def architecture(size, llama):
    """Return the transformer that both sides build."""
    return Setting((*size[:4], 1, size[4]), LLAMA if llama else GPT).architecture()


def numpy_side(size, llama, threads):
    """Return a function that writes one text with the lab's model, and what to print about it."""
    from tlab_core.parallel import blas_kernels
    from tlab_core.transformer import Transformer

    model = Transformer(architecture(size, llama))
    about = f"NumPy {np.__version__}, {', '.join(blas_kernels())}"
    return lambda: model.generate([1], size[-1], temperature=0), about


def torch_side(size, llama, threads):
    """Return a function that writes one text with the same model in eager PyTorch, and what to print about it."""
    import torch

    from tests.benchmarks.torch_model import Model

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    model = Model(architecture(size, llama)).eval()
    return lambda: model.generate(torch.tensor([[1]]), size[-1]), f"PyTorch {torch.__version__}"


def side(pipe, make, size, llama, threads, seconds):
    """Write texts for `seconds` each time the pipe says so, and answer with the median tokens/s."""
    write, about = make(size, llama, threads)
    write()
    pipe.send(about)
    while pipe.recv():
        write()  # wakes caches and threads up again
        times, until = [], time.perf_counter() + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            write()
            times.append(time.perf_counter() - began)
        pipe.send((size[-1] - 1) / statistics.median(times))


def compare(size, llama, seconds, rounds):
    """Print one line of the table."""
    from tlab_core.parallel import cores

    spawn = multiprocessing.get_context("spawn")
    sides = {"numpy": (numpy_side, 1), "torch, 1": (torch_side, 1), f"torch, {cores()}": (torch_side, cores())}
    pipes, processes, about, speeds = {}, {}, {}, {name: [] for name in sides}
    for name, (make, threads) in sides.items():
        pipes[name], theirs = spawn.Pipe()
        processes[name] = spawn.Process(target=side, args=(theirs, make, size, llama, threads, seconds))
        processes[name].start()
        theirs.close()  # a side that dies ends the wait below by EOFError
        about[name] = pipes[name].recv()
    for _ in range(rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            speeds[name].append(pipe.recv())
    for name, pipe in pipes.items():
        pipe.send(False)
        processes[name].join()
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    ours = medians.pop("numpy")
    best = max(medians, key=medians.get)
    pairs = [mine / theirs for mine, theirs in zip(speeds["numpy"], speeds[best], strict=True)]
    print(
        f"{','.join(map(str, size)):<20}{ours:>8,.0f}{medians[best]:>9,.0f}{ours / medians[best]:>7.2f}"
        f"  {min(pairs):.2f}-{max(pairs):.2f}  {about['numpy']}; {about[best]}, threads: {best[7:]}",
        flush=True,
    )


def main():
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="layers,width,heads,ff,window, or the beginning of one in the table")
    parser.add_argument("--llama", action="store_true", help="RMSNorm, SwiGLU, RoPE, no biases")
    parser.add_argument("--seconds", type=positive(float), default=1.0, help="length of a window")
    parser.add_argument("--rounds", type=positive(int), default=5, help="windows of each side")
    given = parser.parse_args()
    sizes = sizes_of(parser, given.sizes, SIZES)
    print(f"{'size':<20}{'NumPy':>8}{'PyTorch':>9}{'ratio':>7}  {'by pair':<9}  tokens/s")
    for size in sizes:
        compare(size, given.llama, given.seconds, given.rounds)


if __name__ == "__main__":
    main()
