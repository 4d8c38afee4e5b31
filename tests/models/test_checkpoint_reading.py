"""Weights files of every kind come back as the tensors that went in; others are named for what they are."""

from __future__ import annotations

import io
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from medtransfer.core.errors import WeightsError
from medtransfer.models.checkpoint import WeightsFormat, detect_format, read_checkpoint

STATE = OrderedDict(
    {"conv.weight": torch.arange(24.0).view(2, 3, 2, 2), "bn.num_batches_tracked": torch.tensor(7)}
)


def same(found: dict[str, torch.Tensor]) -> bool:
    return sorted(found) == sorted(STATE) and all(torch.equal(found[k], STATE[k]) for k in STATE)


def test_safetensors_come_back(tmp_path: Path) -> None:
    save_file(dict(STATE), tmp_path / "w.pth")
    assert detect_format(tmp_path / "w.pth") is WeightsFormat.SAFETENSORS
    assert same(read_checkpoint(tmp_path / "w.pth"))


@pytest.mark.parametrize("names", range(1, 12))
def test_safetensors_are_known_whatever_the_length_of_their_header(tmp_path: Path, names: int) -> None:
    for pad in range(0, 320, 8):
        metadata = {"note": "x" * pad}
        path = tmp_path / f"{pad}.safetensors"
        save_file({f"t{i}": torch.zeros(1) for i in range(names)}, path, metadata=metadata)
        assert detect_format(path) is WeightsFormat.SAFETENSORS


@pytest.mark.parametrize(
    ("new", "kind"), [(True, WeightsFormat.TORCH_ARCHIVE), (False, WeightsFormat.TORCH_LEGACY)]
)
def test_both_torch_formats_come_back(tmp_path: Path, new: bool, kind: WeightsFormat) -> None:
    torch.save(STATE, tmp_path / "w", _use_new_zipfile_serialization=new)
    assert detect_format(tmp_path / "w") is kind
    assert same(read_checkpoint(tmp_path / "w"))


def test_parameters_come_back_without_gradients(tmp_path: Path) -> None:
    torch.save({"w": torch.nn.Parameter(torch.ones(2))}, tmp_path / "w")
    assert not read_checkpoint(tmp_path / "w")["w"].requires_grad


def test_container_is_read_by_name_and_never_guessed(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": STATE, "ema": STATE}, tmp_path / "w")
    assert same(read_checkpoint(tmp_path / "w", "state_dict"))
    with pytest.raises(WeightsError, match="container='state_dict' or container='ema'"):
        read_checkpoint(tmp_path / "w")
    with pytest.raises(WeightsError, match=r"the key 'model', got 3 entries.*'epoch' \(int\)"):
        read_checkpoint(tmp_path / "w", "model")


@pytest.mark.parametrize("content", [[1, 2], {}, {3: torch.ones(1)}, {"a": 1}, torch.ones(3)])
def test_other_content_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w")
    with pytest.raises(WeightsError, match=r"expected (tensors by name|nothing but tensors)"):
        read_checkpoint(tmp_path / "w")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "an empty file"),
        (b"\n<!DOCTYPE html><html>please log in</html>", "a web page"),
        (b"<HTML>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n", "bytes that begin with"),
    ],
)
def test_what_is_no_weights_file_is_named(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        read_checkpoint(tmp_path / "w.pth")


def test_absent_file_is_a_weights_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="readable file"):
        read_checkpoint(tmp_path / "absent")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, bad: float, kind: str) -> None:
    state = {"w": torch.tensor([1.0, bad]), "v": torch.ones(1)}
    torch.save(state, tmp_path / "w") if kind == "torch" else save_file(state, tmp_path / "w")
    with pytest.raises(WeightsError, match="NaN or infinity in 'w'"):
        read_checkpoint(tmp_path / "w")


def test_sparse_complex_and_expanded_tensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w"
    torch.save({"w": torch.ones(3, dtype=torch.complex64)}, path)
    with pytest.raises(WeightsError, match="dense real numbers in 'w'"):
        read_checkpoint(path)
    torch.save({"w": torch.eye(3).to_sparse()}, path)
    with pytest.raises(WeightsError, match=r"dense real numbers|damaged"):
        read_checkpoint(path)
    torch.save({"w": torch.ones(1).expand(1 << 40)}, path)
    with pytest.raises(WeightsError, match=r"expected tensors of about the .* bytes"):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantised_tensors_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.quantize_per_tensor(torch.rand(4), 0.1, 0, torch.qint8)}, tmp_path / "w")
    with pytest.raises(WeightsError, match=r"dense real numbers|damaged"):
        read_checkpoint(tmp_path / "w")


@pytest.mark.parametrize("new", [True, False])
def test_every_truncation_of_a_torch_file_is_refused(tmp_path: Path, new: bool) -> None:
    buffer = io.BytesIO()
    torch.save(STATE, buffer, _use_new_zipfile_serialization=new)
    whole = buffer.getvalue()
    for length in [*range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1]:
        (tmp_path / "w").write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            read_checkpoint(tmp_path / "w")


def test_a_flipped_bit_in_a_stored_weight_is_found(tmp_path: Path) -> None:
    path = tmp_path / "w"
    torch.save({"w": torch.full((1000,), 3.0)}, path)
    content = bytearray(path.read_bytes())
    place = content.find(torch.full((4,), 3.0).numpy().tobytes()) + 401
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        read_checkpoint(path)


def test_archive_caps(tmp_path: Path) -> None:
    path = tmp_path / "w"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", b"\x80\x02}.")
        archive.writestr("w/data/0", bytes(20_000_000))
    with pytest.raises(WeightsError, match=r"compression of 100 to 1"):
        read_checkpoint(path)
