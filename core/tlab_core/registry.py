"""Which norms, activations, encodings, corpora ... exist: each file registers its own, everyone else asks here."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class UnknownNameError(ValueError):
    """A name that nothing is registered under; the message lists what is allowed and the nearest name."""


def nearest(name: object, options: Iterable[str]) -> str | None:
    """Return the option most like `name` (case ignored), or None when nothing is close.

    >>> nearest("rmsnrm", ["LayerNorm", "RMSNorm"])
    'RMSNorm'
    """
    by_folded = {option.casefold(): option for option in options}
    close = difflib.get_close_matches(str(name).casefold(), by_folded, n=1, cutoff=0.5)
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

    def __init__(self, kind: str):
        self.kind = kind
        self._components: dict[str, Any] = {}

    def register(self, name: str) -> Callable:
        """Return a decorator that files a class or function under `name`."""

        def decorate(component):
            for taken in self._components:
                if taken.casefold() == name.casefold():
                    raise ValueError(f"{self.kind} {name!r} is registered already")
            self._components[name] = component
            return component

        return decorate

    def canonical(self, name: object) -> str:
        """Return the registered spelling of `name`: case is ignored and None stands for "None".

        Raises UnknownNameError when there is no such component.
        """
        wanted = str(name).casefold()
        for registered in self._components:
            if registered.casefold() == wanted:
                return registered
        allowed = ", ".join(repr(option) for option in self._components)
        hint = did_you_mean(name, self._components)
        raise UnknownNameError(f"unknown {self.kind} {name!r}: allowed are {allowed}.{hint}")

    def get(self, name: object) -> Any:
        """Return the component registered as `name` (see `canonical`)."""
        return self._components[self.canonical(name)]

    def names(self) -> list[str]:
        """Return every registered name."""
        return list(self._components)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over (name, component)."""
        return iter(self._components.items())

    def __contains__(self, name: object) -> bool:
        return str(name).casefold() in {registered.casefold() for registered in self._components}
