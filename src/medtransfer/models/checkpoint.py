"""Weights files of any kind to named tensors, without ever running code from the file."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medtransfer.core.errors import UnsafeCheckpointError, WeightsError
from medtransfer.models.safetensors_header import check_safetensors
from medtransfer.models.torch_archive import check_torch_archive

MOST_EXPANSION = 4
"""Tensors may take at most this many times the bytes of their file."""

_DAMAGE = (
    *(RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError, OSError),
    *(struct.error, AssertionError, OverflowError, MemoryError, ImportError),
)
"""What torch's restricted reader raises on damaged bytes, apart from its refusals."""


_UNSAFE_ADVICE = (
    "Reading it could run code, so it is not read; ask its publisher for safetensors, or convert it in a "
    "machine you can throw away."
)

_TEXT_PICKLE = re.compile(rb"[(}\])]{0,8}[ci][\w.]{1,100}\r?\n[\w.]{1,100}\r?\n")
"""Start of a pickle of the oldest protocol that asks for a function or class."""


class WeightsFormat(Enum):
    """How a weights file is laid out, told from its first bytes."""

    SAFETENSORS = "safetensors"
    TORCH_ARCHIVE = "torch archive"
    TORCH_LEGACY = "torch pickle"


def read_checkpoint(path: Path, container: str | None = None) -> dict[str, Tensor]:
    """Return the tensors of a weights file by name, on the CPU and in their stored types.

    Args:
        path: A safetensors file, or one written by ``torch.save``; the content decides, not the name.
        container: Key under which the tensors lie, such as ``state_dict``; None for the top.

    Raises:
        UnsafeCheckpointError: If reading it would need more than tensors and plain containers.
        WeightsError: If it is damaged, not a weights file, or holds what are not dense finite numbers.
    """
    kind = detect_format(path)
    if kind is WeightsFormat.SAFETENSORS:
        content = _read_safetensors(path)
    else:
        if kind is WeightsFormat.TORCH_ARCHIVE:
            check_torch_archive(path)
        content = _read_torch(path)
    tensors = _tensors_in(path, content, container)
    _check_sizes(path, tensors)
    for name, tensor in tensors.items():
        _check_values(path, name, tensor)
    return tensors


def detect_format(path: Path) -> WeightsFormat:
    """Return the format of a weights file.

    Raises:
        WeightsError: If it is none we read; the message says what it looks like.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
    except OSError as error:
        raise WeightsError(f"weights file {path}: expected a readable file, got: {error}.") from error
    if start[8:9] == b"{":
        return WeightsFormat.SAFETENSORS
    if start.startswith(b"PK\x03\x04"):
        return WeightsFormat.TORCH_ARCHIVE
    if start.startswith(b"\x80"):
        return WeightsFormat.TORCH_LEGACY
    if _TEXT_PICKLE.match(start):
        raise UnsafeCheckpointError(
            f"weights file {path.name}: expected safetensors or a file of torch.save, got a bare pickle. "
            f"{_UNSAFE_ADVICE}"
        )
    raise WeightsError(
        f"weights file {path.name}: expected safetensors or a file of torch.save, got {_looks_like(start)}. "
        "Get the file again from its publisher."
    )


def _looks_like(start: bytes) -> str:
    text = start.lstrip().lower()
    if not start:
        return "an empty file"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page, often a notice that the download needs a click or a login"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer instead of the file it points to"
    return f"bytes that begin with {start[:8]!r}"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_safetensors(path)
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"weights file {path.name}: expected a whole file, got: {error}.") from error
    return tensors


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about pickle protocols and sparse tensors; both are decided here
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UnsafeCheckpointError(
            f"weights file {path.name}: expected tensors and plain containers only, got a pickle that "
            f"{_refused_part(str(error))}. {_UNSAFE_ADVICE}"
        ) from error
    except _DAMAGE as error:
        raise WeightsError(
            f"weights file {path.name}: expected a whole file of torch.save, got a damaged one "
            f"({type(error).__name__}: {_first_line(str(error))}). Get the file again."
        ) from error


def _refused_part(message: str) -> str:
    found = re.search(r"GLOBAL (\S+)", message)
    if found:
        return f"asks for {found[1]!r:.120}"
    detail = re.search(r"WeightsUnpickler error:\s*(.+)", message)
    return f"no safe reader understands ({detail[1].strip() if detail else _first_line(message)})"


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0][:160].rstrip(".") if lines else "no message"


def _tensors_in(path: Path, content: Any, container: str | None) -> dict[str, Tensor]:
    if container is not None:
        if not isinstance(content, Mapping) or container not in content:
            raise WeightsError(
                f"weights file {path.name}: expected the key {container!r}, got {_described(content)}. "
                "Correct 'container'."
            )
        content = content[container]
    if not isinstance(content, Mapping) or not content or not all(isinstance(key, str) for key in content):
        raise WeightsError(f"weights file {path.name}: expected tensors by name, got {_described(content)}.")
    others = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise WeightsError(
            f"weights file {path.name}: expected nothing but tensors, got {_described(content)}."
            f"{_container_hint(content)}"
        )
    return {str(name): value.detach() for name, value in content.items()}


def _described(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    shown = [f"{key!r:.40} ({type(value).__name__})" for key, value in list(content.items())[:5]]
    return f"{len(content)} entries: {', '.join(shown)}{', …' if len(content) > 5 else ''}"


def _container_hint(content: Mapping[str, Any]) -> str:
    names = [
        name
        for name, value in content.items()
        if isinstance(value, Mapping) and value and all(isinstance(v, Tensor) for v in value.values())
    ]
    return (
        f" Say which one to read: {' or '.join(f'container={name!r}' for name in names[:5])}."
        if names
        else ""
    )


def _check_sizes(path: Path, tensors: Mapping[str, Tensor]) -> None:
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > MOST_EXPANSION * path.stat().st_size:
        raise WeightsError(
            f"weights file {path.name}: expected tensors of about the {path.stat().st_size:,} bytes of "
            f"the file, got {claimed:,} bytes. It is not read."
        )


def _check_values(path: Path, name: str, tensor: Tensor) -> None:
    dense = tensor.layout is torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
    if not dense or tensor.is_complex():
        raise WeightsError(
            f"weights file {path.name}: expected dense real numbers in {name!r}, got {tensor.layout} of "
            f"{tensor.dtype} on {tensor.device.type}. Save it as plain float32."
        )
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise WeightsError(
            f"weights file {path.name}: expected finite numbers, got NaN or infinity in {name!r}. "
            "The training diverged or the file is damaged; use another checkpoint."
        )
