"""The history of a run as Zarr: how records are put behind each other, and how single ones are read back.

One Zarr group for each group of the contract (schema.py), one array for each variable, cut along `step` into chunks of
about a megabyte. Arrays are longer than what they hold, so that not every write has to change their metadata; how many
records count is written elsewhere, in the run's commit. What lies behind them was left by a write that never finished.
"""

import asyncio
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore

from tlab_core.runs.files import RunError, sync_folder, write_whole
from tlab_core.schema import COORDINATES, EDGES, GROUPS, Group, Variable

CHUNK = 1 << 20  # bytes: one step of a map is read in a millisecond, and a long curve is a few dozen files
MOST_RECORDS = 4096  # in a chunk
ROOM = 1024  # records by which an array grows when it is full, or by half its length if that is more
STEP = Variable((), *COORDINATES["step"], "int64")
# Measured on 20 s of the lab's first experiment: 0.08 s, 15 MB. Zstd makes 13 MB of it in 0.12 s.
COMPRESSOR = BloscCodec(cname="lz4", clevel=1, shuffle="shuffle")
BLOSC = numcodecs.Blosc(cname="lz4", clevel=1, shuffle=numcodecs.Blosc.SHUFFLE)  # the same, for the chunks written here


class DurableStore(LocalStore):
    """A folder of Zarr files in which each file is replaced whole, and on the disk before it is."""

    changed: set[Path]  # folders whose names have yet to be made to last

    async def set(self, key: str, value: Any) -> None:
        """Write one chunk or one piece of metadata."""
        self._check_writable()
        path = self.root / key

        def write() -> None:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                self.changed.add(path.parent.parent)
            write_whole(path, value.as_buffer_like())
            self.changed.add(path.parent)

        await asyncio.to_thread(write)


class HistoryFile:
    """The Zarr hierarchy in `path`, open for writing. `records` are the records by group that count.

    Zarr makes the arrays and lengthens them; their chunks are written here, as Zarr would, since it passes each of them
    through four threads, and all of those wait for Python's lock while a run trains.
    """

    def __init__(self, path: Path, records: Mapping[str, int], groups: Mapping[str, Group] = GROUPS):
        self.path, self.groups = path, groups
        self.records = dict(records)
        self._store = DurableStore(path)
        self._store.changed = set()
        self._root = guarded(path, lambda: zarr.open_group(self._store, mode="r+", zarr_format=3, use_consolidated=False))
        self.attributes = dict(self._root.attrs)
        self._arrays = guarded(path, lambda: {
            (name, variable): self._root[f"{name}/{variable}"] for name, group in groups.items()
            for variable in ("step", *group.variables)
        })  # fmt: skip
        # The chunk that is being filled, as it counts, and as it will when what was appended counts too.
        self._tails = {key: self._last_chunk(key) for key in self._arrays}
        self._next: dict[tuple[str, str], np.ndarray] = {}

    @classmethod
    def create(cls, path: Path, coordinates: Mapping[str, np.ndarray], attributes: Mapping[str, Any],
               groups: Mapping[str, Group] = GROUPS) -> "HistoryFile":
        """Write an empty history with these coordinates, as `History` has them."""
        store = DurableStore(path)
        store.changed = set()
        root = zarr.create_group(store, zarr_format=3, attributes=dict(attributes))
        for name, group in groups.items():
            # The attribute by which xarray knows coordinates that are no dimension.
            node = root.create_group(name, attributes={"coordinates": " ".join(EDGES[name])} if name in EDGES else {})
            for variable, spec in {"step": STEP, **group.variables}.items():
                _create(node, variable, spec, tuple(len(coordinates[dim]) for dim in spec.dims))
            for coordinate, dims, values, words in _fixed(name, coordinates):
                values = values.astype(np.dtypes.StringDType()) if values.dtype.kind == "U" else values
                node.create_array(coordinate, data=values, dimension_names=dims, attributes=words)
        sync_folder(*store.changed)
        return cls(path, dict.fromkeys(GROUPS, 0), groups)

    def move(self, path: Path) -> None:
        """Go on in another place, to which the folder has been moved; nothing is read anew."""
        self._store.changed = {path / folder.relative_to(self.path) for folder in self._store.changed}
        self.path = self._store.root = path  # where every array looks at each access

    def append(self, group: str, columns: Mapping[str, np.ndarray]) -> None:
        """Write records behind those that count; they count once `settle` says so.

        Writing the same records once more, after an error, puts them into the same places.
        """
        start = self.records[group]
        for variable, values in columns.items():
            array, tail = self._arrays[group, variable], self._tails[group, variable]
            stop, length = start + len(values), array.chunks[0]
            if stop > array.shape[0]:
                array.resize((max(stop, array.shape[0] + max(ROOM, array.shape[0] // 2)), *array.shape[1:]))
            for chunk in range(start // length, -(-stop // length)):
                low, high = max(start, chunk * length), min(stop, (chunk + 1) * length)
                if low % length == 0:
                    tail = np.full(array.chunks, array.fill_value, array.dtype)
                tail[low - chunk * length : high - chunk * length] = values[low - start : high - start]
                write_whole(self.path / group / variable / chunk_name(chunk, array.ndim), BLOSC.encode(tail))
            self._next[group, variable] = tail
            self._store.changed.add(self.path / group / variable)

    def settle(self, records: Mapping[str, int]) -> None:
        """Let all that was appended count."""
        self.records = dict(records)
        self._tails |= self._next
        self._next = {}

    def _last_chunk(self, key: tuple[str, str]) -> np.ndarray:
        array, count = self._arrays[key], self.records[key[0]]
        tail = np.full(array.chunks, array.fill_value, array.dtype)
        first = count // array.chunks[0] * array.chunks[0]
        if count > first:
            tail[: count - first] = guarded(self.path / key[0] / key[1], lambda: array[first:count])
        return tail

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Let the root have these attributes."""
        if dict(attributes) != self.attributes:
            self._root.attrs.put(dict(attributes))
            self.attributes = dict(attributes)

    def sync(self) -> None:
        """Make all that was written last through a power cut."""
        sync_folder(*self._store.changed)
        self._store.changed.clear()

    def trim(self) -> None:
        """Cut the arrays back to the records that count, for other programs that read them."""
        for (group, _), array in self._arrays.items():
            if array.shape[0] != self.records[group]:
                array.resize((self.records[group], *array.shape[1:]))


def chunk_name(chunk: int, dims: int) -> str:
    """Return the file that holds a chunk of an array, which is cut along its first dimension only."""
    return ".".join(["c", str(chunk), *["0"] * (dims - 1)])


def _create(node: zarr.Group, name: str, spec: Variable, shape: tuple[int, ...]) -> None:
    size = math.prod(shape) * np.dtype(spec.dtype).itemsize
    records = max(1, min(MOST_RECORDS, CHUNK // max(size, 1)))
    node.create_array(
        name, shape=(ROOM, *shape), chunks=(records, *shape), dtype=spec.dtype,
        dimension_names=("step", *spec.dims), attributes={"long_name": spec.long_name, "units": spec.units},
        fill_value=math.nan if np.dtype(spec.dtype).kind == "f" else -1, compressors=COMPRESSOR,
        chunk_key_encoding={"name": "default", "separator": "."},
    )  # fmt: skip


def _fixed(group: str, coordinates: Mapping[str, np.ndarray]) -> Iterator[tuple]:
    """Yield (name, dimensions, values, attributes) of a group's coordinates but `step`."""
    for dim in GROUPS[group].dims:
        long_name, units = COORDINATES[dim]
        yield dim, (dim,), np.asarray(coordinates[dim]), {"long_name": long_name, "units": units}
    for edge, (values, long_name, units) in EDGES.get(group, {}).items():
        yield edge, ("bin",), np.asarray(values), {"long_name": long_name, "units": units}


# ---- reading


class StoredArray:
    """The first `count` records of one variable on the disk.

    Of what it reads it keeps the last chunk, so that going from record to record doesn't unpack a megabyte each time, and
    curves (one number a record) once they were read whole.
    """

    def __init__(self, path: Path, spec: Variable, shape: tuple[int, ...], count: int):
        self.path = path
        self.dtype = np.dtype(spec.dtype)
        self.shape = (count, *shape)
        array = opened(path)
        if array.shape[1:] != shape or array.dtype != self.dtype:
            raise RunError(f"{path} holds {array.dtype} of shape {array.shape}; expected {self.dtype}, {shape} a record.")
        if array.shape[0] < count:
            raise RunError(f"{path} has {array.shape[0]:,} records, but the commit speaks of {count:,}: some are lost.")
        self._array = array
        self._length = array.chunks[0]
        self._kept: tuple[int, np.ndarray] = (0, np.empty((0, *shape), self.dtype))  # first record, records

    def read(self, key: tuple) -> np.ndarray:
        """Return what `key` (for each dimension a whole number, a slice or an array of places) asks for.

        Raises RunError when a file that it needs is missing or broken.
        """
        places = np.arange(self.shape[0])[key[0]]
        low, high = (int(places.min()), int(places.max()) + 1) if places.size else (0, 0)
        first, kept = self._kept
        if not first <= low <= high <= first + len(kept):
            first, kept = self._load(low, high)
        return _outer(kept[places - first], places.ndim, key[1:])

    def _load(self, low: int, high: int) -> tuple[int, np.ndarray]:
        """Read the records low ... high - 1 and the rest of the chunk if they lie in one."""
        length = self._length
        one_chunk = low // length == (high - 1) // length
        if one_chunk:
            low, high = low // length * length, min(self.shape[0], (low // length + 1) * length)
        for chunk in range(low // length, (high - 1) // length + 1):
            name = chunk_name(chunk, len(self.shape))
            if not (self.path / name).is_file():
                raise RunError(f"{self.path / name} is missing: records {chunk * length:,} and on are lost.")
        records = guarded(self.path, lambda: np.asarray(self._array[low:high]))
        if one_chunk or (len(self.shape) == 1 and high - low == self.shape[0]):
            self._kept = low, records
        return low, records


def _outer(block: np.ndarray, axis: int, keys: tuple) -> np.ndarray:
    """Index the axes from `axis` on, each by its own key, as if one after the other."""
    for key in keys:
        block = block[(*[slice(None)] * axis, key)]
        axis += np.ndim(key) if not isinstance(key, slice) else 1
    return block


def opened(path: Path) -> zarr.Array:
    """Return the Zarr array in a folder, read-only, or raise RunError."""
    return guarded(path, lambda: zarr.open_array(LocalStore(path, read_only=True), mode="r", zarr_format=3))


def guarded(path: Path, read: Any) -> Any:
    """Return what `read()` does; whatever a broken file makes Zarr and its codecs raise becomes a RunError."""
    try:
        return read()
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"{path} can't be read ({reason}).") from error
