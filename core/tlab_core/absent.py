"""Components that a run was made with and that are not here: their names, what is known of them, and how to get them."""

import re
from collections.abc import Mapping
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
    the norm 'MyNorm' (norm_type) is not here. It came from the module my_lab.norms of the package my-lab 1.0. Install it \
with `python -m pip install my-lab`, and start again.
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
        shown = str(self) if len(self) <= LONGEST else str(self)[:LONGEST] + "…"
        knob = f" ({self.knob})" if self.knob else ""
        return f"the {self.kind} {shown!r}{knob} is not here. {self.origin} {self.remedy}"

    @property
    def origin(self) -> str:
        """Say where it was defined when the run was made."""
        if self.module == "__main__":
            return "It was defined in a notebook or a script."
        if self.package:
            return f"It came from the module {self.module} of the package {self.package} {self.version}".rstrip() + "."
        return f"It came from the module {self.module}." if self.module else "Where it came from was not written down."

    @property
    def remedy(self) -> str:
        """Say how to get it."""
        if self.module == "__main__":
            return ("Run what defines it first, in the same program; or put that into a module, and give tlab the option "
                    "--import MODULE.")
        if self.package and _is_installed(self.package):
            return (f"{self.package} is installed here and does not bring it: install the version that does, and see "
                    "whether it could be imported.")
        if self.package:
            return f"Install it with `python -m pip install {self.package}`, and start again."
        if self.module:
            return f"Import it first: `import {self.module}`, or give tlab, where its file is, --import {self.module}."
        return "Define it, or import the module that does, first."


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
