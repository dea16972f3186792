"""What a registry takes: classes derived from one, objects made of one, or functions; it says why another is refused."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol

PUBLIC = "tlab_core.extend"  # where one gets what components derive from


class Expected(Protocol):
    """What the components of a registry must be."""

    def fault(self, component: Any) -> str:
        """Return in a sentence or two what is wrong with a component and what to write, or nothing."""


class Derived:
    """A class that derives from `base` and writes the methods that the base only names."""

    def __init__(self, base: type, *written: str):
        self.base, self.written = base, written

    def fault(self, component: Any) -> str:
        base = self.base.__name__
        methods = f" and write {' and '.join(self.written)}" if self.written else ""
        if not inspect.isclass(component):
            return (f"{came(component)} came, and a class is expected. Derive one from {base} (`from {PUBLIC} import "
                    f"{base}`){methods}.")  # fmt: skip
        if not issubclass(component, self.base):
            return (f"the class {component.__name__} does not derive from {base}. Begin it with `class "
                    f"{component.__name__}({base}):` (`from {PUBLIC} import {base}`){methods}.")  # fmt: skip
        lacking = self.lacking(component)
        return f"the class {component.__name__} {lacking}" if lacking else ""

    def lacking(self, component: type) -> str:
        """Return which methods a class has left as the base names them, or nothing."""
        missing = [method for method in self.written
                   if inspect.getattr_static(component, method) is inspect.getattr_static(self.base, method)]  # fmt: skip
        one = "write one" if len(missing) == 1 else "write them"
        return f"has no {' and no '.join(missing)}: {one}, as {self.base.__name__} says." if missing else ""


class Made:
    """An object of a class; `how` says what to write to have one."""

    def __init__(self, kind: type, how: str):
        self.kind, self.how = kind, how

    def fault(self, component: Any) -> str:
        if isinstance(component, self.kind):
            return ""
        return f"{came(component)} came, and a {self.kind.__name__} is expected. {self.how}"


class Function:
    """A function that can be called with these arguments; `returns` says what must come of it."""

    def __init__(self, *arguments: str, returns: str):
        self.arguments, self.returns = arguments, returns

    def fault(self, component: Any) -> str:
        given = f"of ({', '.join(self.arguments)})" if self.arguments else "without arguments"
        wanted = f"a function {given} that returns {self.returns} is expected."
        if not callable(component):
            return f"{came(component)} came, and {wanted}"
        if not _can_be_called(component, len(self.arguments)):
            return f"{came(component)} with the arguments {inspect.signature(component)} came, and {wanted}"
        return ""


def came(thing: Any) -> str:
    """Return in words what came.

    >>> came(len), came(None), came(Derived), came(3)
    ('the function len', 'None', 'the class Derived', 'an object of int')
    """
    if thing is None:
        return "None"
    if inspect.isclass(thing):
        return f"the class {thing.__name__}"
    return f"the function {thing.__name__}" if inspect.isroutine(thing) else f"an object of {type(thing).__name__}"


def _can_be_called(function: Callable, arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # what is written in C may not say what it takes
        return True
    return True
