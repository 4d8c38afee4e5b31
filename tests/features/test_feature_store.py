"""The feature store: found by content, extracted once, never half used."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medtransfer.core import verified_files
from medtransfer.core.errors import StoreError
from medtransfer.features import array_files, feature_store
from medtransfer.features.extraction import Extraction as Extraction_
from medtransfer.features.feature_store import feature_key, open_features
from medtransfer.models.source_model import (
    Architecture,
    InputContract,
    Pretraining,
    SourceModel,
    WeightsFile,
)

EMBEDDINGS = np.arange(12, dtype=np.float32).reshape(4, 3)
MODEL = SourceModel(
    name="net.sup_in1k",
    architecture=Architecture(name="net", library="timm", builder="net"),
    weights=WeightsFile(file="net.pth"),
    pretraining=Pretraining(),
)


class Extraction:
    """Counts how often the embeddings are extracted."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return EMBEDDINGS.copy()


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_files, "_verified", set())


def key(model: SourceModel = MODEL, **changes: object) -> str:
    parts: dict[str, object] = {
        "weights": "0" * 64,
        "contract": InputContract(),
        "decoded_key": "d",
        "size": 224,
        "device": "cpu",
    }
    return feature_key(model, **{**parts, **changes})  # type: ignore[arg-type]


def test_embeddings_are_extracted_once_and_read_back(tmp_path: Path) -> None:
    extraction = Extraction()
    for _ in range(3):
        found = open_features(tmp_path / "features", "k", extraction)
        np.testing.assert_array_equal(found, EMBEDDINGS)
        assert found.dtype == np.float32
        assert not found.flags.writeable
    assert extraction.calls == 1


def test_what_an_embedding_depends_on_is_in_the_key() -> None:
    weights = MODEL.weights
    assert weights is not None
    others = [
        key(weights="1" * 64),
        key(contract=InputContract(mean=(0.5, 0.5, 0.5))),
        key(decoded_key="e"),
        key(size=192),
        key(device="cuda"),
        key(extraction=Extraction_(precision="fp16")),
        key(replace(MODEL, architecture=replace(MODEL.architecture, trunk="layer3"))),
        key(replace(MODEL, weights=replace(weights, prefix="encoder_k."))),
        key(replace(MODEL, weights=None)),
    ]
    assert len({key(), *others}) == len(others) + 1


def test_what_an_embedding_does_not_depend_on_is_not() -> None:
    assert key(replace(MODEL, name="other", licence="none")) == key()
    assert key(replace(MODEL, weights=WeightsFile(file="elsewhere.pth"))) == key()
    assert key(device="cuda:1") == key(device="cuda:0")


def test_other_library_versions_are_other_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    versions = feature_store.package_versions()
    monkeypatch.setattr(feature_store, "package_versions", lambda: versions | {"torch": "0.1"})
    assert key() != before


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: _flip(folder / "k.embeddings.npy"),
        lambda folder: os.truncate(folder / "k.embeddings.npy", 60),
        lambda folder: (folder / "k.embeddings.npy").unlink(),
        lambda folder: (folder / "k.json").unlink(),
        lambda folder: (folder / "k.json").write_text("{"),
        lambda folder: (folder / "k.json").write_text("[]"),
        lambda folder: (folder / "k.json").write_text('{"key": "other"}'),
    ],
)
def test_damaged_files_are_extracted_again(
    tmp_path: Path, damage: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction = Extraction()
    open_features(tmp_path, "k", extraction)
    monkeypatch.setattr(verified_files, "_verified", set())
    damage(tmp_path)
    np.testing.assert_array_equal(open_features(tmp_path, "k", extraction), EMBEDDINGS)
    assert extraction.calls == 2
    open_features(tmp_path, "k", extraction)
    assert extraction.calls == 2


def test_a_writer_that_dies_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(array_files, "write_atomically", die)
        with pytest.raises(KeyboardInterrupt):
            open_features(tmp_path, "k", Extraction())
    extraction = Extraction()
    np.testing.assert_array_equal(open_features(tmp_path, "k", extraction), EMBEDDINGS)
    assert extraction.calls == 1


def test_a_full_disk_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(array_files.np, "save", full)
    with pytest.raises(StoreError, match=r"got 'No space left on device'. Free space"):
        open_features(tmp_path, "k", Extraction())
    assert not list(tmp_path.glob("*.npy"))
