"""The header check accepts what the library writes and refuses every contradiction."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from medtransfer.core.errors import WeightsError
from medtransfer.models import safetensors_header
from medtransfer.models.safetensors_header import check_safetensors

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def write(path: Path, header: Any, data: bytes = bytes(8), length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool])
def test_accepts_what_the_library_writes(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "w"
    tensors = {"a": torch.zeros(3, 4, dtype=dtype), "b": torch.zeros(0), "c": torch.zeros((), dtype=dtype)}
    save_file(tensors, path, metadata={"format": "pt"})
    check_safetensors(path)


@pytest.mark.parametrize(
    ("header", "data", "expected"),
    [
        ({"a": F32, "b": {**F32, "data_offsets": [4, 12]}}, bytes(12), "hole or overlap"),
        ({"a": F32, "b": {**F32, "data_offsets": [12, 20]}}, bytes(20), "hole or overlap"),
        ({"a": {**F32, "data_offsets": [4, 12]}}, bytes(12), "hole or overlap"),
        ({"a": F32}, bytes(7), "truncated or altered"),
        ({"a": F32}, bytes(9), "truncated or altered"),
        ({"a": {**F32, "shape": [3]}}, bytes(8), "12 bytes of 'a'"),
        ({"a": {**F32, "shape": [2**40, 2**40]}}, bytes(8), "bytes of 'a'"),
        ({"a": {**F32, "shape": [-2]}}, bytes(8), "a shape and two offsets"),
        ({"a": {**F32, "shape": [2.0]}}, bytes(8), "a shape and two offsets"),
        ({"a": {**F32, "shape": [True, 2]}}, bytes(8), "a shape and two offsets"),
        ({"a": {**F32, "data_offsets": [0]}}, bytes(8), "a shape and two offsets"),
        ({"a": {**F32, "data_offsets": [8, 0]}}, bytes(8), "bytes of 'a'"),
        ({"a": {**F32, "dtype": "F8_E4M3"}}, bytes(8), "F8_E4M3"),
        ({"a": {**F32, "dtype": 3}}, bytes(8), "of type"),
        ({"a": {**F32, "more": 1}}, bytes(8), "dtype, shape and data_offsets"),
        ({"a": [1]}, bytes(8), "dtype, shape and data_offsets"),
        ([1], b"", "a JSON object"),
        (b"{not json", b"", "JSON header"),
        (b'{"\xff":1}', b"", "JSON header"),
        (b"[" * 50_000, b"", "JSON header"),
        ({"a" * 600: F32}, bytes(8), "names of at most 512"),
        (b'{"a":%(f)s,"a":%(f)s}' % {b"f": json.dumps(F32).encode()}, bytes(8), "'a' is there twice"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, header: Any, data: bytes, expected: str) -> None:
    with pytest.raises(WeightsError) as caught:
        check_safetensors(write(tmp_path / "w", header, data))
    assert expected in str(caught.value)


@pytest.mark.parametrize("length", [10_000, 200_000_000, 2**63, 2**64 - 1])
def test_header_longer_than_the_file_or_the_cap_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(WeightsError, match="a header of at most"):
        check_safetensors(write(tmp_path / "w", {"a": F32}, length=length))


def test_header_cap_holds_in_a_large_file_without_reading_it(tmp_path: Path) -> None:
    path = write(tmp_path / "w", b"{", length=200_000_000)
    with path.open("r+b") as stream:
        stream.truncate(300_000_000)
    with pytest.raises(WeightsError, match="100,000,000 bytes"):
        check_safetensors(path)


def test_too_many_tensors_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_header, "MOST_TENSORS", 3)
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    with pytest.raises(WeightsError, match="at most 3 tensors"):
        check_safetensors(write(tmp_path / "w", {f"t{i}": empty for i in range(4)}, b""))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.arange(4.0), "b": torch.ones(2, 2)}, tmp_path / "w")
    whole = (tmp_path / "w").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            check_safetensors(tmp_path / "cut")
