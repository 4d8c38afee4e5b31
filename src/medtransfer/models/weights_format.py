"""What kind of weights file some bytes are, told from their start; imports no torch."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

from medtransfer.core.errors import UnsafeCheckpointError, WeightsError

CONVERT_ADVICE = (
    "Reading it could run code, so it is not read; ask its publisher for safetensors, or convert it in "
    "isolation with 'medtransfer models convert'."
)
"""What to do with a pickle that asks for more than tensors."""

START_BYTES = 512
"""Bytes that tell the format."""

_TEXT_PICKLE = re.compile(rb"[(}\])]{0,8}[ci][\w.]{1,100}\r?\n[\w.]{1,100}\r?\n")
"""Start of a pickle of the oldest protocol that asks for a function or class."""


class WeightsFormat(Enum):
    """How a weights file is laid out, told from its first bytes."""

    SAFETENSORS = "safetensors"
    TORCH_ARCHIVE = "torch archive"
    TORCH_LEGACY = "torch pickle"


def detect_format(path: Path) -> WeightsFormat:
    """Return the format of a weights file.

    Raises:
        UnsafeCheckpointError: If it is a pickle of the oldest protocol that asks for a function.
        WeightsError: If it is none we read; the message says what it looks like.
    """
    start = first_bytes(path)
    if start[8:9] == b"{":
        return WeightsFormat.SAFETENSORS
    if start.startswith(b"PK\x03\x04"):
        return WeightsFormat.TORCH_ARCHIVE
    if start.startswith(b"\x80"):
        return WeightsFormat.TORCH_LEGACY
    if _TEXT_PICKLE.match(start):
        raise UnsafeCheckpointError(
            f"weights file {path.name}: expected safetensors or a file of torch.save, got a bare pickle. "
            f"{CONVERT_ADVICE}"
        )
    raise WeightsError(
        f"weights file {path.name}: expected safetensors or a file of torch.save, got {described(start)}. "
        "Get the file again from its publisher."
    )


def first_bytes(path: Path) -> bytes:
    """Return the bytes that tell the format of a file.

    Raises:
        WeightsError: If it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(START_BYTES)
    except OSError as error:
        raise WeightsError(f"weights file {path}: expected a readable file, got: {error}.") from error


def described(start: bytes) -> str:
    """Return in words what a file that begins so is, where it is no weights file."""
    if not start:
        return "an empty file"
    if is_web_page(start):
        return "a web page, often a notice that the download needs a click or a login"
    if start.lstrip().startswith(b"version https://git-lfs"):
        return "a Git LFS pointer instead of the file it points to"
    return f"bytes that begin with {start[:8]!r}"


def is_web_page(start: bytes) -> bool:
    """Return whether a file that begins so is a web page."""
    return start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))
