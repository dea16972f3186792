"""A training step beside PyTorch's: both sides in turn, in processes of their own, on all cores.

Each side trains in windows of a few seconds, A B A B ..., so that both see the same machine; the ratio is that of the
windows' medians. PyTorch runs eagerly with SDPA, fused AdamW and gradient clipping, on as many threads as there are cores.
It means nothing on a busy machine: PyTorch's threads wait for each other and suffer more. Only rounds that other programs
left alone are counted, if there were any (Linux).
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# layers, width, heads, feed-forward width, batch, context
SIZES = [(2, 64, 4, 256, 16, 64), (4, 128, 4, 512, 16, 128), (6, 256, 8, 1024, 16, 128), (12, 512, 8, 2048, 8, 128)]
VOCABULARY = 65
GPT = {"norm_type": "LayerNorm", "activation_type": "GELU", "pos_encoding_type": "Learned", "use_bias": True}
LLAMA = {"norm_type": "RMSNorm", "activation_type": "SwiGLU", "pos_encoding_type": "RoPE", "use_bias": False}
QUIET = 0.1  # a window counts as undisturbed when other programs took at most this share of the processor
NEVER = 10_000_000
HIRING = 10.0  # seconds at most that "auto" gets to settle


def positive(kind):
    """Return what argparse reads a number above zero with."""

    def read(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not allowed: it must be above 0")
        return value

    read.__name__ = kind.__name__
    return read


def sizes_of(parser, texts, table):
    """Return the sizes that a command line names, each in full or by its beginning in the table; none: the whole table."""
    found = []
    for text in texts:
        try:
            few = tuple(map(int, text.split(",")))
        except ValueError:
            parser.error(f"size {text!r} is not allowed: it must be whole numbers with commas between them")
        size = next((size for size in table if size[: len(few)] == few), few)
        if len(size) != len(table[0]) or min(size) < 1 or size[1] % size[2] or size[1] // size[2] % 2:
            parser.error(
                f"size {text!r} is not allowed: it must be {len(table[0])} numbers, such as "
                f"{','.join(map(str, table[0]))}, in which the heads divide the width into even parts"
            )
        found.append(size)
    return found or table


@dataclass(frozen=True)
class Setting:
    """What is compared, and how the lab's side is to do it."""

    size: tuple[int, ...]
    knobs: dict
    executor: str = "auto"
    shards: int | str = "auto"
    seconds: float = 2.0  # length of a window
    rounds: int = 5
    patience: float = 0.0  # seconds to wait for a quiet machine before each round

    def architecture(self):
        """Return the transformer that both sides build."""
        from tlab_core.config import Architecture

        layers, width, heads, ff, _, seq = self.size
        shape = {"vocab_size": VOCABULARY, "hidden_dim": width, "num_layers": layers, "num_heads": heads, "ff_dim": ff}
        return Architecture(**shape | {"max_seq_len": seq} | self.knobs)


@dataclass(frozen=True)
class Result:
    """What came out: tokens/s and peak memory in MB by side, and how undisturbed the windows were."""

    setting: Setting
    speeds: dict[str, list[float]]
    memory: dict[str, float]
    about: dict[str, str]
    others: float
    quiet: int

    def speed(self, name: str = "numpy") -> float:
        """Return a side's median tokens/s."""
        return statistics.median(self.speeds[name])

    @property
    def ratio(self) -> float:
        """Return how many times as fast as PyTorch the lab is."""
        return self.speed() / self.speed("torch")


def numpy_side(setting: Setting):
    """Return a function that makes one step of the lab's trainer, and what to print about it."""
    from tlab_core.config import Training
    from tlab_core.parallel import blas_kernels
    from tlab_core.trainer import Trainer
    from tlab_core.transformer import Transformer

    *_, batch, seq = setting.size
    training = Training(
        batch_size=batch,
        seq_len=seq,
        shards=setting.shards,
        statistics_every=NEVER,
        eval_every=NEVER,
        learning_rate=3e-4,
        executor=setting.executor,
    )
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, 200_000)
    trainer = Trainer(Transformer(setting.architecture()), tokens, training)
    trainer.measure()
    trainer.step = 100  # past the first steps, which are looked into whatever the cadence
    run = trainer.run(steps=NEVER)
    until = time.perf_counter() + HIRING
    while setting.executor == "auto" and trainer.executor == "threads" and time.perf_counter() < until:
        next(run)  # processes take over from threads after a second
    about = f"NumPy {np.__version__}, {', '.join(blas_kernels())}, {trainer.shards} shards, {trainer.executor}"
    return lambda: next(run).loss, about


def torch_side(setting: Setting):
    """Return a function that makes one step of the same model in eager PyTorch, and what to print about it."""
    import torch

    from tests.benchmarks.torch_model import Model
    from tlab_core.parallel import cores

    *_, batch, seq = setting.size
    torch.manual_seed(0)
    torch.set_num_threads(cores())
    model = Model(setting.architecture())
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


def side(pipe, make, setting):
    """Train for a window each time the pipe says so, and answer with tokens/s and the share that others had."""
    step, about = make(setting)
    for _ in range(3):
        step()
    pipe.send(about)
    while pipe.recv():
        step()  # wakes caches and threads up again
        others = busy_seconds() - own_seconds()
        times, began_all = [], time.perf_counter()
        until = began_all + setting.seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        others = busy_seconds() - own_seconds() - others
        share = others / (time.perf_counter() - began_all) / os.cpu_count()
        pipe.send((setting.size[4] * setting.size[5] / statistics.median(times), share))
    pipe.send(peak_memory())


def contest(setting: Setting) -> Result:
    """Run both sides in turn and return what came out; SystemExit when one of them ends early."""
    processes = []
    try:
        return _contest(setting, processes)
    except EOFError:
        raise SystemExit("a side ended early; what it said is above") from None
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _contest(setting: Setting, processes: list) -> Result:
    spawn = multiprocessing.get_context("spawn")
    sides = {"numpy": numpy_side, "torch": torch_side}
    pipes, about, windows, memory = {}, {}, {name: [] for name in sides}, {}
    for name, make in sides.items():
        pipes[name], theirs = spawn.Pipe()
        processes.append(spawn.Process(target=side, args=(theirs, make, setting)))
        processes[-1].start()
        theirs.close()  # a side that dies ends the wait below by EOFError
        about[name] = pipes[name].recv()
    for _ in range(setting.rounds):
        wait_for_quiet(setting.patience)
        for name, pipe in pipes.items():
            pipe.send(True)
            windows[name].append(pipe.recv())
    for name, pipe in pipes.items():
        pipe.send(False)
        memory[name] = pipe.recv()
    quiet = [all(side[i][1] <= QUIET for side in windows.values()) for i in range(setting.rounds)]
    if any(quiet):
        windows = {name: list(itertools.compress(pairs, quiet)) for name, pairs in windows.items()}
    speeds = {name: [speed for speed, _ in pairs] for name, pairs in windows.items()}
    others = max(share for pairs in windows.values() for _, share in pairs)
    return Result(setting, speeds, memory, about, others, sum(quiet))
