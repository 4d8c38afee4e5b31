"""Strict check of a safetensors header before the library sees the file.

The library accepts duplicate keys (the last one counts), so a file could show one set of weights to
one reader and another set to the next; sizes and types are checked here too, before memory is taken.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from medtransfer.core.errors import WeightsError

MOST_HEADER_BYTES = 100_000_000
MOST_TENSORS = 100_000
MOST_NAME_BYTES = 512
LENGTH_BYTES = 8

RECORD_KEY = "medtransfer"
"""Where the header of a file we converted says from what; one text, since their order is not kept."""

ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Types that are read, with their sizes in bytes."""


def check_safetensors(path: Path) -> dict[str, str]:
    """Check that a file is a well-formed safetensors file within our caps.

    Returns:
        The texts its header holds beside the tensors.

    Raises:
        WeightsError: If the header is damaged, too large, repeats a name, or does not describe the
            bytes of the file exactly.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = _header_length(path, stream.read(LENGTH_BYTES), size)
        header = _parsed(path, stream.read(length))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if len(tensors) > MOST_TENSORS:
        raise _refusal(path, f"at most {MOST_TENSORS:,} tensors", f"{len(tensors):,}")
    ranges = sorted(_byte_range(path, name, entry) for name, entry in tensors.items())
    _check_ranges(path, ranges, size - LENGTH_BYTES - length)
    return _texts(path, header.get("__metadata__", {}))


def conversion_record(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return what our own conversion wrote into a header; empty for files of others."""
    try:
        record = json.loads(metadata.get(RECORD_KEY, "{}"))
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _texts(path: Path, metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, Mapping) or not all(isinstance(text, str) for text in metadata.values()):
        raise _refusal(path, "texts by name as metadata", f"{metadata!r:.80}")
    return dict(metadata)


def _header_length(path: Path, first: bytes, size: int) -> int:
    if len(first) < LENGTH_BYTES:
        raise _refusal(path, "a header", f"a file of {size} bytes")
    length: int = struct.unpack("<Q", first)[0]
    if length > min(MOST_HEADER_BYTES, size - LENGTH_BYTES):
        raise _refusal(
            path,
            f"a header of at most {MOST_HEADER_BYTES:,} bytes inside a file of {size:,}",
            f"{length:,} bytes",
        )
    return length


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _refusal(path, "a JSON header with unique names", f"{type(error).__name__}: {error}") from error
    if not isinstance(header, dict):
        raise _refusal(path, "a JSON object as header", f"a {type(header).__name__}")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in result if names.count(name) > 1)
        raise ValueError(f"the name {repeated!r:.80} is there twice")
    return result


def _byte_range(path: Path, name: str, entry: Any) -> tuple[int, int, str]:
    if len(name.encode("utf-8", "surrogatepass")) > MOST_NAME_BYTES:
        raise _refusal(path, f"names of at most {MOST_NAME_BYTES} bytes", f"{name[:40]!r}…")
    if not isinstance(entry, Mapping) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _refusal(path, f"dtype, shape and data_offsets of {name!r}", f"{entry!r:.80}")
    item_bytes = ITEM_BYTES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if item_bytes is None:
        raise _refusal(path, f"{name!r} of type {', '.join(ITEM_BYTES)}", f"{entry['dtype']!r:.40}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2 or len(shape) > 16:
        raise _refusal(path, f"a shape and two offsets of {name!r}", f"{shape!r:.60} and {offsets!r:.60}")
    begin, end = offsets
    if end - begin != prod(shape) * item_bytes:
        raise _refusal(path, f"{prod(shape) * item_bytes:,} bytes of {name!r}", f"{end - begin:,}")
    return begin, end, name


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _check_ranges(path: Path, ranges: list[tuple[int, int, str]], data_bytes: int) -> None:
    """Check that the tensors follow each other without hole or overlap and fill the file."""
    position = 0
    for begin, end, name in ranges:
        if begin != position:
            raise _refusal(path, f"{name!r} to begin at byte {position:,}", f"{begin:,} (hole or overlap)")
        position = end
    if position != data_bytes:
        raise _refusal(
            path, f"{position:,} bytes of tensors", f"{data_bytes:,} (a truncated or altered file)"
        )


def _refusal(path: Path, expected: str, got: str) -> WeightsError:
    return WeightsError(f"weights file {path.name}: expected {expected}, got {got}. Get the file again.")
