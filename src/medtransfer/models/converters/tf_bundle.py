"""A reader of TensorFlow's tensor bundles, the ``.index`` and ``.data`` files of a checkpoint.

The index is a sorted table of names: blocks of entries that leave out what they share with the entry before,
a block that lists the blocks, and a footer that says where that one lies. Each value is a small protocol
buffer: type, shape, data file, place, length and checksum. Every checksum is compared.

Reference:
    The comments of ``tensorflow/core/util/tensor_bundle`` and ``leveldb/doc/table_format.md``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import IO

import numpy as np

from medtransfer.models.converters.crc32c import crc32c, unmasked
from medtransfer.models.converters.raw_tensors import TYPES, RawTensor

FOOTER_BYTES = 48
FOOTER_MAGIC = 0xDB4775248B80FB57
TRAILER_BYTES = 5
NAMES = {
    1: "F32",
    2: "F64",
    3: "I32",
    4: "U8",
    5: "I16",
    6: "I8",
    9: "I64",
    10: "BOOL",
    14: "BF16",
    19: "F16",
}
"""TensorFlow's number of a type to its name in safetensors; texts and resources have none."""

MOST_ENTRIES = 100_000


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies."""

    type: int = 0
    """TensorFlow's number of its type."""
    shape: tuple[int, ...] = ()
    """Its shape."""
    shard: int = 0
    """Which data file."""
    offset: int = 0
    """First byte there."""
    size: int = 0
    """Bytes."""
    checksum: int = 0
    """Stored checksum of those bytes."""
    sliced: bool = False
    """Whether it is stored in parts."""


@dataclass
class _Message:
    """Fields of a protocol buffer: number to values in order."""

    fields: dict[int, list[int | bytes]] = field(default_factory=dict)

    def number(self, key: int) -> int:
        value = self.fields.get(key, [0])[-1]
        if not isinstance(value, int):
            raise TypeError(f"expected a number in field {key}, got bytes")
        return value

    def parts(self, key: int) -> list[bytes]:
        return [value for value in self.fields.get(key, []) if isinstance(value, bytes)]


def read_index(content: bytes) -> tuple[dict[str, Entry], int]:
    """Return the entries of an index file by tensor name, and the number of data files.

    Raises:
        ValueError: If the bytes are no such index, or are damaged.
    """
    if len(content) < FOOTER_BYTES or struct.unpack("<Q", content[-8:])[0] != FOOTER_MAGIC:
        raise ValueError("expected the index of a TensorFlow checkpoint, got a file without its footer")
    _, position = _handle(content, len(content) - FOOTER_BYTES)
    place, _ = _handle(content, position)
    entries: dict[str, Entry] = {}
    shards = 0
    for _, handle in _block_entries(_block(content, *place)):
        for key, value in _block_entries(_block(content, *_handle(handle, 0)[0])):
            if key == b"":
                shards = _shards(_message(value))
            else:
                entries[key.decode("utf-8")] = _entry(_message(value))
            if len(entries) > MOST_ENTRIES:
                raise ValueError(f"expected at most {MOST_ENTRIES:,} tensors, got more")
    return entries, shards


def read_tensor(entry: Entry, shards: Sequence[IO[bytes]]) -> RawTensor | None:
    """Return one tensor, or None if it holds no numbers.

    Raises:
        ValueError: If its bytes are not what the index says.
    """
    kind = NAMES.get(entry.type)
    if kind is None or entry.sliced:
        return None
    values = np.dtype(TYPES[kind])
    if entry.size != prod(entry.shape) * values.itemsize or entry.shard >= len(shards):
        raise ValueError(f"expected {prod(entry.shape):,} numbers of {kind}, got {entry.size:,} bytes")
    stream = shards[entry.shard]
    stream.seek(entry.offset)
    content = stream.read(entry.size)
    if len(content) != entry.size or crc32c(content) != unmasked(entry.checksum):
        raise ValueError("expected the bytes the index has a checksum of, got others: a damaged data file")
    return RawTensor(kind, np.frombuffer(content, values).reshape(entry.shape))


def _entry(message: _Message) -> Entry:
    shape = [_message(dim).number(1) for part in message.parts(2) for dim in _message(part).parts(2)]
    return Entry(
        type=message.number(1),
        shape=tuple(shape),
        shard=message.number(3),
        offset=message.number(4),
        size=message.number(5),
        checksum=message.number(6),
        sliced=bool(message.parts(7)),
    )


def _shards(header: _Message) -> int:
    if header.number(2) != 0:
        raise ValueError("expected numbers in little-endian order, got others")
    return header.number(1)


def _handle(content: bytes, position: int) -> tuple[tuple[int, int], int]:
    offset, position = _varint(content, position)
    size, position = _varint(content, position)
    return (offset, size), position


def _block(content: bytes, offset: int, size: int) -> bytes:
    block, trailer = content[offset : offset + size], content[offset + size :][:TRAILER_BYTES]
    if len(block) != size or len(trailer) != TRAILER_BYTES:
        raise ValueError("expected a whole index, got one whose blocks lie beyond its end")
    if trailer[0] != 0:
        raise ValueError(f"expected an index that is not compressed, got compression {trailer[0]}")
    if crc32c(block + trailer[:1]) != unmasked(struct.unpack("<I", trailer[1:])[0]):
        raise ValueError("expected the checksum of an index block, got another: a damaged index")
    return block


def _block_entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise ValueError("expected a block of names, got one without its end")
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        own, position = _varint(block, position)
        length, position = _varint(block, position)
        if shared > len(key) or position + own + length > end:
            raise ValueError("expected a block of names, got one whose lengths disagree")
        key = key[:shared] + block[position : position + own]
        position += own + length
        yield key, block[position - length : position]


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise ValueError("expected a number, got the end of the index")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("expected a number of at most ten bytes, got a longer one")


def _message(content: bytes) -> _Message:
    message = _Message()
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        value: int | bytes
        if tag & 7 == 0:
            value, position = _varint(content, position)
        elif tag & 7 == 2:
            length, position = _varint(content, position)
            value = _slice(content, position, length)
            position += length
        elif tag & 7 in {1, 5}:
            length = 8 if tag & 7 == 1 else 4
            value = int.from_bytes(_slice(content, position, length), "little")
            position += length
        else:
            raise ValueError(f"expected a field of an index entry, got one of kind {tag & 7}")
        message.fields.setdefault(tag >> 3, []).append(value)
    return message


def _slice(content: bytes, position: int, length: int) -> bytes:
    part = content[position : position + length]
    if len(part) != length:
        raise ValueError("expected a whole index entry, got a part of one")
    return part
