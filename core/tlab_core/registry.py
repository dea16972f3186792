"""Which norms, activations, encodings, corpora ... exist: each file registers its own, everyone else asks here.

Whoever asks for a name that is not among them yet, or for all of them, has the extensions of installed packages imported
first (extensions.py).
"""

import difflib
import inspect
import re
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from tlab_core.absent import Absent
from tlab_core.expected import Expected

LONGEST = 60  # characters of a name
NAME = re.compile(rf"[^\W_][\w .+-]{{0,{LONGEST - 1}}}(?<! )")


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the message lists what is allowed and the nearest name."""


class AbsentError(UnknownNameError):
    """A component that a run was made with and that is not here; the message says where it came from and how to get it."""


def nearest(name: object, options: Iterable[str]) -> str | None:
    """Return the option most like `name` (case ignored), or None when nothing is close.

    >>> nearest("rmsnrm", ["LayerNorm", "RMSNorm"])
    'RMSNorm'
    >>> nearest("nonsense", ["loss", "qk"])
    """
    by_folded = {option.casefold(): option for option in options}
    close = difflib.get_close_matches(str(name).casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def did_you_mean(name: object, options: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest option, or an empty string.

    >>> did_you_mean("num_layer", ["num_layers", "num_heads"])
    " Did you mean 'num_layers'?"
    """
    close = nearest(name, options)
    return f" Did you mean {close!r}?" if close else ""


class Registry:
    """The named components of one kind, in the order they were written down.

    >>> shapes = Registry("shape")
    >>> @shapes.register("Round")
    ... class Round: ...
    >>> shapes.names()
    ['Round']
    >>> shapes.get("round") is Round
    True
    >>> shapes.get("rund")
    Traceback (most recent call last):
    ...
    tlab_core.registry.UnknownNameError: unknown shape 'rund': allowed are 'Round'. Did you mean 'Round'?
    """

    every: "weakref.WeakSet[Registry]" = weakref.WeakSet()

    def __init__(self, kind: str, expected: Expected | None = None, traits: Mapping[str, Any] | None = None):
        """Begin an empty registry.

        expected  what a component must be; what is something else is refused when it is registered
        traits    attributes of a component that whoever draws or weighs a model asks for, with their usual values; a run
                  keeps them, so that it can be looked at where the component itself is not
        """
        self.kind, self.expected, self.traits = kind, expected, dict(traits or {})
        self._components: dict[str, Any] = {}
        self.every.add(self)

    def register(self, name: str) -> Callable:
        """Return a decorator that files a class or function under `name`.

        Where the same module defines it anew, as a notebook's cell does that is run again, it takes the former's place; in
        a notebook also under another name of the class.
        Raises ValueError for what can't be a name, and for a name that another component has; TypeError for what is no
        such component.
        """
        if inspect.isclass(name) or inspect.isroutine(name):
            raise ValueError(f"a {self.kind} is registered under a name: write .register({name.__name__!r})")
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise ValueError(f"{self.kind} {str(name)[:LONGEST]!r} is no name: it may have up to {LONGEST} letters, "
                             "digits, spaces and . _ + -, and begins with a letter or digit")

        def decorate(component):
            if self.expected is not None and (fault := self.expected.fault(component)):
                raise TypeError(f"{self.kind} {name!r}: {fault}")
            taken = self._spelled(name)
            if taken is not None:
                former = self._components[taken]
                if not _gives_way(former, component):
                    by = f" by {'.'.join(home(former))}" if home(former) else ""
                    raise ValueError(f"{self.kind} {name!r} is registered already{by}: take another name")
                # In one assignment, as another thread may be looking; the order stays.
                self._components = {
                    (name if key == taken else key): (component if key == taken else value)
                    for key, value in self._components.items()
                }
            else:
                self._components = {**self._components, name: component}
            return component

        return decorate

    def canonical(self, name: object) -> str:
        """Return the registered spelling of `name`: case is ignored and None stands for "None".

        The name of a component that a run was made with and that is not here stays as it is. Raises UnknownNameError when
        there is no such component.
        """
        found = self._spelled(name) or self._spelled_with_extensions(name)
        if found is not None:
            return found
        if isinstance(name, Absent):
            return name
        raise UnknownNameError(f"unknown {self.kind} {name!r}: {self.allowed(name)}")

    def allowed(self, name: object) -> str:
        """Return in words what is allowed in place of `name`, and the nearest."""
        listed = ", ".join(repr(option) for option in self._components)
        return f"allowed are {listed}.{did_you_mean(name, self._components)}"

    def get(self, name: object) -> Any:
        """Return the component registered as `name` (see `canonical`).

        Raises AbsentError for one that a run was made with and that is not here.
        """
        spelled = self.canonical(name)
        if isinstance(spelled, Absent):
            raise AbsentError(spelled.message)
        return self._components[spelled]

    def look(self, name: object) -> Any:
        """Return the component registered as `name`, to ask for its `traits` only.

        For one that is not here they are what its run says of it, or else the base's own.
        """
        spelled = self.canonical(name)
        if not isinstance(spelled, Absent):
            return self._components[spelled]
        return SimpleNamespace(**(self.traits | {trait: value for trait, value in spelled.traits.items()
                                                 if type(value) is type(self.traits.get(trait))}))

    def traits_of(self, name: object) -> dict[str, Any]:
        """Return the traits of the component registered as `name`, or of one that is not here."""
        component = self.look(name)
        return {trait: getattr(component, trait, usual) for trait, usual in self.traits.items()}

    def names(self) -> list[str]:
        """Return every registered name, those of installed packages among them."""
        import_extensions()
        return list(self._components)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over (name, component), those of installed packages among them."""
        import_extensions()
        return iter(self._components.items())

    def so_far(self) -> dict[str, Any]:
        """Return the components by name as they are at this moment, without a look for extensions: for import time."""
        return dict(self._components)

    def restore(self, components: dict[str, Any]) -> None:
        """Hold what `so_far` returned once."""
        self._components = dict(components)

    def name_of(self, component: Any) -> str | None:
        """Return the name that a component is registered under, None if it is not."""
        return next((name for name, known in self._components.items() if known is component), None)

    def __contains__(self, name: object) -> bool:
        return (self._spelled(name) or self._spelled_with_extensions(name)) is not None

    def _spelled(self, name: object) -> str | None:
        wanted = str(name).casefold()
        return next((registered for registered in self._components if registered.casefold() == wanted), None)

    def _spelled_with_extensions(self, name: object) -> str | None:
        import_extensions()
        return self._spelled(name)


def home(component: Any) -> tuple[str, str] | None:
    """Return the module and the qualified name that a component is defined under; None where it says neither.

    An object that is no class or function says it by an attribute `home`.
    """
    if inspect.isclass(component) or inspect.isroutine(component):
        return component.__module__, component.__qualname__
    return getattr(component, "home", None)


def _gives_way(former: Any, component: Any) -> bool:
    """Return whether a component that is defined now takes the place of one with its name."""
    before, now = home(former), home(component)
    if before is None or now is None:
        return False
    # What was typed in has no file, and whoever renames a class there can't take back the cell as it was.
    typed = before[0] == now[0] == "__main__" and not hasattr(sys.modules["__main__"], "__file__")
    return before == now or typed


def import_extensions() -> None:
    """Import the extensions of installed packages, unless that was done already."""
    from tlab_core.extensions import load  # which knows registries, so it can't be imported above

    load()
