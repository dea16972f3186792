"""How numbers lie in the file: columns as float32, attention as one byte a weight, compressed, as text.

A block is, before compression: the length of a header (4 bytes, little-endian), the header (JSON, padded to a multiple of
4), all number columns one after the other (float32), all weights (bytes). static/snapshot_data.js reads it.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from tlab_dash.snapshot.frames import Frame, Picture

LEVEL = 6  # of gzip; 9 takes three times as long for one percent


def packed(frames: list[Frame]) -> tuple[str, dict[int, str]]:
    """Return the frames of one run as blocks: one with the columns that several of them have in common, and one a step."""
    seen: Counter = Counter()
    for frame in frames:
        seen.update({_key(column) for picture in _pictures(frame) for column in _columns(picture)})
    common = _Columns({})
    for frame in frames:
        for picture in _pictures(frame):
            for column in _columns(picture):
                if seen[_key(column)] > 1:
                    common.place(column)
    return common.block({}), {frame.step: _frame_block(frame, common.places) for frame in frames}


def as_text(header: dict[str, Any], numbers: bytes, weights: bytes) -> str:
    """Return a block as base64 of its gzip; the same input gives the same text."""
    told = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    told += b" " * (-len(told) % 4)
    whole = len(told).to_bytes(4, "little") + told + numbers + weights
    return base64.b64encode(gzip.compress(whole, LEVEL, mtime=0)).decode()


class _Columns:
    """Columns laid down once each; `places` says where: 0, 1, 2 ... among numbers, -1, -2, -3 ... among texts.

    A frame's columns count on from those that all frames share.
    """

    def __init__(self, shared: dict[Any, int]):
        self.places = dict(shared)
        self._numbers: list[np.ndarray] = []
        self._texts: list[list[str]] = []
        self._first = sum(place >= 0 for place in shared.values()), sum(place < 0 for place in shared.values())

    def place(self, column: np.ndarray) -> int:
        key = _key(column)
        if key not in self.places:
            if column.dtype.kind == "O":
                self._texts.append([str(text) for text in column])
                self.places[key] = -self._first[1] - len(self._texts)
            else:
                self._numbers.append(_single(column))
                self.places[key] = self._first[0] + len(self._numbers) - 1
        return self.places[key]

    def block(self, header: dict[str, Any], weights: bytes = b"") -> str:
        lengths = {"numbers": [len(column) for column in self._numbers], "texts": self._texts}
        return as_text(header | lengths, b"".join(column.tobytes() for column in self._numbers), weights)


def _frame_block(frame: Frame, shared: dict[Any, int]) -> str:
    columns = _Columns(shared)
    tables = {
        view: {key: {"limits": picture.limits, "note": picture.note,
                     "parts": {part: {name: columns.place(column) for name, column in table.items()}
                               for part, table in picture.parts.items()}}
               for key, picture in pictures.items()}
        for view, pictures in frame.tables.items()
    }  # fmt: skip
    header = {"step": frame.step, "paint": frame.paint, "tables": tables}
    return columns.block(header, frame.weights.tobytes())


def _pictures(frame: Frame) -> Iterable[Picture]:
    return (picture for pictures in frame.tables.values() for picture in pictures.values())


def _columns(picture: Picture) -> Iterable[np.ndarray]:
    return (column for table in picture.parts.values() for column in table.values())


def _single(column: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what lies beyond float32 is infinite: it is drawn at the edge all the same
        return np.asarray(column, dtype="<f4")


def _key(column: np.ndarray) -> Any:
    return tuple(column) if column.dtype.kind == "O" else _single(column).tobytes()
