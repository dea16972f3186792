"""The kinds of knob that settings are made of: `param` parameters that also carry a unit and explain a refusal."""

import math
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
import param

from tlab_core.absent import Absent
from tlab_core.registry import Registry, UnknownNameError, did_you_mean


class KnobError(ValueError):
    """A value that one knob can't take; the message says what came and what is allowed."""


class _Knob(param.Parameter):
    """Shared by all knobs: a unit ("characters", "per step"; empty for a pure number) beside param's own slots."""

    __slots__ = ["unit"]
    _slot_defaults = dict(param.Parameter._slot_defaults, unit="")

    def __init__(self, default=param.Undefined, *, unit=param.Undefined, **keywords):
        super().__init__(default=default, **keywords)
        self.unit = unit

    def refuse(self, value, allowed: str):
        """Raise the KnobError for `value`."""
        raise KnobError(f"{self.name} = {value!r} is not allowed: {allowed}.")

    def _validate(self, val):
        if self.name is not None and not (val is None and self.allow_None):
            self.check(val)

    def check(self, value):
        """Raise KnobError unless the knob can take `value`."""


class _RangeKnob(_Knob):
    """A number with `bounds` (what the engine accepts; None is open), `softbounds` and `step` (what a slider offers)."""

    __slots__ = ["bounds", "exclusive_minimum", "softbounds", "step"]
    _slot_defaults = dict(_Knob._slot_defaults, bounds=(None, None), softbounds=None, step=None, exclusive_minimum=False)

    def __init__(
        self,
        default=param.Undefined,
        *,
        bounds=param.Undefined,
        softbounds=param.Undefined,
        step=param.Undefined,
        exclusive_minimum=param.Undefined,
        **keywords,
    ):
        super().__init__(default=default, **keywords)
        self.bounds = bounds
        self.softbounds = softbounds
        self.step = step
        self.exclusive_minimum = exclusive_minimum

    def __set__(self, obj, val):
        # A number from NumPy becomes Python's own, which JSON and YAML can write.
        super().__set__(obj, val.item() if isinstance(val, np.generic) else val)

    def allowed(self) -> str:
        """Return the range in words."""
        low, high = self.bounds
        words = f"{self.noun} " + ("above" if self.exclusive_minimum else "of at least") + f" {low}"
        if low is None:
            words = self.noun
        if high is not None:
            words += f" and at most {high}"
        return words + (", or None" if self.allow_None else "")

    def check(self, value):
        low, high = self.bounds
        if isinstance(value, bool) or not isinstance(value, self.number) or not math.isfinite(value):
            self.refuse(value, f"it must be {self.allowed()}")
        too_low = low is not None and (value <= low if self.exclusive_minimum else value < low)
        if too_low or (high is not None and value > high):
            self.refuse(value, f"it must be {self.allowed()}")


class IntegerKnob(_RangeKnob):
    """A whole number."""

    __slots__ = []
    number, noun = Integral, "a whole number"


class NumberKnob(_RangeKnob):
    """A finite number."""

    __slots__ = []
    number, noun = Real, "a number"


class BooleanKnob(_Knob):
    """On or off."""

    __slots__ = []

    def check(self, value):
        if not isinstance(value, bool):
            self.refuse(value, "it must be True or False")


class TextKnob(_Knob):
    """A piece of text."""

    __slots__ = []

    def check(self, value):
        if not isinstance(value, str):
            self.refuse(value, "it must be text")


class ChoiceKnob(_Knob):
    """One name out of a registry or a list; case is ignored and None stands for "None".

    The options are asked for afresh at each use, so a component that is registered later is found.
    `extra` names options that a registry doesn't hold, such as "auto".
    """

    __slots__ = ["extra", "options"]
    _slot_defaults = dict(_Knob._slot_defaults, options=(), extra=())

    def __init__(self, default=param.Undefined, *, options=param.Undefined, extra=param.Undefined, **keywords):
        super().__init__(default=default, **keywords)
        self.options = options
        self.extra = extra

    def names(self) -> list[str]:
        """Return the options as they are spelled."""
        listed: Iterable[str] = self.options.names() if isinstance(self.options, Registry) else self.options
        return [*self.extra, *listed]

    def canonical(self, value) -> str:
        """Return the spelling of `value` that the options use; raise KnobError when it is none of them.

        The name of a component that a run was made with and that is not here (`Absent`) stays as it is.
        """
        registry = self.options if isinstance(self.options, Registry) else None
        if isinstance(value, str | None):
            for name in self.extra if registry is not None else self.names():
                if name.casefold() == str(value).casefold():
                    return name
            # Only what the lab itself doesn't have makes a registry look for extensions.
            if registry is not None and (isinstance(value, Absent) or value in registry):
                return registry.canonical(value)
        allowed = ", ".join(repr(name) for name in self.names())
        raise KnobError(f"{self.name} = {value!r} is not allowed: it must be one of {allowed}."
                        f"{did_you_mean(value, self.names())}{self._foreign(value)}")

    def _foreign(self, value) -> str:
        """Return how a name could come to be one of the options, where components of one's own can be among them."""
        if not (isinstance(self.options, Registry) and isinstance(value, str) and value):
            return ""
        return " One of your own has to be defined or imported first (tlab --import MODULE), one of a package installed."

    def __set__(self, obj, val):
        super().__set__(obj, self.canonical(val))


class CountOrAutoKnob(IntegerKnob):
    """A whole number, or "auto" where the machine decides."""

    __slots__ = []

    def check(self, value):
        if not (isinstance(value, str) and value == "auto"):
            super().check(value)

    def allowed(self) -> str:
        return super().allowed() + ', or "auto"'


__all__ = [
    "BooleanKnob",
    "ChoiceKnob",
    "CountOrAutoKnob",
    "IntegerKnob",
    "KnobError",
    "NumberKnob",
    "TextKnob",
    "UnknownNameError",
]
