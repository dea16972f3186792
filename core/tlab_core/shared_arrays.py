"""Named arrays in memory that several processes see, and that has no name which anybody could forget to remove.

On Linux the memory is a `memfd`, elsewhere on POSIX a temporary file that is unlinked before it is used; a child gets its
file descriptor by `subprocess.Popen(pass_fds=...)`. On Windows it is a named mapping of the paging file, which vanishes
with the last process that holds it. In every case the memory lives until the last array on it is gone. (The standard
library's `shared_memory` leaves a file behind when its owner is killed.)
"""

import math
import mmap
import os
import secrets
import sys
import tempfile

import numpy as np

if os.name == "posix":
    import fcntl

ALIGNMENT = 4096  # each array begins on a page of its own, so that two processes don't write into one cache line

Layout = dict[str, tuple[tuple[int, ...], str]]  # shape and dtype by name; JSON turns the tuples into lists


class SharedArrays:
    """Arrays by name, zero at first. `handle` lets another process open the same ones by `SharedArrays(layout, handle)`.

    >>> ours = SharedArrays({"a": ((2, 3), "float32"), "b": ((4,), "int64")})
    >>> theirs = SharedArrays(ours.layout, ours.handle)
    >>> theirs["b"][:] = 7
    >>> ours["b"].tolist(), ours["a"].shape
    ([7, 7, 7, 7], (2, 3))
    >>> ours.close_handle()
    """

    def __init__(self, layout: Layout, handle: int | str | None = None):
        self.layout = layout
        sizes = {name: math.prod(shape) * np.dtype(dtype).itemsize for name, (shape, dtype) in layout.items()}
        padded = [-(-size // ALIGNMENT) * ALIGNMENT for size in sizes.values()]
        total = max(ALIGNMENT, sum(padded))
        self.handle = new_handle(total) if handle is None else handle
        memory = opened(self.handle, total)
        self._arrays, start = {}, 0
        for (name, (shape, dtype)), length in zip(layout.items(), padded, strict=True):
            count = math.prod(shape)
            self._arrays[name] = np.frombuffer(memory, dtype, count, start).reshape(shape)
            start += length

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def close_handle(self) -> None:
        """Give back the file descriptor, once everyone has opened the memory; the arrays stay."""
        if isinstance(self.handle, int):
            os.close(self.handle)
        self.handle = None


def new_handle(size: int) -> int | str:
    """Return a file descriptor of `size` zeros (POSIX) or a name that nobody else uses (Windows)."""
    if sys.platform == "win32":
        return f"tlab-{os.getpid()}-{secrets.token_hex(8)}"
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tlab")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    if descriptor <= 2:  # where this process has lost a standard stream: a child's own would take the place
        low, descriptor = descriptor, fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(low)
    os.ftruncate(descriptor, size)
    return descriptor


def opened(handle: int | str, size: int) -> mmap.mmap:
    """Return the memory behind a handle."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size, tagname=handle)
    return mmap.mmap(handle, size)
