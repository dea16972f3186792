"""How fast a training step is beside PyTorch's: both in turn, on the same sizes, with all cores.

    python -m tests.benchmarks.training                       all sizes of the table
    python -m tests.benchmarks.training 4,128,4,512,16,128    one size: layers, width, heads, ff, batch, seq
    python -m tests.benchmarks.training --llama 4,128         RMSNorm, SwiGLU, RoPE instead of LayerNorm, GELU, learned

Each side runs in a process of its own and trains in windows of a few seconds, A B A B ..., so that both see the same
machine; the ratio is that of the windows' medians. PyTorch runs eagerly with SDPA, fused AdamW and gradient clipping, on
as many threads as there are cores. A ratio means little without the kernel behind NumPy's products, so that is printed.
It means nothing on a busy machine: PyTorch's threads wait for each other and suffer more. Only rounds that other programs
left alone are counted, if there were any (Linux); the last columns say how many, and the share that others had.
"""

import argparse
import itertools
import math
import multiprocessing
import os
import resource
import statistics
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

SIZES = [(2, 64, 4, 256, 16, 64), (4, 128, 4, 512, 16, 128), (6, 256, 8, 1024, 16, 128), (12, 512, 8, 2048, 8, 128)]
VOCABULARY = 65
QUIET = 0.1  # a window counts as undisturbed when other programs took at most this share of the processor


def numpy_side(size, llama, shards, executor):
    """Return a function that makes one step of the lab's trainer, and what to print about it."""
    from tlab_core.config import Architecture, Training
    from tlab_core.parallel import blas_kernels
    from tlab_core.trainer import Trainer
    from tlab_core.transformer import Transformer

    layers, width, heads, ff, batch, seq = size
    kind = ("RMSNorm", "SwiGLU", "RoPE") if llama else ("LayerNorm", "GELU", "Learned")
    architecture = Architecture(
        **dict(zip(("norm_type", "activation_type", "pos_encoding_type"), kind, strict=True)),
        **{"vocab_size": VOCABULARY, "hidden_dim": width, "num_layers": layers, "num_heads": heads, "ff_dim": ff},
        max_seq_len=seq,
        use_bias=not llama,
    )
    never = 10_000_000
    training = Training(
        batch_size=batch,
        seq_len=seq,
        shards=shards,
        statistics_every=never,
        eval_every=never,
        learning_rate=3e-4,
        executor=executor,
    )
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, 200_000)
    trainer = Trainer(Transformer(architecture), tokens, training)
    trainer.measure()
    trainer.step = 100  # past the first steps, which are looked into whatever the cadence
    run = trainer.run(steps=never)
    about = f"NumPy {np.__version__}, {', '.join(blas_kernels())}, {trainer.shards} shards, {trainer.executor}"
    return lambda: next(run).loss, about


def torch_side(size, llama, shards, executor):
    """Return a function that makes one step of the same model in eager PyTorch, and what to print about it."""
    import torch

    from tests.benchmarks.torch_model import Model
    from tlab_core.parallel import cores

    *_, batch, seq = size
    torch.manual_seed(0)
    torch.set_num_threads(cores())
    model = Model(VOCABULARY, size, llama)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.99), weight_decay=0.1, fused=True)
    text = torch.from_numpy(np.random.default_rng(0).integers(0, VOCABULARY, 200_000))

    def step():
        starts = torch.randint(len(text) - seq, (batch, 1))
        places = starts + torch.arange(seq)
        loss = model(text[places], text[places + 1])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step, f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"


def busy_seconds():
    """Return the processor time that the whole machine has used since it started; NaN where there is no /proc."""
    try:
        user, nice, system, _, _, interrupts, soft, stolen = Path("/proc/stat").read_text().split()[1:9]
    except FileNotFoundError:
        return math.nan
    return sum(map(int, (user, nice, system, interrupts, soft, stolen))) / os.sysconf("SC_CLK_TCK")


def children():
    """Yield the folder in /proc of every process that this one started and that is still there."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                yield stat.parent


def own_seconds():
    """Return the processor time that this process and its workers have used."""
    ticks = 0
    for child in children():
        ticks += sum(map(int, (child / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def peak_memory():
    """Return the peak memory of this process and its workers in MB; what they share is counted once."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for child in children():
        lines = (line.split() for line in (child / "status").read_text().splitlines())
        sizes = {words[0]: int(words[1]) for words in lines if words[0] in ("VmHWM:", "RssShmem:")}
        kilobytes += sizes["VmHWM:"] - sizes.get("RssShmem:", 0)
    return kilobytes / 1024


def wait_for_quiet(patience):
    """Wait until the machine has been idle for a second, but no longer than `patience` seconds."""
    until = time.perf_counter() + patience
    while time.perf_counter() < until:
        before = busy_seconds()
        time.sleep(1)
        if not (busy_seconds() - before) / os.cpu_count() > QUIET:
            return


def side(pipe, make, size, llama, shards, executor, seconds):
    """Train for `seconds` each time the pipe says so, and answer with tokens/s and the share that others had."""
    step, about = make(size, llama, shards, executor)
    for _ in range(3):
        step()
    pipe.send(about)
    while pipe.recv():
        step()  # wakes caches and threads up again
        others = busy_seconds() - own_seconds()
        times, began_all = [], time.perf_counter()
        until = began_all + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        others = busy_seconds() - own_seconds() - others
        share = others / (time.perf_counter() - began_all) / os.cpu_count()
        pipe.send((size[4] * size[5] / statistics.median(times), share))
    pipe.send(peak_memory())


def compare(size, llama, shards, executor, seconds, rounds, patience):
    """Print one line of the table."""
    spawn = multiprocessing.get_context("spawn")
    pipes, processes, about, windows, memory = {}, {}, {}, {"numpy": [], "torch": []}, {}
    for name, make in (("numpy", numpy_side), ("torch", torch_side)):
        pipes[name], theirs = spawn.Pipe()
        processes[name] = spawn.Process(target=side, args=(theirs, make, size, llama, shards, executor, seconds))
        processes[name].start()
        about[name] = pipes[name].recv()
    for _ in range(rounds):
        wait_for_quiet(patience)
        for name, pipe in pipes.items():
            pipe.send(True)
            windows[name].append(pipe.recv())
    for name, pipe in pipes.items():
        pipe.send(False)
        memory[name] = pipe.recv()
        processes[name].join()
    quiet = [all(side[i][1] <= QUIET for side in windows.values()) for i in range(rounds)]
    if any(quiet):
        windows = {name: list(itertools.compress(pairs, quiet)) for name, pairs in windows.items()}
    speeds = {name: [speed for speed, _ in pairs] for name, pairs in windows.items()}
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    pairs = [ours / theirs for ours, theirs in zip(speeds["numpy"], speeds["torch"], strict=True)]
    others = max(share for pairs in windows.values() for _, share in pairs)
    print(
        f"{','.join(map(str, size)):<22}{medians['numpy']:>10,.0f}{medians['torch']:>10,.0f}"
        f"{medians['numpy'] / medians['torch']:>7.2f}  {min(pairs):.2f}-{max(pairs):.2f}"
        f"{memory['numpy'] / memory['torch']:>8.2f}{others:>8.0%}  {sum(quiet)}/{rounds}"
        f"  {about['numpy']}; {about['torch']}",
        flush=True,
    )


def main():
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help="layers,width,heads,ff,batch,seq, or the beginning of one in the table")
    parser.add_argument("--llama", action="store_true", help="RMSNorm, SwiGLU, RoPE, no biases")
    parser.add_argument("--shards", default="auto")
    parser.add_argument("--executor", default="auto", help="auto, serial, threads or processes")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a window")
    parser.add_argument("--rounds", type=int, default=5, help="windows of each side")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds to wait for a quiet machine, each round")
    given = parser.parse_args()
    shards = given.shards if given.shards == "auto" else int(given.shards)
    sizes = SIZES
    if given.sizes:
        listed = [tuple(map(int, text.split(","))) for text in given.sizes]
        sizes = [next((size for size in SIZES if size[: len(few)] == few), few) for few in listed]
    columns = f"{'size':<22}{'NumPy':>10}{'PyTorch':>10}{'ratio':>7}  {'by pair':<9}{'memory':>8}{'others':>8}  quiet"
    print(f"{columns}  tokens/s; memory: ratio of the peaks")
    for size in sizes:
        compare(size, given.llama, shards, given.executor, given.seconds, given.rounds, given.patience)


if __name__ == "__main__":
    main()
