"""What stands in a pickle for the classes and functions it names: plain records, and arrays of numbers.

Nothing is ever imported by name. A name either has a stand-in of ours, or belongs to a class whose state is
kept as plain data, or the file is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from medtransfer.models.converters.raw_tensors import TYPES, RawTensor, raw_tensor

MOST_ITEMS = 2**34
"""Numbers one array may hold."""


class Record:
    """An object of a class that is not imported: what it was called with and its state."""

    __slots__ = ("arguments", "entries", "state")
    asked = ""
    arguments: tuple[Any, ...]
    entries: dict[Any, Any]
    state: Any

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Keep the arguments and run nothing."""
        made = object.__new__(cls)
        made.arguments = (*arguments, *named.values())
        made.state, made.entries = {}, {}
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, value: Any) -> None:
        """Leave out an item of a list of some other class."""

    def extend(self, values: Any) -> None:
        """Leave out items of a list of some other class."""


class Table(dict[Any, Any]):
    """A dictionary of whatever kind; attributes beside its entries are left out."""

    def __setstate__(self, state: Any) -> None:
        pass


class Call:
    """A function of ours under the name the file asks for; nothing can be written onto it."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self._function(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError("expected a function to be called, got one that is written to")

    def __setstate__(self, state: Any) -> None:
        raise TypeError("expected a function to be called, got one that is written to")


class NumpyType:
    """A numpy number type on its way out of a pickle."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order in {"<", ">", "|"}:
            self.text = order + self.text.lstrip("<>|=")

    def type(self) -> np.dtype[Any]:
        """Return the type; numbers only.

        Raises:
            ValueError: If it is no plain number type.
        """
        bare = self.text.lstrip("<>|=")
        if bare not in {"f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"}:
            raise ValueError(f"expected an array of numbers, got one of type {self.text!r:.40}")
        return np.dtype(self.text)


class NumpyArray:
    """A numpy array on its way out of a pickle."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        shape, kind, by_column, content = state[-4:]
        content = content.encode("latin1") if isinstance(content, str) else content
        if not isinstance(kind, NumpyType) or not isinstance(content, bytes | bytearray):
            raise ValueError("expected an array of numbers, got one of objects")  # noqa: TRY004 (of the file)
        self.values = array_of(content, kind, shape, "F" if by_column else "C")


def array_of(content: Any, kind: NumpyType, shape: Any, order: str = "C") -> np.ndarray:
    """Return the array some bytes stand for.

    Raises:
        ValueError: If they do not fill the shape exactly.
    """
    values = np.frombuffer(content, dtype=kind.type())
    sizes = counts(shape)
    return values.reshape(sizes, order="F" if order == "F" else "C")


def counts(shape: Any) -> tuple[int, ...]:
    """Return a shape from a pickle after checking that it is one.

    Raises:
        ValueError: If it is not.
    """
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if len(sizes) > 16 or not all(type(size) is int and 0 <= size <= MOST_ITEMS for size in sizes):
        raise ValueError(f"expected a shape, got {sizes!r:.60}")
    return sizes


class TorchStorage:
    """The numbers behind torch tensors; their bytes may arrive after the pickle."""

    __slots__ = ("content", "count", "key", "type")

    def __init__(self, kind: str, key: str, count: int) -> None:
        self.type, self.key, self.count = kind, key, count
        self.content: bytes | memoryview | None = None

    def numbers(self) -> np.ndarray:
        """Return all its numbers.

        Raises:
            ValueError: If the file does not hold them.
        """
        wanted = np.dtype(TYPES[self.type])
        if self.content is None or len(self.content) != self.count * wanted.itemsize:
            found = "none" if self.content is None else f"{len(self.content):,}"
            expected = f"{self.count * wanted.itemsize:,}"
            raise ValueError(f"expected {expected} bytes of storage {self.key!r:.40}, got {found}")
        return np.frombuffer(self.content, dtype=wanted)


class TorchTensor:
    """A view into a storage."""

    __slots__ = ("offset", "shape", "storage", "strides")

    def __init__(self, storage: TorchStorage, offset: int, shape: Any, strides: Any) -> None:
        if not isinstance(storage, TorchStorage):
            raise TypeError("expected a tensor over a storage, got one over something else")
        self.storage = storage
        self.shape, self.strides = counts(shape), counts(strides)
        (self.offset,) = counts(offset)

    def tensor(self) -> RawTensor:
        """Return its numbers.

        Raises:
            ValueError: If it reaches beyond its storage.
        """
        numbers = self.storage.numbers()
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * step for size, step in steps)
        if 0 in self.shape:
            return RawTensor(self.storage.type, np.empty(self.shape, numbers.dtype))
        if last >= len(numbers):
            raise ValueError(f"expected a tensor inside its storage of {len(numbers):,}, got {last + 1:,}")
        if np.prod(self.shape, dtype=object) > len(numbers):
            raise ValueError(f"expected at most the {len(numbers):,} numbers of a storage, got {self.shape}")
        item = numbers.itemsize
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, [step * item for step in self.strides], writeable=False
        )
        return RawTensor(self.storage.type, view)


class StorageType:
    """A torch storage class, which only says the type of its numbers."""

    __slots__ = ("type",)

    def __init__(self, kind: str) -> None:
        self.type = kind

    def __setstate__(self, state: Any) -> None:
        raise TypeError("expected a type to be named, got one that is written to")


def tensor_of(value: Any) -> RawTensor | None:
    """Return the tensor a stand-in is, or None if it is something else."""
    if isinstance(value, TorchTensor):
        return value.tensor()
    if isinstance(value, NumpyArray) and value.values is not None:
        return raw_tensor(value.values)
    return None


def entries_of(value: Any) -> Mapping[Any, Any] | None:
    """Return what a stand-in holds by name, or None if it is no collection of named things."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Record):
        if value.entries:
            return value.entries
        state = value.state[0] if isinstance(value.state, tuple) and value.state else value.state
        inside = value.arguments[0] if len(value.arguments) == 1 else state
        return inside if isinstance(inside, dict) and inside else None
    return None
