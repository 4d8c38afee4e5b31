"""Masks as run lengths in text: decoded, encoded, and read from the rows of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import BadImageError
from medtransfer.data.image_source import UInt8Array
from medtransfer.data.inside_root import path_inside

EMPTY = "-1"
"""What stands in place of runs when there is no mask."""


def decode_runs(
    text: str, height: int, width: int, *, relative: bool, name: str = "run lengths"
) -> UInt8Array:
    """Return the mask of run lengths that go down the columns.

    Args:
        text: Pairs of start and length, separated by blanks; ``-1`` or nothing for an empty mask.
        height: H.
        width: W.
        relative: Whether a start is the gap after the end of the previous run, counted from 0, as in
            SIIM-ACR; else it is the pixel's number counted from 1.
        name: What to call the mask in a message.

    Returns:
        Shape (H, W), uint8; 1 inside.

    Raises:
        BadImageError: If the text is no pairs of numbers, or a run overlaps another or leaves the image.

    Example:
        >>> decode_runs("1 2 3 1", 3, 4, relative=True)
        array([[0, 0, 1, 0],
               [1, 0, 0, 0],
               [1, 0, 0, 0]], dtype=uint8)
    """
    mask = np.zeros(height * width, dtype=np.uint8)
    words = text.split()
    if words not in ([], [EMPTY]):
        starts, lengths = _pairs(words, name)
        if relative:
            ends = np.cumsum(starts + lengths)
            starts = ends - lengths
        else:
            starts = starts - 1
            ends = starts + lengths
        if starts[0] < 0 or (starts[1:] < ends[:-1]).any() or ends[-1] > mask.size or lengths.min() < 1:
            raise BadImageError(
                f"{name}: expected runs one after another inside {width} x {height} pixels, got others "
                f"(the last ends at {int(ends[-1])} of {mask.size}). Is this the mask of another image?"
            )
        steps = np.zeros(mask.size + 1, dtype=np.int8)
        steps[starts] += 1
        steps[ends] -= 1
        mask = np.cumsum(steps[:-1], dtype=np.int8).astype(np.uint8)
    return np.ascontiguousarray(mask.reshape(width, height).T)


def encode_runs(mask: npt.NDArray[np.uint8], *, relative: bool) -> str:
    """Return the run lengths of a mask, the inverse of :func:`decode_runs`.

    Example:
        >>> encode_runs(np.array([[0, 0, 1, 0], [1, 0, 0, 0], [1, 0, 0, 0]], np.uint8), relative=True)
        '1 2 3 1'
    """
    inside = np.concatenate([[0], (mask.T.ravel() > 0).astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(inside))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return EMPTY
    firsts = starts - np.concatenate([[0], ends[:-1]]) if relative else starts + 1
    return " ".join(f"{first} {length}" for first, length in zip(firsts, ends - starts, strict=True))


@dataclass(frozen=True)
class RunLengthTable:
    """A CSV file with run lengths: several rows may belong to one image, and are united."""

    path: str
    """The file, below the data folder."""
    id_column: str
    """Column with the image's id; blanks around header names do not count."""
    runs_column: str
    """Column with the run lengths."""
    relative: bool
    """As in :func:`decode_runs`."""

    def texts(self, root: Path) -> Mapping[str, tuple[str, ...]]:
        """Return the run lengths of every image of the file, by id.

        Raises:
            BadImageError: If the file or a column is missing.
        """
        path = path_inside(root, self.path)
        try:
            status = path.stat()
        except OSError as error:
            raise BadImageError(f"{self.path}: expected a CSV file, got {error.strerror}.") from error
        return _texts(self, path, status.st_size, status.st_mtime_ns)

    def read(self, root: Path, image_id: str, height: int, width: int) -> UInt8Array:
        """Return the union of an image's masks, shape (H, W).

        Raises:
            BadImageError: If the file has no row for the image, or a row is damaged.
        """
        rows = self._rows(root, image_id)
        masks = [
            decode_runs(
                text, height, width, relative=self.relative, name=f"{self.path}: {self.id_column} {image_id}"
            )
            for text in rows
        ]
        return np.asarray(np.maximum.reduce(masks))

    def text(self, root: Path, image_id: str) -> str:
        """Return all of an image's rows as one text, for hashing.

        Raises:
            BadImageError: If the file has no row for the image.
        """
        return "\n".join(self._rows(root, image_id))

    def _rows(self, root: Path, image_id: str) -> tuple[str, ...]:
        rows = self.texts(root).get(image_id)
        if rows is None:
            raise BadImageError(
                f"{self.path}: expected a row whose {self.id_column} is {image_id!r}, got none. Add it."
            )
        return rows


@lru_cache(maxsize=4)
def _texts(table: RunLengthTable, path: Path, size: int, mtime_ns: int) -> Mapping[str, tuple[str, ...]]:
    del size, mtime_ns  # part of the cache's key: a changed file is read again
    found: dict[str, tuple[str, ...]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in (table.id_column, table.runs_column) if name not in header]
            if missing:
                raise BadImageError(f"{table.path}: expected the columns {missing!r}, got {header!r}.")
            at_id, at_runs = header.index(table.id_column), header.index(table.runs_column)
            for row in reader:
                if len(row) != len(header):
                    raise BadImageError(
                        f"{table.path}: line {reader.line_num}: expected {len(header)} cells, got {len(row)}."
                    )
                image_id = row[at_id].strip()
                found[image_id] = (*found.get(image_id, ()), row[at_runs].strip())
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadImageError(f"{table.path}: expected a CSV file in UTF-8, got {error}.") from error
    return MappingProxyType(found)


def _pairs(words: list[str], name: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    try:
        numbers = np.array(words, dtype=np.int64)
    except (ValueError, OverflowError):
        numbers = np.empty(1, dtype=np.int64)
    if len(numbers) % 2 or numbers.min() < 0:
        raise BadImageError(f"{name}: expected pairs of start and length, got {' '.join(words)[:60]!r}.")
    return numbers[::2], numbers[1::2]
