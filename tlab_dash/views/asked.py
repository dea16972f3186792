"""What a view may be asked for in a notebook: a run or a trainer, a selection in plain keywords, a theme by its name."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import param
from xarray import Dataset

from tlab_core.registry import UnknownNameError, did_you_mean
from tlab_core.run import Run
from tlab_core.runs.files import shortened
from tlab_core.trainer import Trainer
from tlab_core.trainer_run import TrainerRun
from tlab_core.transformer import Transformer
from tlab_dash.selection import Selection, sizes
from tlab_dash.theme import THEMES, Theme

KEYWORDS = [name for name in Selection.param if name not in ("name", "pinned")]
PLACES = ("layer", "head", "position")  # in the order of `sizes`


def run_of(source: Any) -> Any:
    """Return the run that a view reads: a Run as it is, a Trainer in a `TrainerRun`.

    Raises TypeError for what has no history.
    """
    if isinstance(source, Trainer):
        return TrainerRun(source)
    if isinstance(source, Run) or hasattr(source, "recorder"):
        return source
    what, hint = shortened(source) if isinstance(source, str) else f"this {type(source).__name__}", ""
    if isinstance(source, Transformer):
        hint = " Of a Transformer alone nothing was measured: train it with a Trainer, and show that."
    elif isinstance(source, Mapping | Dataset):
        hint = " Its history is a part of a run: give the run itself."
    raise TypeError(f"{what} can't be shown: a view needs a run (a LiveRun, a saved run) or a Trainer.{hint}")


def theme_of(theme: Theme | str) -> Theme:
    """Return a theme, given as such or by its name; UnknownNameError for a name that none has."""
    if isinstance(theme, Theme):
        return theme
    if theme not in THEMES:
        allowed = ", ".join(map(repr, THEMES))
        raise UnknownNameError(f"unknown theme {theme!r}: allowed are {allowed}.{did_you_mean(theme, THEMES)}")
    return THEMES[theme]


def selected(run: Any, selection: Selection | None, chosen: dict[str, Any]) -> Selection:
    """Return the selection with what was `chosen` in keywords, such as {"layer": 1, "head": 3, "step": 100}.

    The one given is left as it is. Raises TypeError for a keyword that no selection has, ValueError for a layer, head or
    position that the run does not have, and for other values what Selection itself raises.
    """
    if selection is not None and not isinstance(selection, Selection):
        raise TypeError(f"selection = {selection!r} is not allowed: give a Selection, or keywords such as layer=1.")
    if not chosen:
        return Selection() if selection is None else selection
    for name in chosen:
        if name not in KEYWORDS:
            raise TypeError(f"unknown keyword {name!r}: allowed are selection, ghost, theme and {', '.join(KEYWORDS)}."
                            f"{did_you_mean(name, [*KEYWORDS, 'selection', 'ghost', 'theme'])}")
    for name, count in zip(PLACES, sizes(run), strict=True):
        if isinstance(chosen.get(name), Integral) and not 0 <= chosen[name] < count:
            raise ValueError(f"{name} = {chosen[name]!r} is not allowed: this run has {count}, from 0 to {count - 1}.")
    step = chosen.get("step")
    if isinstance(step, Integral) and (isinstance(step, bool) or not 0 <= step <= run.step):
        raise ValueError(f"step = {step!r} is not allowed: this run's steps are 0 to {run.step:,}. Without a step the "
                         "newest is shown.")  # fmt: skip
    for name, value in chosen.items():
        if isinstance(value, bool) and isinstance(Selection.param[name], param.Integer):  # which takes True for 1
            raise ValueError(f"{name} = {value!r} is not allowed: it must be a whole number.")
    mine = Selection(**({} if selection is None else {name: getattr(selection, name) for name in (*KEYWORDS, "pinned")}))
    try:
        mine.choose(run, **chosen)
    except ValueError as error:
        raise ValueError(_explained(chosen, error)) from None
    return mine


def _explained(chosen: dict[str, Any], error: ValueError) -> str:
    """Return what is wrong with a value, and the nearest that is right where it is one of a few."""
    for name, value in chosen.items():
        declared = Selection.param[name]
        if isinstance(declared, param.Selector) and value not in declared.objects:
            allowed = ", ".join(map(repr, declared.objects))
            return f"{name} = {value!r} is not allowed: allowed are {allowed}.{did_you_mean(value, declared.objects)}"
        if isinstance(declared, param.Integer) and value is not None and type(value) is not int:
            return f"{name} = {value!r} is not allowed: it must be a whole number."
    return str(error)
