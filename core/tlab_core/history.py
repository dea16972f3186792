"""Everything a run has measured so far, as xarray datasets that share memory with the buffers being filled.

A trainer's thread appends records while any number of readers look. A record is first written behind the end of what
readers can see, and one assignment then publishes it. Buffers that have become too small, or too full, are replaced by
new ones and never rewritten, so a Dataset that someone holds does not change under their eyes.
"""

import json
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from tlab_core.display import Described
from tlab_core.registry import did_you_mean
from tlab_core.schema import COORDINATES, EDGES, GROUPS, VERSION, Group, Variable, groups_with

FIRST_CAPACITY = 16
KEEP = 64


class HistoryError(ValueError):
    """A record that does not fit the contract: the message names the variable, what came and what is expected."""


class History(Described):
    """The growing record of a run: one xarray Dataset a group, all of them together one DataTree.

    `coordinates` maps every dimension but `step` to its values (see `schema.coordinates`); `attributes` become the
    root's attributes (see `provenance`); `own` are variables that groups have besides the contract's. One thread may append
    while others read. Every append costs the same, on average, however many records there are.

    Of thinned groups (attention and histograms) at most `keep` records stay in memory. When they are full, records
    between the multiples of a stride are dropped, and the stride doubles whenever more than three quarters of the
    places would remain taken: the past is seen at an even cadence that grows coarser, the most recent records at the
    cadence they were taken, and the first and the newest are always there.

    >>> from tlab_core.schema import coordinates
    >>> history = History(coordinates(num_layers=1, num_heads=1, vocab_size=3, parameters=["w"], probe_length=2))
    >>> history.append("validation", 0, {"loss": 1.5})
    >>> history.append("validation", 10, {"loss": 1.25})
    >>> history.group("validation")["loss"].sel(step=10).item()
    1.25
    >>> history.append("validation", 10, {"loss": 1.0})
    Traceback (most recent call last):
    ...
    tlab_core.history.HistoryError: validation: step 10 came after step 10; steps must grow
    """

    def __init__(
        self, coordinates: Mapping[str, Any], attributes: Mapping[str, Any] | None = None, *, keep: int = KEEP,
        own: Mapping[str, Mapping[str, Variable]] | None = None,
    ):  # fmt: skip
        if keep < 8:
            raise HistoryError(f"keep is {keep}; it must be at least 8, for thinning to leave room for new records")
        wanted = {dim for group in GROUPS.values() for dim in group.dims}
        if missing := sorted(wanted - set(coordinates)):
            raise HistoryError(f"no coordinates for {', '.join(missing)}; make them all with schema.coordinates")
        self.coordinates = {dim: np.asarray(coordinates[dim]) for dim in wanted}
        self.attributes: dict[str, Any] = {"schema": VERSION, **(attributes or {})}
        self.groups = groups_with(own)
        self._records = {
            name: _Records(name, group, self.coordinates, keep if group.thinned else None)
            for name, group in self.groups.items()
        }
        self._tree: tuple[tuple, xr.DataTree] | None = None
        self._listeners: list[Listener] = []

    def append(self, group: str, step: int, values: Mapping[str, Any]) -> None:
        """Add one record: every variable of the group at this step.

        Raises HistoryError for an unknown group or variable, a missing variable, a wrong shape or kind of number, or
        a step that is not later than the group's last one; nothing is recorded then.
        """
        record = self._find(group).append(step, values)
        for listener in self._listeners:
            listener(group, record)

    def subscribe(self, listener: "Listener") -> None:
        """Call `listener(group, record)` after each append, in the thread that appends; `record` maps names to values.

        The values are those that were given, `step` among them: whoever keeps them makes a copy.
        """
        self._listeners = [*self._listeners, listener]

    def unsubscribe(self, listener: "Listener") -> None:
        """Call `listener` no more; one that was never subscribed is passed over."""
        self._listeners = [other for other in self._listeners if other != listener]

    def shapes(self, group: str) -> dict[str, tuple[int, ...]]:
        """Return the shape of one record's value of each variable."""
        return dict(self._find(group).shapes)

    def restore(self, group: str, total: int, read: Callable[[list[int]], Mapping[str, np.ndarray]]) -> None:
        """Take over the `total` records of an earlier history, as if they had been appended here.

        `read(places)` returns, for every variable and `step`, the records at these places of 0 ... total - 1: those that
        memory would have kept.
        """
        self._find(group).restore(total, read)

    def group(self, name: str) -> xr.Dataset:
        """Return a group's records as a Dataset that shares the buffers' memory, read-only.

        The same object comes back until the group's next append; later appends do not change it.
        """
        return self._find(name).dataset()

    @property
    def tree(self) -> xr.DataTree:
        """All groups as one DataTree with the run's attributes at its root; the same object until the next append."""
        states = tuple(records.published for records in self._records.values())
        cached = self._tree
        if cached is not None and all(a is b for a, b in zip(cached[0], states, strict=True)):
            return cached[1]
        datasets = {
            f"/{name}": records.dataset(state)
            for (name, records), state in zip(self._records.items(), states, strict=True)
        }
        tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs=self.attributes), **datasets})
        self._tree = (states, tree)
        return tree

    def last_step(self, group: str) -> int | None:
        """Return the step of a group's newest record, or None while it has none."""
        arrays, count = self._find(group).published
        return int(arrays["step"][count - 1]) if count else None

    def describe(self):
        """Return the groups, how many records each has, and its variables."""
        from tlab_core.display.runs import of_history

        return of_history(self)

    def one_line(self) -> str:
        """Return how many groups there are, and the newest step."""
        from tlab_core.display.runs import history_line

        return history_line(self)

    def newest(self, group: str, count: int) -> dict[str, np.ndarray]:
        """Return a group's last `count` records, or what there is of them, as read-only arrays by variable, `step` too.

        A Dataset, of which each append makes a new one, takes a hundred times as long.
        """
        arrays, recorded = self._find(group).published
        views = {name: array[max(0, recorded - count) : recorded] for name, array in arrays.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    def _find(self, name: str) -> "_Records":
        try:
            return self._records[name]
        except KeyError:
            allowed = ", ".join(self._records)
            raise HistoryError(
                f"unknown group {name!r}: allowed are {allowed}.{did_you_mean(name, self._records)}"
            ) from None


Listener = Callable[[str, dict[str, Any]], None]


class _Published(NamedTuple):
    """What readers see: buffers, and how many records of them are finished. Replaced whole, never changed."""

    arrays: dict[str, np.ndarray]
    count: int


class _Records:
    """One group's buffers. `keep` bounds the number of records; None means all are kept."""

    def __init__(self, name: str, group: Group, coordinates: Mapping[str, np.ndarray], keep: int | None):
        self.name = name
        self.variables = group.variables
        self.keep = keep
        self.shapes = {
            variable: tuple(len(coordinates[dim]) for dim in spec.dims) for variable, spec in group.variables.items()
        }
        self.coordinates = {
            dim: xr.Variable(dim, coordinates[dim], _attributes(*COORDINATES[dim])) for dim in group.dims
        }
        for edge, (values, long_name, units) in EDGES.get(name, {}).items():
            self.coordinates[edge] = xr.Variable("bin", values, _attributes(long_name, units))
        self.ordinals: list[int] = []  # thinned groups: which append each record in the buffers was
        self.stride = 1
        self.published = _Published(self._allocate(min(FIRST_CAPACITY, keep or FIRST_CAPACITY)), 0)
        self._cached: tuple[_Published, xr.Dataset] | None = None

    def append(self, step: int, values: Mapping[str, Any]) -> dict[str, Any]:
        record = self._checked(step, values)
        arrays, count = self._with_room()
        with np.errstate(over="ignore", invalid="ignore"):  # a diverged run may not fit float32; infinity says so
            for variable, value in record.items():
                arrays[variable][count] = value
        if self.keep:
            self.ordinals.append(self.ordinals[-1] + 1 if self.ordinals else 0)
        self.published = _Published(arrays, count + 1)
        return record

    def restore(self, total: int, read: Callable[[list[int]], Mapping[str, np.ndarray]]) -> None:
        self.ordinals, self.stride = [], 1
        for ordinal in range(total if self.keep else 0):
            if len(self.ordinals) == self.keep:
                self._thin()
            self.ordinals.append(ordinal)
        places = self.ordinals if self.keep else list(range(total))
        held = read(places)
        arrays = self._allocate(max(min(FIRST_CAPACITY, self.keep or FIRST_CAPACITY), len(places)))
        for name, array in arrays.items():
            array[: len(places)] = held[name]
        self.published = _Published(arrays, len(places))

    def dataset(self, state: _Published | None = None) -> xr.Dataset:
        state = state or self.published
        cached = self._cached
        if cached is not None and cached[0] is state:
            return cached[1]
        views = {name: array[: state.count] for name, array in state.arrays.items()}
        for view in views.values():
            view.flags.writeable = False
        step = xr.Variable("step", views.pop("step"), _attributes(*COORDINATES["step"]))
        data = {
            name: xr.Variable(("step", *spec.dims), views[name], _attributes(spec.long_name, spec.units))
            for name, spec in self.variables.items()
        }
        dataset = xr.Dataset(data, coords={"step": step, **self.coordinates})
        self._cached = (state, dataset)
        return dataset

    def _allocate(self, capacity: int) -> dict[str, np.ndarray]:
        arrays = {"step": np.empty(capacity, np.int64)}
        for variable, spec in self.variables.items():
            arrays[variable] = np.empty((capacity, *self.shapes[variable]), spec.dtype)
        return arrays

    def _with_room(self) -> _Published:
        """Return buffers with a free place: the present ones, twice as many, or thinned ones."""
        arrays, count = self.published
        if count < len(arrays["step"]):
            return self.published
        if self.keep and count == self.keep:
            kept = self._thin()
            capacity = self.keep
        else:
            kept = slice(None)
            capacity = min(2 * count, self.keep or 2 * count)
        roomier = self._allocate(capacity)
        for name, array in arrays.items():
            held = array[kept]
            roomier[name][: len(held)] = held
            count = len(held)
        return _Published(roomier, count)

    def _thin(self) -> list[int]:
        """Choose which of the full buffers' records stay: the multiples of the stride, and the newest."""

        def on_cadence() -> int:
            return sum(ordinal % self.stride == 0 for ordinal in self.ordinals)

        while on_cadence() > 3 * self.keep // 4:
            self.stride *= 2
        newest = len(self.ordinals) - 1
        kept = [i for i, ordinal in enumerate(self.ordinals) if ordinal % self.stride == 0 or i == newest]
        self.ordinals = [self.ordinals[i] for i in kept]
        return kept

    def _checked(self, step: int, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record as it will be written, or raise HistoryError before anything is changed."""
        arrays, count = self.published
        if count and step <= (last := arrays["step"][count - 1]):
            raise HistoryError(f"{self.name}: step {step} came after step {last}; steps must grow")
        for variable in values:
            if variable not in self.variables:
                allowed = ", ".join(self.variables)
                hint = did_you_mean(variable, self.variables)
                raise HistoryError(f"{self.name} has no variable {variable!r}: allowed are {allowed}.{hint}")
        record: dict[str, Any] = {"step": step}
        for variable, spec in self.variables.items():
            value = values.get(variable)
            if value is None:
                if not spec.optional:
                    raise HistoryError(f"{self.name} at step {step} lacks {variable!r} ({spec.long_name})")
                value = np.nan
            elif np.shape(value) != self.shapes[variable]:
                expected = ", ".join(
                    f"{dim} {size}" for dim, size in zip(spec.dims, self.shapes[variable], strict=True)
                )
                raise HistoryError(
                    f"{self.name}.{variable} at step {step} has shape {np.shape(value)}; "
                    f"expected {self.shapes[variable]} ({expected or 'a single number'})"
                )
            elif not np.can_cast(np.asarray(value).dtype, spec.dtype, "same_kind"):
                raise HistoryError(
                    f"{self.name}.{variable} at step {step} holds {np.asarray(value).dtype} numbers; "
                    f"expected {spec.dtype} or what fits it"
                )
            record[variable] = value
        return record


def provenance(settings: Mapping[str, Any], *, seed: int, corpus_hash: str = "") -> dict[str, Any]:
    """Return the attributes that say where a history came from: settings and versions as JSON, seed, corpus hash.

    Strings and numbers only, so that netCDF and Zarr can store them.

    >>> provenance({"hidden_dim": 64}, seed=7)["settings"]
    '{"hidden_dim": 64}'
    """
    versions = {"python": platform.python_version(), "numpy": np.__version__, "xarray": xr.__version__}
    try:
        versions["transformer-intuition-lab"] = version("transformer-intuition-lab")
    except PackageNotFoundError:
        versions["transformer-intuition-lab"] = "not installed"
    return {
        "settings": json.dumps(settings),
        "seed": int(seed),
        "corpus_hash": corpus_hash,
        "versions": json.dumps(versions),
    }


def _attributes(long_name: str, units: str) -> dict[str, str]:
    return {"long_name": long_name, "units": units}
