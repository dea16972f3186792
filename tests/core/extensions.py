"""A package that is installed in a folder: modules, and the few lines of metadata by which Python knows it."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tlab_core.norms import Norm
from tlab_core.parameters import Parameter


class PeakNorm(Norm):
    """Written as a beginner writes one: y = w · x / mean(|x|)."""

    def parameters(self):
        return {self.weight: Parameter((self.dim,), constant=1.0)}

    def forward(self, x, work):
        size = np.abs(x).mean(axis=-1, keepdims=True) + 1e-5
        work.saved[self.name] = x / size, size, np.sign(x)
        return work.parameters[self.weight] * work.saved[self.name][0]

    def backward(self, dy, work):
        u, size, sign = work.saved[self.name]
        g = dy * work.parameters[self.weight]
        gradient = work.gradient(self.weight)
        gradient += (dy * u).sum(axis=0)
        return (g - sign * (g * u).mean(axis=-1, keepdims=True)) / size


# The same as the only module of a package.
NORM = f"""
import numpy as np
from tlab_core.norms import NORMS, Norm
from tlab_core.parameters import Parameter

@NORMS.register("Peak")
{inspect.getsource(PeakNorm).replace("PeakNorm", "Peak")}"""


def install(folder: Path, package: str = "peak-lab", **modules: str) -> Path:
    """Write a package whose entries, named like its modules, are extensions; return the folder for PYTHONPATH."""
    top = package.replace("-", "_")
    (folder / top).mkdir(parents=True)
    (folder / top / "__init__.py").write_text("")
    for name, source in modules.items():
        (folder / top / f"{name}.py").write_text(source)
    info = folder / f"{top}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    entries = "".join(f"{name} = {top}.{name}\n" for name in modules)
    (info / "entry_points.txt").write_text(f"[tlab.extensions]\n{entries}")
    (info / "RECORD").write_text(f"{top}/__init__.py,,\n")
    return folder


def run_python(folder: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess:
    """Run Python with the packages of `folder` installed."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=120, cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done
