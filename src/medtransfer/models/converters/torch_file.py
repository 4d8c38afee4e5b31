"""Files of ``torch.save``, archives and the older layout, read without torch into plain containers."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np

from medtransfer.models.converters.array_unpickler import ArrayUnpickler
from medtransfer.models.converters.raw_tensors import TYPES
from medtransfer.models.converters.stand_ins import TorchStorage

MAGIC = 0x1950A86A20F9469CFC6C
"""First pickled number of the older layout."""


def read_pickle(stream: IO[bytes], admits: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """Return what a pickle or a file of ``torch.save`` holds, and the names it asked for.

    Args:
        stream: The open file.
        admits: Patterns of class names whose objects are kept as plain records.

    Raises:
        RefusedName: If it asks for anything else.
        ValueError: If it is damaged.
    """
    if stream.read(4) == b"PK\x03\x04":
        return _read_archive(stream, admits)
    stream.seek(0)
    first, asked = _one(stream, admits, {})
    if first == MAGIC:
        return _read_legacy(stream, admits)
    return first, asked


def _one(
    stream: IO[bytes], admits: Sequence[str], storages: dict[str, TorchStorage]
) -> tuple[Any, tuple[str, ...]]:
    reader = ArrayUnpickler(stream, admits, storages)
    content = reader.load()
    return content, tuple(reader.asked)


def _read_archive(stream: IO[bytes], admits: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    storages: dict[str, TorchStorage] = {}
    with zipfile.ZipFile(stream) as archive:
        names = {PurePosixPath(name).parts[1:]: name for name in archive.namelist()}
        if ("data.pkl",) not in names:
            raise ValueError("expected an archive of torch.save, got one without data.pkl")
        if ("byteorder",) in names and archive.read(names["byteorder",]).strip() != b"little":
            raise ValueError("expected numbers in little-endian order, got others")
        with archive.open(names["data.pkl",]) as pickled:
            content, asked = _one(pickled, admits, storages)
        for key, storage in storages.items():
            if ("data", key) in names:
                storage.content = archive.read(names["data", key])
    return content, asked


def _read_legacy(stream: IO[bytes], admits: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    storages: dict[str, TorchStorage] = {}
    _one(stream, (), {})
    system, _ = _one(stream, (), {})
    if isinstance(system, dict) and system.get("little_endian", True) is not True:
        raise ValueError("expected numbers in little-endian order, got others")
    content, asked = _one(stream, admits, storages)
    keys, _ = _one(stream, (), {})
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise pickle.UnpicklingError("expected the storages the pickle names, got others")
    for key in keys:
        _fill(stream, storages[key])
    return content, asked


def _fill(stream: IO[bytes], storage: TorchStorage) -> None:
    count = int.from_bytes(stream.read(8), "little")
    if count != storage.count:
        raise ValueError(f"expected {storage.count:,} numbers of storage {storage.key!r:.40}, got {count:,}")
    storage.content = stream.read(count * np.dtype(TYPES[storage.type]).itemsize)


assert sys.byteorder == "little", "conversions read numbers in the order of this machine"
