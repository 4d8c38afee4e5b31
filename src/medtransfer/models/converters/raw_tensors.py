"""Arrays with the type names of safetensors, and a writer of such files that needs no library.

The same tensors always give the same bytes: names are sorted and the header holds one text.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from medtransfer.models.safetensors_header import RECORD_KEY

TYPES: dict[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
"""Type name to the numpy type its bytes are kept in; numpy has no bfloat16."""

TYPE_OF = {text: name for name, text in TYPES.items() if name != "BF16"}
"""Numpy type to type name."""


@dataclass(frozen=True)
class RawTensor:
    """An array and the type its bytes mean."""

    type: str
    """Key of :data:`TYPES`."""
    values: np.ndarray
    """The bytes, of the numpy type that :data:`TYPES` gives."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.values.shape

    def permuted(self, axes: tuple[int, ...]) -> RawTensor:
        """Return the tensor with its axes in another order."""
        return RawTensor(self.type, self.values.transpose(axes))

    def reshaped(self, shape: tuple[int, ...]) -> RawTensor:
        """Return the same values in another shape."""
        return RawTensor(self.type, self.values.reshape(shape))


@dataclass(frozen=True)
class Converted:
    """What a converter made of a file."""

    tensors: Mapping[str, RawTensor]
    """Tensors by their new names."""
    left_out: tuple[str, ...] = ()
    """Names in the file that were not taken over."""
    asked: tuple[str, ...] = ()
    """Classes and functions the file's pickle names; none was imported."""


def raw_tensor(values: np.ndarray) -> RawTensor:
    """Return an array with its type name, its bytes in little-endian order.

    Raises:
        ValueError: If the type is none that safetensors holds.
    """
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    name = TYPE_OF.get(values.dtype.str)
    if name is None:
        raise ValueError(f"expected numbers of {', '.join(sorted(TYPE_OF.values()))}, got {values.dtype}")
    return RawTensor(name, values)


def write_safetensors(stream: IO[bytes], tensors: Mapping[str, RawTensor], record: Mapping[str, Any]) -> None:
    """Write tensors and the record of their conversion as a safetensors file."""
    header: dict[str, Any] = {"__metadata__": {RECORD_KEY: json.dumps(dict(record), sort_keys=True)}}
    position = 0
    names = sorted(tensors, key=lambda name: (-tensors[name].values.itemsize, name))
    for name in names:
        tensor = tensors[name]
        end = position + tensor.values.nbytes
        header[name] = {"dtype": tensor.type, "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    stream.write(struct.pack("<Q", len(text)) + text)
    for name in names:
        stream.write(np.ascontiguousarray(tensors[name].values).tobytes())
