"""A drawn figure in the colours of another theme: they are exchanged where they stand, and nothing is drawn anew.

Drawing a page's figures anew takes seconds beside a training run, and until the last one is done all of them are in ink
that can't be read on the other theme's cards. This takes a few milliseconds a figure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
from bokeh.core.property.vectorization import Value
from bokeh.model import Model
from bokeh.models import Plot

from tlab_dash.theme import Theme, diverging, layer_colours


def recolour(figure: Plot, before: Theme, after: Theme) -> None:
    """Give a Bokeh figure that was drawn in the theme `before` the colours of `after`: those of all models in it.

    It finds the theme's colours, with an opacity or without, its palettes, and columns of colours. So a colour that is the
    same in both themes must be written otherwise than as a theme's own: "white", not "#FFFFFF".
    """
    twin = functools.partial(_twin, _twins(before, after), lambda palette: _palette(palette, before, after))
    for model in figure.references():
        now = {name: getattr(model, name) for name in _coloured(type(model))}
        then = {name: twin(value) for name, value in now.items()}
        model.update(**{name: value for name, value in then.items() if value is not now[name]})


@functools.cache
def _coloured(kind: type[Model]) -> list[str]:
    """Return the properties of a kind of model that can hold colours; to look at all of them takes ten times as long."""
    return [name for name in kind.properties() if name.endswith("color") or name in ("palette", "data")]


@functools.cache
def _twins(before: Theme, after: Theme) -> dict[str, str]:
    """Return what each colour of a theme is in the other one."""
    return {getattr(before, field.name): getattr(after, field.name) for field in fields(Theme) if field.name != "name"}


def _twin(colours: dict[str, str], palette: Callable[[list], list], value: object) -> object:
    """Return what stands in a property instead, or the very same object where there is nothing to exchange."""
    if isinstance(value, str):
        other = colours.get(value[:7])
        return value if other is None or len(value) not in (7, 9) else other + value[7:]
    if isinstance(value, Value):
        other = _twin(colours, palette, value.value)
        return value if other is value.value else replace(value, value=other)
    if isinstance(value, list | tuple) and value and isinstance(value[0], str):
        return palette(value) or _all(colours, palette, value)
    if isinstance(value, np.ndarray) and value.dtype == object and len(value) and isinstance(value[0], str):
        other = _all(colours, palette, list(value))
        return value if all(one is two for one, two in zip(value, other, strict=True)) else np.array(other, dtype=object)
    if isinstance(value, dict):
        other = {name: _twin(colours, palette, column) for name, column in value.items()}
        return value if all(other[name] is column for name, column in value.items()) else other
    return value


def _all(colours: dict[str, str], palette: Callable[[list], list], values: list | tuple) -> list | tuple:
    others = [_twin(colours, palette, value) for value in values]
    return values if all(one is two for one, two in zip(values, others, strict=True)) else others


def _palette(values: list | tuple, before: Theme, after: Theme) -> list[str]:
    """Return a palette's twin where it is one that is mixed, and empty otherwise."""
    for palette in (diverging, functools.partial(layer_colours, len(values))):
        first, second = (palette(theme=theme) for theme in (before, after))
        if list(values) == first:
            return second
    return []
