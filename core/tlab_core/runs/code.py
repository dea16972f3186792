"""What a component of one's own does, as a short text that another code under the same name does not have."""

import hashlib
import inspect
import platform
from collections.abc import Iterator
from types import CodeType
from typing import Any

from tlab_core.extensions import LAB

PLAIN = bool | int | float | str | bytes | None
OF_PYTHON = {"__module__", "__qualname__", "__doc__", "__firstlineno__"}


def fingerprint(component: Any) -> str:
    """Return a fingerprint of a class's methods and plain attributes, its bases outside the lab's among them.

    Of compiled code, as a notebook may have kept no source: comments and lines don't count. What it calls elsewhere is not
    part of it. Python's version stands before it, as another one compiles to other code.
    """
    digest = hashlib.sha256()
    for part in _parts(component):
        digest.update(f"{part}\n".encode())
    return f"{_python()}:{digest.hexdigest()[:32]}"


def is_other(before: object, component: Any) -> bool:
    """Return whether a component's code is known to be another than the one that had the fingerprint `before`."""
    now = fingerprint(component)
    return isinstance(before, str) and before.partition(":")[0] == _python() and before != now


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _parts(component: Any) -> Iterator[str]:
    if not inspect.isclass(component):
        yield from _code(getattr(component, "__code__", None))
        return
    for kind in component.__mro__:
        if kind is object or kind.__module__.partition(".")[0] in LAB:
            continue
        for name, value in sorted(vars(kind).items()):
            function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            if isinstance(value, PLAIN | tuple) and name not in OF_PYTHON:
                yield f"{name} = {value!r}"
            elif code := getattr(function, "__code__", None):
                yield f"{name} ({type(value).__name__})"
                yield from _code(code, getattr(function, "__doc__", None))


def _code(code: CodeType | None, doc: str | None = None) -> Iterator[str]:
    if code is None:
        return
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        elif isinstance(constant, frozenset):  # in another order each time
            yield repr(sorted(map(repr, constant)))
        elif constant is None or constant != doc:
            yield repr(constant)
