"""What Architecture, Training and Experiment share: settings as a dict, and rules that join several knobs."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

import param

from tlab_core.absent import Absent
from tlab_core.display import Described
from tlab_core.registry import did_you_mean


@dataclass(frozen=True)
class Problem:
    """Knobs that are each allowed but don't go together, and the nearest change that mends it."""

    knob: str
    value: Any
    allowed: str
    fix: dict[str, Any] = field(default_factory=dict)

    @property
    def remedy(self) -> str:
        """Return the fix in words: "set num_heads to 4"."""
        return " and ".join(f"set {knob} to {value!r}" for knob, value in self.fix.items())

    @property
    def message(self) -> str:
        """Return the whole problem in one sentence."""
        advice = f" To fix it, {self.remedy}." if self.fix else ""
        return f"{self.knob} = {self.value!r} does not fit: {self.allowed}.{advice}"


@dataclass(frozen=True)
class Missing(Problem):
    """A component that is named and not here; the nearest change is the usual one."""

    @property
    def message(self) -> str:
        return f"{self.allowed[:1].upper()}{self.allowed[1:]}. Or else {self.remedy}." if self.fix else f"{self.allowed}."


class SettingsError(ValueError):
    """Settings that don't go together; `.problems` holds each one with its fix."""

    def __init__(self, problems: list[Problem]):
        self.problems = problems
        super().__init__("\n".join(problem.message for problem in problems))


@cache
def _knobs(kind: type) -> tuple[str, ...]:
    own = [name for base in reversed(kind.__mro__) for name in vars(base)]
    return tuple(name for name in dict.fromkeys(own) if name in kind.param and name != "name")


class Settings(Described, param.Parameterized):
    """A set of knobs that can be copied, compared, written as a dict, and checked as a whole."""

    def __init__(self, **knobs):
        for given in knobs:
            if given not in self.knobs():
                raise TypeError(f"{type(self).__name__} has no knob {given!r}.{did_you_mean(given, self.knobs())} "
                                f"The knobs are {', '.join(self.knobs())}.")
        super().__init__(**knobs)

    def __setattr__(self, name, value):
        if not name.startswith("_") and name not in type(self).param:
            raise AttributeError(f"{type(self).__name__} has no knob {name!r}.{did_you_mean(name, self.knobs())}")
        super().__setattr__(name, value)

    @classmethod
    def knobs(cls) -> list[str]:
        """Return the names of the knobs in the order they are written down."""
        return list(_knobs(cls))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values by knob, nested where a knob is itself a set of settings."""
        values = {knob: getattr(self, knob) for knob in self.knobs()}
        return {knob: value.to_dict() if isinstance(value, Settings) else value for knob, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build settings from what `to_dict` returned; raises TypeError for a knob that doesn't exist."""
        return cls(**values)

    def replace(self, **knobs) -> Self:
        """Return a copy with some knobs set otherwise."""
        return type(self).from_dict({**self.to_dict(), **knobs})

    def problems(self) -> list[Problem]:
        """Return what doesn't go together; an empty list means that the settings can be used."""
        return self.missing()

    @property
    def unheeded(self) -> dict[str, str]:
        """Return the knobs that change nothing as the others stand, each with why."""
        return {}

    def missing(self) -> list[Problem]:
        """Return the components that are named and not here, as settings of a run may have it: it can only be looked at."""
        return [Missing(knob, value, value.message.rstrip("."), {knob: self.param[knob].default})
                for knob in self.knobs() for value in (getattr(self, knob),)
                if isinstance(value, Absent) and value not in self.param[knob].options]  # fmt: skip

    def check(self) -> None:
        """Raise SettingsError when there are problems."""
        if found := self.problems():
            raise SettingsError(found)

    def describe(self):
        """Return every knob in groups, with its unit; those that are not at their defaults are marked."""
        from tlab_core.display.settings import of_settings  # which knows the parts, and they stand on this

        return of_settings(self)

    def one_line(self) -> str:
        """Return the Python code that makes these settings: the knobs that are not at their defaults."""
        from tlab_core.display.settings import one_line

        return one_line(self)

    def __eq__(self, other):
        return type(other) is type(self) and other.to_dict() == self.to_dict()

    __hash__ = None
