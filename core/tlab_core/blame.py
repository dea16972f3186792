"""Whose an error is: what a component of one's own raises in the middle of a model gets a note that says whose it is."""

import inspect
import os
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from types import CodeType
from typing import Any

from tlab_core.extensions import LAB, origin
from tlab_core.registry import Registry, UnknownNameError

CHECKED = ("norm", "residual layout", "activation", "position encoding")  # what check_gradients can try alone


class Blame(str):
    """A note on an error: which component of one's own raised it, and how."""


def blaming(method: Callable) -> Callable:
    """Let what a method raises carry a `Blame`, where it comes out of someone's own component.

    `method` belongs to an object with `own_kinds()`, which are suspected where no line of theirs raised it: what they
    return may be what another part stumbles over.
    """

    @wraps(method)
    def watched(self, *given, **named):
        try:
            return method(self, *given, **named)
        except Exception as error:
            if not any(isinstance(note, Blame) for note in getattr(error, "__notes__", ())):
                told = "" if isinstance(error, MemoryError | UnknownNameError) else _raised(error) or _near(error, self)
                if told:
                    error.add_note(Blame(told))
            raise

    return watched


def in_words(error: BaseException) -> str:
    """Return what an error says: with the component that it is of, or its message, or its kind where it has none."""
    blame = next((note for note in getattr(error, "__notes__", ()) if isinstance(note, Blame)), "")
    return blame or str(error) or type(error).__name__


def said(error: BaseException) -> str:
    """Return an error's kind and what it says, without an end."""
    return f"{type(error).__name__}: {error}".rstrip(".: ")


def place(file: str, line: int) -> str:
    """Return in words where a line of code is; that of a notebook's cell is in no file."""
    return f"line {line} of {os.path.basename(file) if os.path.exists(file) else 'its cell'}"


def _raised(error: Exception) -> str:
    """Say in which component's code an error was raised, the innermost; nothing where it was in none."""
    own = {id(code): (registry.kind, name) for registry in list(Registry.every)
           for name, component in registry.so_far().items() if origin(component) is not None
           for code in _codes(component)}  # fmt: skip
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if id(frame.f_code) in own:
            kind, name = own[id(frame.f_code)]
            where = f"in {frame.f_code.co_name}, {place(frame.f_code.co_filename, line)}"
            return f"The {kind} {name!r}: {said(error)}, {where}.{_try(kind, name)}"
    return ""


def _near(error: Exception, model: Any) -> str:
    kinds = model.own_kinds()
    if not kinds:
        return ""
    named = " and ".join(f"the {kind} {name!r}" for kind, name in kinds)
    return f"{said(error)}. It happened with {named}, not the lab's own.{_try(*kinds[0])}"


def _try(kind: str, name: str) -> str:
    return f" `check_gradients({name!r})` tries it alone." if kind in CHECKED else ""


def _codes(component: Any) -> Iterator[CodeType]:
    """Yield the code of a function, or of the methods that a class has beyond those of the lab's classes."""
    if not inspect.isclass(component):
        if code := getattr(component, "__code__", None):
            yield code
        return
    for kind in component.__mro__:
        if kind is object or kind.__module__.partition(".")[0] in LAB:
            continue
        for value in vars(kind).values():
            function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            if code := getattr(function, "__code__", None):
                yield code
