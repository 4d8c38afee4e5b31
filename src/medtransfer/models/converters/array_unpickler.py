"""A reader of pickles that knows arrays of numbers and plain containers, and imports nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import IO, Any

from medtransfer.models.converters.stand_ins import (
    Call,
    NumpyArray,
    NumpyType,
    Record,
    StorageType,
    Table,
    TorchStorage,
    TorchTensor,
    array_of,
)

_STORAGES = {
    "Double": "F64",
    "Float": "F32",
    "Half": "F16",
    "BFloat16": "BF16",
    "Long": "I64",
    "Int": "I32",
    "Short": "I16",
    "Char": "I8",
    "Byte": "U8",
    "Bool": "BOOL",
}
_NUMPY_TYPES = {
    **{f"float{bits}": f"f{bits // 8}" for bits in (16, 32, 64)},
    **{f"int{bits}": f"i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"u{bits // 8}" for bits in (8, 16, 32, 64)},
    "bool_": "b1",
    "bool": "b1",
}


class RefusedName(Exception):  # noqa: N818 (what it is, not that it failed)
    """A pickle asks for a class or function that is not admitted."""


class ArrayUnpickler(pickle.Unpickler):
    """Reads one pickle; every name it asks for becomes a stand-in or ends the reading.

    Args:
        stream: The open file.
        admits: Patterns of names whose objects are kept as plain records.
        storages: Storages of torch tensors by key; filled as the pickle names them.
    """

    def __init__(self, stream: IO[bytes], admits: Sequence[str], storages: dict[str, TorchStorage]) -> None:
        super().__init__(stream, encoding="latin1")
        self._admits = tuple(admits)
        self._storages = storages
        self.asked: dict[str, None] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of a name.

        Raises:
            RefusedName: If there is none and the name is not admitted.
        """
        full = f"{module}.{name}"
        self.asked[full] = None
        if full in STAND_INS:
            return STAND_INS[full]
        if full in NUMBER_TYPES:
            return NumpyType(NUMBER_TYPES[full])
        if any(fnmatchcase(full, pattern) for pattern in self._admits):
            return type("Record", (Record,), {"__slots__": (), "asked": full})
        raise RefusedName(full)

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that torch refers to, or the class whose source it keeps beside the weights.

        Raises:
            ValueError: If it is no such reference.
        """
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module" and _is_record_type(pid[1]):
            return pid[1]
        return self._storage(pid)

    def _storage(self, pid: Any) -> TorchStorage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise ValueError(f"expected a reference to a storage, got {pid!r:.60}")
        _, kind, key, _, count = pid[:5]
        if not isinstance(kind, StorageType) or not isinstance(key, str) or type(count) is not int:
            raise ValueError(f"expected a reference to a storage, got {pid!r:.60}")
        if len(pid) > 5 and pid[5] is not None:
            raise ValueError("expected whole storages, got a view of one")
        known = self._storages.setdefault(key, TorchStorage(kind.type, key, count))
        if (known.type, known.count) != (kind.type, count):
            raise ValueError(f"expected one size of storage {key!r:.40}, got two")
        return known


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TorchTensor:
    return TorchTensor(storage, offset, shape, strides)


def _of_type(function: Any, _kind: Any, arguments: Any, *_: Any) -> Any:
    if not isinstance(function, Call) or not isinstance(arguments, tuple):
        raise TypeError("expected a tensor made by torch, got another")
    return function(*arguments)


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _reconstructed(*_: Any) -> NumpyArray:
    return NumpyArray()


def _numpy_type(text: Any, *_: Any) -> NumpyType:
    text = text.text if isinstance(text, NumpyType) else text
    if not isinstance(text, str):
        raise TypeError(f"expected the name of a number type, got {text!r:.40}")
    return NumpyType(text)


def _scalar(kind: Any, content: Any = b"") -> NumpyArray:
    made = NumpyArray()
    made.values = array_of(_as_bytes(content), kind, ())
    return made


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> NumpyArray:
    made = NumpyArray()
    made.values = array_of(bytes(content), kind, shape, order)
    return made


def _rebuilt_array(function: Any, _arguments: Any, state: Any, *_: Any) -> NumpyArray:
    if not isinstance(function, Call):
        raise TypeError("expected an array made by numpy, got another")
    made = NumpyArray()
    made.__setstate__(state)
    return made


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in {"latin1", "latin-1"}:
        raise TypeError("expected bytes written as latin1 text, got something else")
    return text.encode("latin1")


def _as_bytes(content: Any) -> bytes:
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, bytes):
        raise TypeError("expected the bytes of a number, got something else")
    return content


def _tuple_type(name: Any, fields: Any, *_: Any) -> type[Record]:
    names = tuple(str(field) for field in fields)
    return type("Record", (Record,), {"__slots__": (), "asked": str(name), "fields": names})


def _table(*arguments: Any) -> Table:
    entries = arguments[-1] if arguments else ()
    if isinstance(entries, dict | list | tuple):
        return Table(entries)
    return Table()


def _sequence(*arguments: Any) -> list[Any]:
    return list(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else []


def _object(kind: Any, *_: Any) -> Any:
    if not _is_record_type(kind):
        raise TypeError("expected an object of an admitted class, got another")
    return kind.__new__(kind)


def _is_record_type(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Record)


def _calls() -> dict[str, Callable[..., Any]]:
    calls: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch._tensor._rebuild_from_type_v2": _of_type,
        "collections.OrderedDict": _table,
        "collections.defaultdict": _table,
        "collections.Counter": _table,
        "_codecs.encode": _encoded,
        "copy_reg._reconstructor": _object,
        "copyreg._reconstructor": _object,
        "numpy.dtype": _numpy_type,
        "torch.Size": tuple,
        "jax.interpreters.xla._reconstruct_device_array": _rebuilt_array,
        "jax._src.device_array.reconstruct_device_array": _rebuilt_array,
        "jax._src.array._reconstruct_array": _rebuilt_array,
    }
    for core in ("numpy.core", "numpy._core"):
        calls[f"{core}.multiarray._reconstruct"] = _reconstructed
        calls[f"{core}.multiarray.scalar"] = _scalar
        calls[f"{core}.numeric._frombuffer"] = _from_buffer
    for dill in ("dill._dill", "dill.dill"):
        calls[f"{dill}._create_namedtuple"] = _tuple_type
        calls[f"{dill}._create_array"] = _rebuilt_array
    for builtins in ("builtins", "__builtin__"):
        calls.update({f"{builtins}.set": _sequence, f"{builtins}.frozenset": _sequence})
        calls.update({f"{builtins}.list": _sequence, f"{builtins}.tuple": _sequence})
        calls[f"{builtins}.dict"] = _table
    return calls


def _stand_ins() -> dict[str, Any]:
    named: dict[str, Any] = {name: Call(function) for name, function in _calls().items()}
    named |= {f"torch.{name}Storage": StorageType(kind) for name, kind in _STORAGES.items()}
    for name in ("numpy.ndarray", "torch.device", "torch.Tensor", "builtins.object", "__builtin__.object"):
        named[name] = type("Record", (Record,), {"__slots__": (), "asked": name})
    for name in ("float16", "bfloat16", "float32", "float64", "int64", "int32", "bool", "uint8"):
        named[f"torch.{name}"] = StorageType(name)
    return named


STAND_INS = _stand_ins()
"""What the names every checkpoint may use stand for."""

NUMBER_TYPES = {f"numpy.{name}": text for name, text in _NUMPY_TYPES.items()}
"""Numpy's classes of numbers; each use is a record of its own, since a pickle may set its byte order."""
