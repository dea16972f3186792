"""Statistics of one's own: a function of what a model computed at a look, which every new run then records.

    from tlab_core import statistic

    @statistic
    def attention_sink(weights):
        \"\"\"Share of attention on the first character.\"\"\"
        return weights[:, :, 1:, 0].mean(axis=-1)  # (layer, head, query, key) -> (layer, head)

The names of the function's parameters say what it is given: a site of `SITES`, of all layers at once, so that the first
dimension is the layer; `scores` (−∞ on the future), `weights` and `heads` likewise; with `_gradient` behind a site of
`SITES` the loss's gradient there; `residual` (depth, position, channel), its gradient, `logits` (position, token), `tokens`
and `targets` (position,). It returns one number a layer, or one a layer and head.
"""

import inspect
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tlab_core.absent import Absent
from tlab_core.expected import Made
from tlab_core.extensions import origin
from tlab_core.registry import Registry, did_you_mean
from tlab_core.schema import COORDINATES, GROUPS, SITES, Variable
from tlab_core.trace import Capture

OVER = {("layer",): "layers", ("layer", "head"): "heads"}  # which group a statistic joins, by its dimensions
BY_LAYER = (*SITES, "scores", "weights", "heads")
OF_ALL = ("residual", "residual_gradient", "logits", "tokens", "targets")
READABLE = (*BY_LAYER, *(f"{site}_gradient" for site in SITES), *OF_ALL)
LONGEST = 80  # characters of what it is called
SMALL = {"vocab_size": 7, "hidden_dim": 12, "num_layers": 4, "num_heads": 3, "ff_dim": 10}
TRIED_ON = (1, 2, 3, 1, 2, 0, 4)  # tokens


class StatisticError(ValueError):
    """A statistic that can't be recorded; the message says why, and what is allowed."""


class StatisticWarning(UserWarning):
    """A statistic that could not be worked out at a look; NaN is recorded in its place."""


@dataclass(frozen=True)
class Statistic:
    """A measured quantity of one's own: what it is called, what it reads, and over which dimensions it goes.

    `function` is None where a run has recorded it and it is not here any more; `absent` then says where it came from.
    """

    name: str
    function: Callable[..., Any] | None
    reads: tuple[str, ...]
    dims: tuple[str, ...]
    long_name: str
    units: str = "1"
    absent: Absent | None = None

    @property
    def home(self) -> tuple[str, str] | None:
        """The module and the qualified name that it is defined under."""
        if self.function is None:
            return None
        named = self.function.func if isinstance(self.function, partial) else self.function
        return named.__module__, getattr(named, "__qualname__", type(named).__qualname__)

    @property
    def group(self) -> str:
        """The group of the history that it joins."""
        return OVER[self.dims]

    @property
    def variable(self) -> Variable:
        """What it is in the history."""
        return Variable(self.dims, self.long_name, self.units, optional=True)

    def __call__(self, *arrays: np.ndarray) -> Any:
        """Work it out."""
        return self.function(*arrays)


STATISTICS = Registry("statistic", Made(
    Statistic, "Write @statistic above the function (`from tlab_core import statistic`): it makes one and registers it."))


def statistic(function: Callable[..., Any] | None = None, *, name: str | None = None, units: str = "1"):
    """Register a function as a statistic that every run begun from now on records at each look.

    name   what it is called in the history and where it is chosen; the default is the function's own name
    units  the unit of its numbers, "1" for a plain number
    A parameter with a default value keeps it. Its docstring's first line says what it is. It is tried on a small model at
    once. Raises StatisticError for a parameter that nothing is given for, and for what is neither one number a layer nor
    one a layer and head.
    """
    if function is None:
        return lambda given: statistic(given, name=name, units=units)
    if not callable(function):
        raise StatisticError(f"{repr(function)[:LONGEST]} is no function: a statistic is worked out by one.")
    called = getattr(function, "__name__", None) if name is None else name
    if called is None:
        kind = type(function).__name__
        raise StatisticError(f"a {kind} has no name of its own: give it one, statistic(..., name=\"...\").")
    _check_name(called)
    reads = tuple(name for name, given in inspect.signature(function).parameters.items() if given.default is given.empty)
    for read in reads:
        if read not in READABLE:
            raise StatisticError(f"the statistic {called!r} asks for {read!r}: a parameter must be one of "
                                 f"{', '.join(READABLE)}.{did_you_mean(read, READABLE)}")
    if not reads:
        raise StatisticError(f"the statistic {called!r} has no parameters: they say what it is given, such as `weights`.")
    # What is no function, such as functools.partial, has but the docstring of its kind.
    said = inspect.getdoc(function) if inspect.isroutine(function) else ""
    words = (said or called.replace("_", " ")).strip().splitlines()[0].rstrip(".")[:LONGEST]
    dims = _tried(called, function, reads)
    found = Statistic(called, function, reads, dims, words, units)
    STATISTICS.register(called)(found)
    return found


def in_force() -> tuple[Statistic, ...]:
    """Return the statistics that a run begun now records."""
    return tuple(found for _, found in STATISTICS.items())


def variables_of(statistics: Iterable[Statistic]) -> dict[str, dict[str, Variable]]:
    """Return what statistics add to the groups of a history."""
    found: dict[str, dict[str, Variable]] = {}
    for one in statistics:
        found.setdefault(one.group, {})[one.name] = one.variable
    return found


class Look:
    """Takes down, as a trace, what some statistics read of one pass; `measured` then works them out."""

    def __init__(self, statistics: Iterable[Statistic], num_layers: int):
        self.statistics, self.layers = tuple(statistics), num_layers
        sites = {site for one in self.statistics for read in one.reads for site in _sites(read, num_layers)}
        self.capture = Capture(sites)

    def __call__(self, name: str, x: np.ndarray) -> np.ndarray:
        """Take down a site's array; return it unchanged."""
        return self.capture(name, x)

    def measured(self, sizes: Mapping[str, int], read: np.ndarray, targets: np.ndarray,
                 failed: dict[str, str]) -> dict[str, dict[str, np.ndarray]]:
        """Return each group's values by name; NaN for what can't be worked out, with the reason in `failed`.

        A site that the model doesn't have is no failure.
        """
        found: dict[str, dict[str, np.ndarray]] = {}
        for one in self.statistics:
            shape = tuple(sizes[dim] for dim in one.dims)
            value = np.full(shape, np.nan)
            arrays = [self._array(name, read, targets) for name in one.reads]
            if one.function is not None and all(array is not None for array in arrays):
                try:
                    value = _checked(one.name, one(*arrays), shape)
                except Exception as error:  # whatever a stranger's function does: the training goes on
                    failed[one.name] = f"{type(error).__name__}: {error}"
            found.setdefault(one.group, {})[one.name] = value
        return found

    def _array(self, name: str, read: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        if name in ("tokens", "targets"):
            return (read if name == "tokens" else targets).copy()
        sites = _sites(name, self.layers)
        if any(site not in self.capture for site in sites):
            return None
        arrays = [self.capture[site][0] for site in sites]
        return arrays[0].copy() if name == "logits" else np.stack(arrays)


def _sites(read: str, layers: int) -> list[str]:
    """Return the sites that a parameter's name stands for.

    >>> _sites("attention_gradient", 2), _sites("residual", 1)
    (['blocks.0.attention.gradient', 'blocks.1.attention.gradient'], ['residual.0', 'residual.1', 'residual.2'])
    """
    if read in ("tokens", "targets"):
        return []
    if read == "logits":
        return ["logits"]
    site, ending = (read.removesuffix("_gradient"), ".gradient") if read.endswith("_gradient") else (read, "")
    if site == "residual":
        return [f"residual.{depth}{ending}" for depth in range(2 * layers + 1)]
    return [f"blocks.{layer}.{site}{ending}" for layer in range(layers)]


def _checked(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    found = np.asarray(value)
    if found.dtype.kind not in "fiub" or found.shape != shape:
        raise StatisticError(f"the statistic {name!r} came to an array of {found.dtype} and shape {found.shape}; expected "
                             f"numbers of shape {shape}")
    return found.astype(np.float64)


def _check_name(name: str) -> None:
    taken = {variable for group in OVER.values() for variable in GROUPS[group].variables} | set(COORDINATES)
    if not (isinstance(name, str) and name.isidentifier() and name.isascii() and len(name) <= LONGEST):
        raise StatisticError(f"a statistic can't be called {name!r}: it must be a plain name, such as attention_sink.")
    if name.casefold() in taken:
        raise StatisticError(f"a statistic can't be called {name!r}: the lab records one of that name itself.")


def _tried(name: str, function: Callable, reads: tuple[str, ...]) -> tuple[str, ...]:
    """Return the dimensions that a statistic goes over, from what it makes of a small model, or raise StatisticError."""
    from tlab_core.transformer import Transformer  # which stands on most of the engine, and components on this

    model = Transformer(**SMALL, residual_type="Sandwich", activation_type="GELU")
    tokens = np.array(TRIED_ON)
    look = Look([Statistic(name, function, reads, ("layer",), "")], SMALL["num_layers"])
    with np.errstate(all="ignore"):
        model.shard_loss_and_grads(tokens[None, :-1], tokens[None, 1:], model.workspace(gradients=False), 1.0, look)
        arrays = [look._array(read, tokens[:-1], tokens[1:]) for read in reads]
        try:
            value = np.asarray(function(*arrays))
        except Exception as error:
            shapes = ", ".join(f"{read} {array.shape}" for read, array in zip(reads, arrays, strict=True))
            raise StatisticError(f"the statistic {name!r} can't be worked out: {type(error).__name__}: {error}. It was "
                                 f"tried on a model of 4 layers and 3 heads, with {shapes}.") from error
    sizes = {"layer": SMALL["num_layers"], "head": SMALL["num_heads"]}
    for dims in OVER:
        if value.shape == tuple(sizes[dim] for dim in dims) and value.dtype.kind in "fiub":
            return dims
    raise StatisticError(f"the statistic {name!r} came to an array of {value.dtype} and shape {value.shape} on a model of "
                         "4 layers and 3 heads: it must be one number a layer, (4,), or one a layer and head, (4, 3).")


# ---- what a run keeps of them


def kept(statistics: Iterable[Statistic]) -> dict[str, dict[str, Any]]:
    """Return what a run's folder says of the statistics that it records, by name."""
    return {one.name: {"dims": list(one.dims), "long_name": one.long_name, "units": one.units, **_whence(one)}
            for one in statistics}  # fmt: skip


def _whence(one: Statistic) -> dict[str, str]:
    if one.absent is not None:
        return {"module": one.absent.module, "package": one.absent.package, "version": one.absent.version}
    return origin(one) or {}


def recorded(said: object) -> list[Statistic]:
    """Return the statistics that a run's folder speaks of, each with its function where it is here.

    Raises StatisticError for what `kept` can't have said.
    """
    found = []
    for name, about in (said if isinstance(said, dict) else {}).items():
        _check_name(name)
        about = about if isinstance(about, dict) else {}
        dims, texts = about.get("dims"), [about.get("long_name"), about.get("units")]
        over = tuple(map(str, dims)) if isinstance(dims, list) else ()
        if over not in OVER or not all(isinstance(text, str) for text in texts):
            raise StatisticError(f"what is said of the statistic {name!r} can't be used: {json.dumps(about)[:LONGEST]}")
        absent = Absent(name, "statistic", "", about.get("module"), about.get("package"), about.get("version"))
        one = Statistic(name, None, (), over, texts[0][:LONGEST], texts[1][:LONGEST], absent)
        here = STATISTICS.get(name) if name in STATISTICS else one
        if (here.name, here.dims) == (one.name, one.dims):  # a registry knows FOO as foo, a history does not
            one = here
        found.append(one)
    return found


def note_failures(recorder: Any, failed: Mapping[str, str], step: int) -> None:
    """Say once of each statistic that could not be worked out, as a warning and in the attributes of a run's history."""
    known = json.loads(recorder.attributes.get("failed_statistics", "{}"))
    said = {name: f"step {step}: {error}" for name, error in failed.items() if name not in known}
    if said:
        recorder.attributes["failed_statistics"] = json.dumps(known | said)
    for name in said:
        warnings.warn(f"the statistic {name!r} could not be worked out at step {step}: {failed[name]}. NaN is recorded in "
                      "its place, and the training goes on.", StatisticWarning, stacklevel=2)  # fmt: skip
