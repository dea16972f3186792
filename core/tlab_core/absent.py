"""Components that a run was made with and that are not here: their names, what is known of them, and how to get them."""

import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*")
LONGEST = 100  # characters of a name out of a file that a message repeats


class Absent(str):
    """The name of a component that is not registered here, as it stands in the settings of a run that was made with it.

    kind, knob               what it is, such as "norm", and the knob that names it
    module, package, version  where it was defined when the run was made; empty where that is not known
    traits                    what the run says of it, see `Registry.look`

    >>> name = Absent("MyNorm", kind="norm", knob="norm_type", module="my_lab.norms", package="my-lab", version="1.0")
    >>> print(name.message)
    the norm 'MyNorm' (norm_type) is not here. It came from the module my_lab.norms of the package my-lab 1.0. Install \
that package from where you had it, and start again.
    """

    kind: str
    knob: str
    module: str
    package: str
    version: str
    traits: Mapping[str, Any]

    def __new__(cls, name: str, kind: str = "component", knob: str = "", module: object = "", package: object = "",
                version: object = "", traits: Mapping[str, Any] | None = None):
        """Take a name and what a file says of it; what could not be the name of a module or package is left out."""
        self = super().__new__(cls, name)
        self.kind, self.knob, self.traits = kind, knob, dict(traits or {})
        self.module, self.package, self.version = (
            text if isinstance(text, str) and len(text) <= LONGEST and pattern.fullmatch(text) else ""
            for text, pattern in ((module, MODULE), (package, DISTRIBUTION), (version, VERSION))
        )
        return self

    @property
    def message(self) -> str:
        """Say that it is missing, where it came from, and how to get it."""
        return _message([self])

    @property
    def named(self) -> str:
        """Say what it is and what it is called."""
        shown = str(self) if len(self) <= LONGEST else str(self)[:LONGEST] + "…"
        return f"the {self.kind} {shown!r}" + (f" ({self.knob})" if self.knob else "")


def messages(absents: Iterable[Absent]) -> list[str]:
    """Say of each what its own message says, and once of all that came from one package or one module."""
    by_origin: dict[tuple[str, ...], list[Absent]] = {}
    for absent in absents:
        origin = (absent.package, absent.version) if absent.package else (absent.module,)
        by_origin.setdefault(origin, []).append(absent)
    return [_message(some) for some in by_origin.values()]


def in_a_row(said: Iterable[str]) -> str:
    """Return sentences one behind the other, to stand after a colon."""
    first, *rest = said
    return " ".join([first, *(one[:1].upper() + one[1:] for one in rest)])


def _message(absents: list[Absent]) -> str:
    """Say of some that came from one place that they are missing, where they came from, and how to get them."""
    *others, last = (absent.named for absent in absents)
    named = f"{', '.join(others)} and {last}" if others else last
    return f"{named} {'are' if others else 'is'} not here. {_origin(absents)} {_remedy(absents)}"


def _origin(absents: list[Absent]) -> str:
    """Say where they were defined when the run was made."""
    one, module, package = len(absents) == 1, absents[0].module, absents[0].package
    they = "It" if one else "They"
    if module == "__main__":
        return f"{they} {'was' if one else 'were'} defined in a notebook or a script."
    if package:
        of = f"the module {module} of " if one and module else ""
        return f"{they} came from {of}the package {package} {absents[0].version}".rstrip() + "."
    return f"{they} came from the module {module}." if module else f"Where {they.lower()} came from was not written down."


def _remedy(absents: list[Absent]) -> str:
    """Say how to get them. A package's name alone does not tell whose it is, so no command fetches one by its name."""
    it, module, package = "it" if len(absents) == 1 else "them", absents[0].module, absents[0].package
    if module == "__main__":
        return (f"Run what defines {it} first, in the same program; or put that into a module, and give tlab the option "
                "--import MODULE.")
    if package and _is_installed(package):
        return (f"{package} is installed here and does not bring {it}: install the version that does, and see whether it "
                "could be imported.")
    if package:
        return "Install that package from where you had it, and start again."
    if module:
        return f"Import it first: `import {module}`, or give tlab, where its file is, --import {module}."
    return f"Define {it}, or import the module that does, first."


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
