"""One conversion inside the isolated process: read, rename, check, write."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import IO, Any

import numpy as np

from medtransfer.models.converters.array_unpickler import RefusedName
from medtransfer.models.converters.isolation import RefusedAction
from medtransfer.models.converters.raw_tensors import Converted, write_safetensors

Function = Callable[[Sequence[IO[bytes]], Mapping[str, Any]], Converted]

SHOWN = 1000
"""Names that are handed back at most."""


def prepare(function: str) -> Function:
    """Import a converter and all that reading needs, since nothing can be imported later."""
    for name in (
        "zipfile",
        "zlib",
        "encodings.cp437",
        "encodings.latin_1",
        "encodings.ascii",
        "json.encoder",
    ):
        import_module(name)
    np.lib.stride_tricks.as_strided(np.zeros(2, np.float32), (1,), (4,), writeable=False)
    module, _, name = function.partition(":")
    found: Function = getattr(import_module(module), name)
    return found


def run(
    function: Function, streams: Sequence[IO[bytes]], target: IO[bytes], request: Mapping[str, Any]
) -> dict[str, Any]:
    """Convert, write the result and return its account.

    Raises:
        ValueError: If the file is not what the converter reads.
        RefusedName: If its pickle asks for a class or function that is not admitted.
    """
    converted = function(streams, request)
    write_safetensors(target, converted.tensors, request["record"])
    return {
        "tensors": len(converted.tensors),
        "values": int(sum(tensor.values.size for tensor in converted.tensors.values())),
        "left_out": [_plain(name) for name in converted.left_out[:SHOWN]],
        "asked": [_plain(name) for name in converted.asked[:SHOWN]],
    }


def failure(error: BaseException) -> dict[str, Any]:
    """Return the answer to a file that was not converted: ``unsafe``, ``memory`` or ``damaged``, and why."""
    if isinstance(error, RefusedName):
        return {"error": "unsafe", "message": f"asks for {str(error)!r:.120}"}
    if isinstance(error, RefusedAction):
        return {"error": "unsafe", "message": str(error)}
    if isinstance(error, MemoryError):
        return {"error": "memory", "message": "it needs more memory than a conversion may use"}
    kind = "" if isinstance(error, ValueError) and str(error).startswith("expected") else type(error).__name__
    if isinstance(error, pickle.UnpicklingError):
        kind = "damaged pickle"
    return {"error": "damaged", "message": ": ".join(filter(None, (kind, _plain(str(error)))))}


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))[:300]
