"""What a server lets anyone ask of it: how large a model, how long a run, how many pages, how long without a click."""

import math
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from tlab_core.cost import Estimate, estimate
from tlab_core.experiment import Experiment
from tlab_core.knob_text import flat, with_values
from tlab_core.settings import Problem, SettingsError

LARGEST_UPLOAD = 16_000_000  # bytes: a server takes messages of up to 20 MB
UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
# What makes a model smaller, the first one that suffices with the least change being proposed.
SMALLER = ("architecture.hidden_dim", "architecture.num_layers", "architecture.ff_dim", "training.batch_size",
           "training.seq_len", "architecture.max_seq_len")  # fmt: skip


class LimitError(ValueError):
    """A limit that can't be used; the message says where it stands, what came and what is allowed."""


def whole(text: str) -> int:
    """Return a whole number of at least 1, thousands set apart by commas or underscores if one likes."""
    plain = re.sub(r"(?<=\d)[,_](?=\d)", "", text.strip())
    if not (plain.isascii() and plain.isdigit() and len(plain) < 19 and int(plain) > 0):
        raise ValueError("a whole number of at least 1, such as 1000000")
    return int(plain)


def size(text: str) -> int:
    """Return a number of bytes, given plainly or with a unit.

    >>> size("500MB"), size("1.5 gb")
    (500000000, 1500000000)
    """
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([kmg]?b|)", text.strip().lower(), re.ASCII)
    if not found or not (count := round(float(found[1]) * UNITS[found[2]])):
        raise ValueError("a size above 0, such as 500MB or 2GB")
    return count


def upload(text: str) -> int:
    """Return a number of bytes that one message of a page can bring."""
    if (count := size(text)) > LARGEST_UPLOAD:
        raise ValueError(f"at most {in_bytes(LARGEST_UPLOAD)}, which is what one message can bring")
    return count


def minutes(text: str) -> float:
    """Return a number of minutes, 0 among them."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1e6:
        raise ValueError("a number of minutes, such as 20, or 0 for never")
    return value


def _limit(default: Any, read: Callable[[str], Any], variable: str, words: str) -> Any:
    return field(default=default, metadata={"read": read, "variable": variable, "help": words})


@dataclass(frozen=True)
class Limits:
    """The most that a page may ask for; None is no limit. Each has a variable of the environment.

    >>> Limits.from_environment({"TLAB_MAX_PARAMETERS": "2,000,000"}).parameters
    2000000
    """

    parameters: int | None = _limit(None, whole, "TLAB_MAX_PARAMETERS", "Parameters that a model may have.")
    memory: int | None = _limit(None, size, "TLAB_MAX_MEMORY", (
        "Memory that a run may need, such as 500MB; a page holds two, the run and the one before it."))
    steps: int | None = _limit(None, whole, "TLAB_MAX_STEPS", "Steps that a run may make.")
    upload: int = _limit(5_000_000, upload, "TLAB_MAX_UPLOAD", (
        "The largest text that a page may bring, such as 5MB; 16MB is the end."))
    sessions: int | None = _limit(None, whole, "TLAB_MAX_SESSIONS", "Pages that may be open at once.")
    idle_minutes: float = _limit(20.0, minutes, "TLAB_IDLE_MINUTES", (
        "Minutes without a click after which a page's run pauses and frees its memory; 0 is never."))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the limits from the environment's variables; one that is not set or empty keeps its default.

        Raises LimitError for a value that can't be read, and for limits that the lab's first run would break.
        """
        values = {}
        for limit in fields(cls):
            variable = limit.metadata["variable"]
            if text := environment.get(variable, "").strip():
                try:
                    values[limit.name] = limit.metadata["read"](text)
                except ValueError as error:
                    raise LimitError(f"{variable} = {text[:60]!r} is not allowed: it must be {error}. Set it anew, or "
                                     "unset it.") from None
        return cls(**values)

    def to_environment(self) -> dict[str, str]:
        """Return the variables that say the same; no limit is an empty one."""
        values = {limit.metadata["variable"]: getattr(self, limit.name) for limit in fields(self)}
        return {variable: "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
                for variable, value in values.items()}

    def opening(self, experiment: Experiment) -> Experiment:
        """Return what a page opens with: the experiment, shortened to the steps that a run may make."""
        training = experiment.training
        if self.steps is None or training.steps <= self.steps:
            return experiment
        warmup = min(training.warmup_steps, self.steps)
        return experiment.replace(training=training.replace(steps=self.steps, warmup_steps=warmup))

    def check_room_for(self, experiment: Experiment) -> None:
        """Raise LimitError when even the shortened experiment breaks a limit: at start, for what all pages begin with."""
        experiment = self.opening(experiment)
        if self.parameters is not None or self.memory is not None:
            experiment = experiment.resolved()  # the text decides how many characters there are
        if found := self.problems(experiment):
            raise LimitError(f"The limits leave no room for the run that the lab opens with: {found[0].allowed}.")

    def check(self, experiment: Experiment) -> None:
        """Raise SettingsError, with the problems, when an experiment breaks a limit."""
        if found := self.problems(experiment):
            raise SettingsError(found)

    def problems(self, experiment: Experiment, turned: str | None = None) -> list[Problem]:
        """Return what an experiment asks for beyond the limits, each beside the knob that mends it most gently.

        turned  the full name of the knob that was turned just now: where it can mend what it did, it is the one
        """
        found = []
        if self.steps is not None and experiment.training.steps > self.steps:
            allowed = f"runs end at step {self.steps:,} here"
            found.append(Problem("training.steps", experiment.training.steps, allowed, {"training.steps": self.steps}))
        if self.parameters is None and self.memory is None:
            return found
        if excess := self._excess(estimate(experiment)):
            fix = self._smaller(experiment, turned)
            knob = next(iter(fix), turned or SMALLER[0])
            found.append(Problem(knob, flat(experiment)[knob], excess, fix))
        return found

    def _excess(self, cost: Estimate) -> str:
        """Say what is too much, with both numbers; nothing where all is well."""
        if self.parameters is not None and cost.parameters > self.parameters:
            return f"models have at most {self.parameters:,} parameters here, and this one would have {cost.parameters:,}"
        if self.memory is not None and cost.memory_bytes > self.memory:
            return f"a run gets at most {in_bytes(self.memory)} of memory here, and this one needs about " \
                   f"{in_bytes(cost.memory_bytes)}"
        return ""

    def _smaller(self, experiment: Experiment, turned: str | None) -> dict[str, int]:
        """Return the one knob that makes an experiment fit by the smallest share of its value; none where no one can."""
        knobs = [turned] if turned in SMALLER else []
        for names in (knobs, SMALLER):
            fixes = {name: value for name in names if (value := self._largest(experiment, name)) is not None}
            if fixes:
                best = max(fixes, key=lambda name: fixes[name] / (flat(experiment)[name] or fixes[name]))
                return {best: fixes[best]}
        return {}

    def _largest(self, experiment: Experiment, name: str) -> int | None:
        """Return the largest value of a knob, below what it is, with which the experiment fits; None where none does."""
        part, knob = name.split(".")
        settings, about = getattr(experiment, part), getattr(experiment, part).param[knob]
        now = getattr(settings, knob)
        values = range(about.softbounds[0], settings.resolved_ff_dim if now is None else now, about.step or 1)

        def too_much(value: int) -> bool:
            return bool(self._excess(estimate(with_values(experiment, {name: value}))))

        fitting = values[: bisect_left(values, True, key=too_much)]  # the smaller the value, the less it costs, nearly
        fit = (value for value in reversed(fitting)
               if not too_much(value) and not with_values(experiment, {name: value}).problems())
        return next(fit, None)


def in_bytes(count: int) -> str:
    """Return a number of bytes in words, with two digits.

    >>> in_bytes(61_234_567), in_bytes(1_863_786_240), in_bytes(45_000), in_bytes(5)
    ('61 MB', '1.9 GB', '45 kB', '5 bytes')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= 0.995 * unit:
            value = float(f"{count / unit:.2g}")
            return f"{value:.1f} {name}" if value < 10 and name == "GB" else f"{value:,.0f} {name}"
    return f"{count} bytes"
