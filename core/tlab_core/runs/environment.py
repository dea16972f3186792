"""What the last bits of a run depend on besides its settings: versions, processor, the kernel of the matrix products."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from tlab_core.parallel import blas_kernels

WORDS = {
    "lab": "the lab",
    "python": "Python",
    "numpy": "NumPy",
    "blas": "the kernel of matrix products",
    "processor": "the processor's kind",
    "system": "the operating system",
    "corpus": "the text's SHA-256",
}


def environment() -> dict[str, Any]:
    """Return versions, machine and BLAS kernel as plain values."""
    try:
        lab = version("transformer-intuition-lab")
    except PackageNotFoundError:
        lab = "not installed"
    return {
        "lab": lab,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": ", ".join(blas_kernels()),
        "processor": platform.machine(),
        "system": platform.system(),
    }


def differences(before: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return in words what is not as it was, a sentence each.

    >>> differences({"numpy": "2.3.0", "python": "3.13.1"}, {"numpy": "2.4.0", "python": "3.13.1"})
    ['NumPy was 2.3.0 when the run was saved and is 2.4.0 here.']
    """
    return [f"{words} was {before.get(name)} when the run was saved and is {here.get(name)} here."
            for name, words in WORDS.items() if before.get(name) != here.get(name)]  # fmt: skip
