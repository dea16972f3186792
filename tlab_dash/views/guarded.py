"""A view of one's own, watched: what its functions raise or return wrongly is said with its name and what is expected."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from functools import wraps
from numbers import Real
from typing import Any

import holoviews as hv
import numpy as np

from tlab_core.blame import place, said

COLUMNS = '{part: {column: array}}, such as {"line": {"x": steps, "y": losses}}'
OVERLAY = 'a HoloViews overlay with an element for each part, such as hv.Overlay([hv.Curve(columns["line"], "x", "y")])'
LIMITS = "((left, right), (bottom, top)), such as ((0, 100), (0, 5))"
# What each function of a view is called with.
GIVEN = {
    "columns": ("run", "selection", "ghost"), "draw": ("columns", "theme"), "limits": ("columns",), "log": ("columns",),
    "warning": ("columns",), "pick": ("columns", "x", "y"), "note": ("columns",), "needs": ("run", "selection"),
}  # fmt: skip


class ViewError(ValueError):
    """A view of one's own that can't be drawn; the message says which, what it did, and what is expected."""


def functions_of(view: Any) -> dict[str, Callable]:
    """Return a view's functions, each watched. Raises ViewError for one that can't be called as a view's functions are."""
    checks = {"columns": _tables, "draw": _overlay, "limits": _limits}
    return {name: _watched(view, name, function, checks.get(name))
            for name in GIVEN if (function := getattr(view, name)) is not None}  # fmt: skip


def _watched(view: Any, name: str, function: Callable, checked: Callable | None) -> Callable:
    given = ", ".join(GIVEN[name])
    if not callable(function):
        raise ViewError(f"the view {view.name!r}: {name} is {_kind(function)}, and a function of ({given}) is expected")
    signature = inspect.signature(function)
    try:
        signature.bind(*GIVEN[name])
    except TypeError:
        raise ViewError(f"the view {view.name!r}: {name} takes {signature}, and is called with ({given}).") from None

    @wraps(function)
    def watched(*arguments, **named):
        if name == "columns":  # whose ghost is left out where there is none
            arguments = (*arguments, named.pop("ghost", None))[:3]
        try:
            found = function(*arguments, **named)
        except ViewError:
            raise
        except Exception as error:
            *_, last = traceback.extract_tb(error.__traceback__)
            where = place(last.filename, last.lineno or 0)
            raise ViewError(f"the view {view.name!r}: {name} raised {said(error)}, in {where}.") from error
        return found if checked is None else checked(view, arguments, found)

    return watched


def _tables(view: Any, arguments: tuple, found: Any) -> dict[str, dict[str, np.ndarray]]:
    _expect(view, "columns", found, isinstance(found, dict), COLUMNS)
    for part, table in found.items():
        _expect(view, f"columns, for the part {part!r},", table, isinstance(table, dict), "{column: array}")
    found = {part: {column: np.asarray(values) for column, values in table.items()} for part, table in found.items()}
    for part in view.drawn(found):
        shapes = {column: values.shape for column, values in found[part].items()}
        a_picture = any(len(shape) == 2 for shape in shapes.values())  # with an array of columns, and one of rows
        if () in shapes.values() or (len(set(shapes.values())) != 1 and not a_picture):
            told = ", ".join(f"{column} {shape}" for column, shape in shapes.items()) or "none"
            raise ViewError(f"the view {view.name!r}: the columns of the part {part!r} must be arrays of one length, and "
                            f"their shapes are {told}.")  # fmt: skip
    return found


def _overlay(view: Any, arguments: tuple, found: Any) -> hv.Overlay:
    single = isinstance(found, hv.Element)
    _expect(view, "draw", found, single or isinstance(found, hv.Overlay), OVERLAY)
    overlay, parts = hv.Overlay([found]) if single else found, view.drawn(arguments[0])
    if len(overlay) != len(parts):
        raise ViewError(f"the view {view.name!r}: draw returned {len(overlay)} elements, and one is expected for each of "
                        f"these parts, in this order: {', '.join(parts)}. A part that is not drawn is named in `fixed` or "
                        "`told`.")  # fmt: skip
    return overlay


def _limits(view: Any, arguments: tuple, found: Any) -> Any:
    sound = isinstance(found, tuple | list) and len(found) == 2 and all(
        isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(end, Real) for end in pair) for pair in found)
    _expect(view, "limits", found, sound, LIMITS)
    return found


def _expect(view: Any, name: str, found: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise ViewError(f"the view {view.name!r}: {name} returned {_kind(found)}, and expected is {expected}.")


def _kind(found: Any) -> str:
    return "None" if found is None else f"{' '.join(repr(found).split())[:60]}, of {type(found).__name__}"
