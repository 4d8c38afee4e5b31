"""Weights files of any kind to named tensors, without ever running code from the file."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medtransfer.core.errors import UnsafeCheckpointError, WeightsError
from medtransfer.models.safetensors_header import check_safetensors, conversion_record
from medtransfer.models.torch_archive import check_torch_archive
from medtransfer.models.weights_format import CONVERT_ADVICE, WeightsFormat, detect_format

__all__ = ["WeightsFormat", "detect_format", "read_checkpoint"]

MOST_EXPANSION = 4
"""Tensors may take at most this many times the bytes of their file."""

_DAMAGE = (
    *(RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError, OSError),
    *(struct.error, AssertionError, OverflowError, MemoryError, ImportError),
)
"""What torch's restricted reader raises on damaged bytes, apart from its refusals."""


def read_checkpoint(
    path: Path, container: str | None = None, containers: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Return the tensors of a weights file by name, on the CPU and in their stored types.

    Args:
        path: A safetensors file, or one written by ``torch.save``; the content decides, not the name.
        container: Key under which the tensors lie, such as ``state_dict``; None for the top. A file that
            our own conversion took from that container counts as opened.
        containers: Keys tried in this order in place of ``container``, where copies of a file differ; an
            empty one stands for the top.

    Raises:
        UnsafeCheckpointError: If reading it would need more than tensors and plain containers.
        WeightsError: If it is damaged, not a weights file, or holds what are not dense finite numbers.
    """
    wanted = (container,) if container is not None else tuple(containers)
    kind = detect_format(path)
    if kind is WeightsFormat.SAFETENSORS:
        opened = conversion_record(check_safetensors(path)).get("opened", [])
        wanted = () if isinstance(opened, list) and all(key in opened for key in wanted) else wanted
        content: Any = _read_safetensors(path)
    else:
        if kind is WeightsFormat.TORCH_ARCHIVE:
            check_torch_archive(path)
        content = _read_torch(path)
    tensors = _tensors_in(path, content, wanted)
    _check_sizes(path, tensors)
    for name, tensor in tensors.items():
        _check_values(path, name, tensor)
    return tensors


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

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
            f"{_refused_part(str(error))}. {CONVERT_ADVICE}"
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


def _tensors_in(path: Path, content: Any, containers: Sequence[str]) -> dict[str, Tensor]:
    if containers:
        present = [key for key in containers if not key or (isinstance(content, Mapping) and key in content)]
        if not present:
            raise WeightsError(
                f"weights file {path.name}: expected the key {' or '.join(map(repr, containers))}, "
                f"got {_described(content)}. Correct 'container'."
            )
        content = content[present[0]] if present[0] else content
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
