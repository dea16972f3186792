"""Components that other packages bring: each names modules to import by entry points of the group `tlab.extensions`.

In the package's pyproject.toml:

    [project.entry-points."tlab.extensions"]
    norms = "my_lab.norms"
    views = "my_lab.views"

They are imported once, when something is looked for that the lab itself doesn't have, or when all there is is asked for. A
worker process so imports no more than the modules of the components that it needs. An entry whose name begins with `views`
is imported only where the dashboard is: a module of plots would load all of it into a command that only trains.

A module that is in no package is named by the environment: TLAB_IMPORT=my_norms,my_views (`tlab --import` sets it).
"""

import os
import sys
import threading
import warnings
from functools import cache
from importlib import metadata
from typing import Any, NamedTuple

from tlab_core.registry import Registry, home

GROUP = "tlab.extensions"
VARIABLE = "TLAB_IMPORT"
SCREEN, VIEWS = "tlab_dash", "views"
LAB = ("tlab_core", SCREEN)
LONGEST = 300  # characters of a stranger's error that a warning repeats


class ExtensionWarning(UserWarning):
    """An extension that could not be imported; the lab goes on without it."""


class Failure(NamedTuple):
    """An extension that could not be imported: its package, its entry, the module it names, and why not."""

    package: str
    entry: str
    module: str
    error: str

    @property
    def message(self) -> str:
        """Say what failed and what to do."""
        if not self.package:
            return (f"the module {self.module}, which ${VARIABLE} names, could not be imported, and the lab goes on "
                    f"without it: {self.error}")
        return (f"the extension {self.entry!r} of the package {self.package} could not be imported, and the lab goes on "
                f"without it: {self.error}. Mend or update {self.package}, or uninstall it; `python -c \"import "
                f'{self.module}"` shows where it breaks.')


class _Loading:
    """Which extensions wait to be imported (None: nobody has looked yet), and which could not be."""

    def __init__(self):
        self.lock = threading.RLock()
        self.waiting: list[metadata.EntryPoint] | None = None
        self.busy = False
        self.failures: list[Failure] = []


_loading = _Loading()


def load() -> None:
    """Import every extension there is, once; warn of each that can't be imported, and of nothing else."""
    waiting, screen = _loading.waiting, SCREEN in sys.modules
    if waiting is not None and not (waiting and screen):
        return
    with _loading.lock:  # another thread that asks meanwhile waits; an extension that asks gets what there is so far
        if _loading.busy:
            return
        _loading.busy, failed = True, []
        try:
            found = [*metadata.entry_points(group=GROUP), *_named()] if _loading.waiting is None else _loading.waiting
            now = [entry for entry in found if screen or not entry.name.startswith(VIEWS)]
            failed = [failure for entry in now if (failure := _imported(entry)) is not None]
            _loading.failures += failed
            _loading.waiting = [entry for entry in found if entry not in now]
        finally:
            _loading.busy = False
    for failure in failed:
        warnings.warn(failure.message, ExtensionWarning, stacklevel=2)


def failures() -> list[Failure]:
    """Return the extensions that could not be imported; empty before any was asked for."""
    return list(_loading.failures)


def _named() -> list[metadata.EntryPoint]:
    """Return an entry for each module that the environment names."""
    modules = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
    return [metadata.EntryPoint(name, name, GROUP) for name in modules if name]


def _imported(entry: metadata.EntryPoint) -> Failure | None:
    """Import one extension, or say why not; of one that breaks half-way nothing stays registered.

    A sound module that it imported stays: Python would not run it again for the extension that it is.
    """
    before = {registry: registry.so_far() for registry in list(Registry.every)}
    try:
        entry.load()
    except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
        for registry, components in before.items():
            registry.restore({name: one for name, one in registry.so_far().items() if _is_whole(one, entry)} | components)
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else ""
        said = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]
        return Failure(package, entry.name, entry.module, said.rstrip(". "))
    return None


def _is_whole(component: Any, failed: metadata.EntryPoint) -> bool:
    """Return whether the module that defines a component is there; Python takes one away that breaks."""
    found = home(component)
    return found is not None and found[0] != failed.module and found[0] in sys.modules


# ---- where components come from


def origin(component: Any) -> dict[str, str] | None:
    """Return the module, package and version that a component comes from, as far as they are known.

    None for the lab's own, and for what doesn't say where it is defined.
    """
    found = home(component)
    if found is None or found[0].partition(".")[0] in LAB:
        return None
    package, version = package_of(found[0])
    return {"module": found[0], "package": package, "version": version}


@cache
def package_of(module: str) -> tuple[str, str]:
    """Return the name and version of the installed package that a module belongs to; empty where it belongs to none.

    One whose extension names it is meant, or else the one that brings its top-level name.
    """
    if not module or module == "__main__":
        return "", ""
    top = module.partition(".")[0]
    for entry in metadata.entry_points(group=GROUP):
        if entry.dist is not None and entry.module.partition(".")[0] == top:
            return entry.dist.name, entry.dist.version
    name = next(iter(metadata.packages_distributions().get(top, [])), "")
    return name, metadata.version(name) if name else ""
