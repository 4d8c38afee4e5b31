"""Weights files are found by name and accepted by digest."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from medtransfer.core.errors import WeightsError
from medtransfer.models import weights_files
from medtransfer.models.catalogue import declared_model, resolve_model
from medtransfer.models.source_model import SourceModel
from medtransfer.models.weights_files import locate_weights, weights_hash


def model_of(file: str, content: bytes | None = None) -> SourceModel:
    digest = hashlib.sha256(content).hexdigest() if content is not None else None
    return declared_model({"name": "m", "file": file, "architecture": "resnet20", "sha256": digest})


@pytest.mark.parametrize("place", ["w.pth", "below/w.pth"])
def test_file_is_found_in_the_folder_and_one_level_below(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"weights")
    model = model_of("w.pth", b"weights")
    assert locate_weights(model, tmp_path) == tmp_path / place
    assert weights_hash(model, tmp_path) == hashlib.sha256(b"weights").hexdigest()


def test_absolute_path_needs_no_folder(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"weights")
    assert locate_weights(model_of(str(tmp_path / "w.pth")), None) == tmp_path / "w.pth"


def test_relative_path_is_tried_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.pth").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    assert locate_weights(resolve_model("file:sub/w.pth?arch=resnet20"), None) == tmp_path / "sub" / "w.pth"


def test_bare_name_is_not_looked_for_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w.pth").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"no weights folder. Name its folder with --weights"):
        locate_weights(model_of("w.pth"), None)


def test_absent_file_says_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"'w.pth', got no such file in .*Put it into"):
        locate_weights(model_of("w.pth"), tmp_path)
    with pytest.raises(WeightsError, match=r"no folder at .*Check --weights"):
        locate_weights(model_of("w.pth"), tmp_path / "absent")


def test_absent_file_names_its_address(tmp_path: Path) -> None:
    model = model_of("w.pth")
    assert model.weights is not None
    model = replace(model, weights=replace(model.weights, file=None, url="https://example.org/x/v.pth?a=1"))
    with pytest.raises(WeightsError, match=r"'v.pth'.*https://example.org/x/v.pth"):
        locate_weights(model, tmp_path)


def test_wrong_digest_is_refused_and_the_right_file_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"other")
    with pytest.raises(WeightsError, match="expected weights with SHA-256"):
        locate_weights(model_of("w.pth", b"weights"), tmp_path)
    (tmp_path / "right").mkdir()
    (tmp_path / "right" / "w.pth").write_bytes(b"weights")
    assert locate_weights(model_of("w.pth", b"weights"), tmp_path) == tmp_path / "right" / "w.pth"


def test_two_files_of_one_name_without_digest_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "w.pth").write_bytes(name.encode())
    with pytest.raises(WeightsError, match="got 2"):
        locate_weights(model_of("w.pth"), tmp_path)


def test_random_and_hub_weights_have_no_file() -> None:
    assert weights_hash(resolve_model("resnet20.random"), None) == "random"
    assert weights_hash(resolve_model("timm/resnet18.a1_in1k"), None) == "hub:timm/resnet18.a1_in1k"
    with pytest.raises(WeightsError, match="none declared"):
        locate_weights(resolve_model("resnet20.random"), None)


def test_unchanged_file_is_hashed_once_and_a_changed_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(weights_files, "hash_file", lambda path: read.append(path) or f"digest {len(read)}")
    path = tmp_path / "w.pth"
    path.write_bytes(b"one")
    assert (
        weights_hash(model_of("w.pth"), tmp_path) == weights_hash(model_of("w.pth"), tmp_path) == "digest 1"
    )
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert weights_hash(model_of("w.pth"), tmp_path) == "digest 2"
