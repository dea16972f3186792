"""How time and memory of a training step grow with layers, width, context and batch, and how near the machine's peak it is.

    python -m tests.benchmarks.growth                          prints the tables
    python -m tests.benchmarks.growth --write docs/growth      also writes docs/growth.md and docs/growth.svg

One knob moves at a time, the others stay at 4 layers, width 128, 4 heads, feed-forward 512, batch 16, context 128; heads
and feed-forward width follow the width, and a long context gets fewer sequences. GFLOP are those that the step's products
need on paper (tlab_core/cost.py). The peak is what float32 products of 1024 x 1024 matrices reach on all cores at once,
measured before; the share is GFLOP / seconds / peak. PyTorch does the same step in turn (contest.py).
"""

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.benchmarks.contest import GPT, LLAMA, Result, Setting, contest, positive

BASE = (4, 128, 4, 512, 16, 128)
SERIES = {
    "layers": [(layers, 128, 4, 512, 16, 128) for layers in (1, 2, 4, 8, 12)],
    "width": [(4, width, max(2, width // 32), 4 * width, 16, 128) for width in (32, 64, 128, 256, 512)],
    "batch": [(4, 128, 4, 512, batch, 128) for batch in (2, 4, 8, 16, 32, 64)],
    "context": [(4, 128, 4, 512, max(2, 2048 // length), length) for length in (32, 64, 128, 256, 512, 1024, 2048)],
}
PLACE = {"layers": 0, "width": 1, "batch": 4, "context": 5}  # of the knob in a size
SIDE = 1024  # of the matrices that the peak is measured with
HEADER = ("", "tokens a step", "GFLOP", "ms", "PyTorch's ms", "share of peak", "PyTorch's", "MB", "PyTorch's MB")


def peak(seconds: float = 1.0) -> float:
    """Return the operations a second of float32 products on all cores at once, one thread each."""
    from tlab_core.parallel import cores, one_blas_thread

    def rate(seed: int) -> float:
        a, b = np.random.default_rng(seed).standard_normal((2, SIDE, SIDE), np.float32)
        out, times = np.empty_like(a), []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            np.matmul(a, b, out=out)
            times.append(time.perf_counter() - began)
        return 2 * SIDE**3 / statistics.median(times)

    with one_blas_thread(), ThreadPoolExecutor(cores()) as pool:
        return sum(pool.map(rate, range(cores())))


def cells(knob: str, result: Result, top: float) -> list[str]:
    """Return one line of a table, as text."""
    from tlab_core.cost import step_flops

    size = result.setting.size
    tokens, flops = size[4] * size[5], step_flops(result.setting.architecture(), size[4], size[5])
    seconds = {name: tokens / result.speed(name) for name in ("numpy", "torch")}
    return [
        f"{size[PLACE[knob]]}",
        f"{tokens:,}",
        f"{flops / 1e9:.2f}",
        *(f"{1e3 * spent:.1f}" for spent in seconds.values()),
        *(f"{flops / spent / top:.0%}" for spent in seconds.values()),
        *(f"{result.memory[name]:.0f}" for name in seconds),
    ]


def table(lines: list[list[str]]) -> str:
    """Return lines of cells as a Markdown table."""
    rows = [HEADER, ["---:"] * len(HEADER), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def picture(results: dict[str, list[tuple[Result, float]]], path: Path) -> None:
    """Draw step time against each knob, on logarithmic axes, and the time that its products would need at the peak."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(results), 3.8), layout="constrained")
    for axes, (knob, series) in zip(figure.subplots(1, len(results), squeeze=False)[0], results.items(), strict=True):
        x = [result.setting.size[PLACE[knob]] for result, _ in series]
        tokens = [result.setting.size[4] * result.setting.size[5] for result, _ in series]
        for name, label, look in (("numpy", "this lab", "o-"), ("torch", "PyTorch, eager", "s--")):
            milliseconds = [1e3 * n / result.speed(name) for n, (result, _) in zip(tokens, series, strict=True)]
            axes.loglog(x, milliseconds, look, label=label)
        axes.loglog(x, [1e3 * at_peak for _, at_peak in series], ":", color="grey", label="its products at the peak")
        axes.set_xticks(x, map(str, x))
        axes.minorticks_off()
        axes.set_xlabel(knob)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("milliseconds a step")
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main():
    """Measure, print, and write if asked to."""
    from tlab_core.cost import step_flops
    from tlab_core.parallel import blas_kernels, cores

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="*", help=f"which knobs to move: {', '.join(SERIES)} (all of them unless named)")
    parser.add_argument("--llama", action="store_true", help="RMSNorm, SwiGLU, RoPE instead of LayerNorm, GELU, learned")
    parser.add_argument("--seconds", type=positive(float), default=1.0, help="length of a window")
    parser.add_argument("--rounds", type=positive(int), default=3, help="windows of each side")
    parser.add_argument("--write", type=Path, help="path of the files to write, without their endings")
    given = parser.parse_args()
    if unknown := set(given.series) - set(SERIES):
        parser.error(f"unknown series {', '.join(unknown)}: choose from {', '.join(SERIES)}")
    kind, how = LLAMA if given.llama else GPT, {"seconds": given.seconds, "rounds": given.rounds}
    top, text, results = peak(), [], {}
    about = f"{', '.join(blas_kernels())}; {cores()} cores, together {top / 1e9:.0f} GFLOP/s in float32 products"
    print(about)
    for knob in given.series or SERIES:
        series, lines = [], []
        for size in SERIES[knob]:
            result = contest(Setting(size, kind, **how))
            series.append((result, step_flops(result.setting.architecture(), size[4], size[5]) / top))
            lines.append(cells(knob, result, top))
            print(knob, *lines[-1], sep="  ", flush=True)
        results[knob] = series
        text.append(f"## {knob.capitalize()}\n\n{table(lines)}\n")
    if given.write:
        given.write.parent.mkdir(parents=True, exist_ok=True)
        given.write.with_suffix(".md").write_text(
            "\n".join([f"# How time and memory grow\n\n{about}\n", *text]), encoding="utf-8")
        picture(results, given.write.with_suffix(".svg"))


if __name__ == "__main__":
    main()
