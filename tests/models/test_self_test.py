"""The self-test: recorded once, then every wrong use of right weights shows, and no rounding does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medtransfer.core.errors import UsageError, WeightsError
from medtransfer.models.architectures.resnet20 import ResNet20
from medtransfer.models.catalogue import catalogue, resolve_model
from medtransfer.models.check import check_model
from medtransfer.models.embedding_records import (
    OWN_RECORDS,
    EmbeddingRecord,
    own_records,
    packaged_records,
    records_text,
    write_own_record,
)
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.self_test import (
    IMAGE_VERSION,
    TOLERANCE,
    difference,
    embedding_record,
    self_test_image,
    verify_model,
)
from medtransfer.models.source_model import SourceModel
from medtransfer.models.weights_files import weights_hash

RECORD = EmbeddingRecord(weights="w", image=1, side=8, values=(1.0, 2.0), root_mean_square=2.0)


@pytest.fixture
def trained(tmp_path: Path) -> SourceModel:
    """A model of the user's own, its file below ``tmp_path``."""
    torch.manual_seed(3)
    network = ResNet20().train()
    with torch.no_grad():
        for _ in range(4):
            network(torch.rand(8, 3, 32, 32))
    torch.save(network.state_dict(), tmp_path / "own.pth")
    model = resolve_model("file:own.pth?arch=resnet20")
    return replace(model, input=replace(model.input, size=32))


# The image


@pytest.mark.parametrize("side", [8, 32, 224])
def test_every_confusion_changes_the_image(side: int) -> None:
    image = self_test_image(side).astype(np.int64)
    assert image.shape == (3, side, side)
    assert 16 <= image.min() < 60
    assert 200 <= image.max() <= 230, "a stretch to the whole range must show"
    others = {
        "blue for red": image[::-1],
        "inverted": 255 - image,
        "mirrored": image[:, :, ::-1],
        "upside down": image[:, ::-1],
        "turned": image.transpose(0, 2, 1),
        "grey": np.repeat(image.mean(0, keepdims=True), 3, axis=0),
    }
    for name, other in others.items():
        assert np.abs(other - image).mean() > 5, name


def test_the_image_is_fixed() -> None:
    """Records of every user depend on it; whoever changes it raises its version."""
    assert IMAGE_VERSION == 1
    assert int(self_test_image(32).astype(np.int64).sum()) == 376_731
    assert self_test_image(32)[:, 20, 11].tolist() == [230, 60, 140]


# Recording and comparing


def test_the_first_verification_records_and_the_next_compares(trained: SourceModel, tmp_path: Path) -> None:
    first = verify_model(trained, tmp_path)
    assert (first.status, first.ok, first.recorded) == ("not-recorded", True, None)
    assert not (tmp_path / OWN_RECORDS).exists()
    written = verify_model(trained, tmp_path, write=True)
    assert (written.status, written.place) == ("recorded", str(tmp_path / OWN_RECORDS))
    assert own_records(tmp_path) == {trained.name: first.found}
    again = verify_model(trained, tmp_path, write=True)
    assert (again.status, again.difference, again.problems()) == ("agrees", 0.0, ())
    assert json.loads(json.dumps(again.as_json()))["ok"] is True


def test_the_record_is_that_of_the_network(trained: SourceModel, tmp_path: Path) -> None:
    """By hand: the eight first values of the embedding, the scale of all 64, and the digest of the file."""
    found = verify_model(trained, tmp_path).found
    encoder = build_encoder(trained, weights_folder=tmp_path, seed=9)
    with torch.no_grad():
        embedding = encoder(torch.from_numpy(self_test_image(32))[None])[0].numpy()
    assert found.values == pytest.approx(embedding[:8], rel=1e-6)
    assert found.root_mean_square == pytest.approx(np.sqrt((embedding**2).mean()), rel=1e-6)
    assert (found.side, found.weights) == (32, weights_hash(trained, tmp_path))


CHANGES: dict[str, Callable[[SourceModel], SourceModel]] = {
    "mean": lambda model: replace(model, input=replace(model.input, mean=(0.5, 0.5, 0.5))),
    "mean from blue to red": lambda model: replace(
        model, input=replace(model.input, mean=model.input.mean[::-1])
    ),
    "std off by one percent": lambda model: replace(
        model, input=replace(model.input, std=tuple(1.01 * value for value in model.input.std))
    ),
    "range": lambda model: replace(model, input=replace(model.input, value_range="minmax")),
    "size": lambda model: replace(model, input=replace(model.input, size=40)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_contract_is_found(change: str, trained: SourceModel, tmp_path: Path) -> None:
    verify_model(trained, tmp_path, write=True)
    before = (tmp_path / OWN_RECORDS).read_bytes()
    changed = CHANGES[change](trained)
    tested = verify_model(changed, tmp_path, write=True)
    assert (tested.status, tested.ok) == ("differs", False)
    assert tested.difference is not None
    assert tested.difference > 2 * TOLERANCE
    (problem,) = tested.problems()
    assert problem.what == "other-embedding"
    assert "input contract" in problem.next_step
    assert (tmp_path / OWN_RECORDS).read_bytes() == before, "a record that differs is never overwritten"
    assert "other-embedding" in [problem.what for problem in check_model(changed, tmp_path).problems]
    assert check_model(trained, tmp_path).self_test == "agrees"


def test_double_precision_agrees(trained: SourceModel, tmp_path: Path) -> None:
    """What rounding does is far below the tolerance."""
    encoder = build_encoder(trained, weights_folder=tmp_path, seed=0)
    single = embedding_record(encoder, "w")

    class Double(torch.nn.Module):
        def __init__(self, encoder: Encoder) -> None:
            super().__init__()
            self.name, self.input = encoder.name, encoder.input
            self.inner = encoder.double()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.inner(images)

    double = embedding_record(Double(encoder), "w")  # type: ignore[arg-type]
    assert 0 < difference(double, single) < TOLERANCE / 50


def test_other_weights_under_the_same_name_are_not_compared(trained: SourceModel, tmp_path: Path) -> None:
    verify_model(trained, tmp_path, write=True)
    state = torch.load(tmp_path / "own.pth", weights_only=True)
    torch.save({**state, "conv1.weight": state["conv1.weight"] * 1.1}, tmp_path / "own.pth")
    tested = verify_model(trained, tmp_path, write=True)
    assert tested.status == "recorded"
    assert own_records(tmp_path)[trained.name].weights == weights_hash(trained, tmp_path)


def test_random_weights_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pretrained weights to verify, got random ones"):
        verify_model(resolve_model("resnet20.random"), tmp_path)


def test_writing_needs_a_folder(trained: SourceModel, tmp_path: Path) -> None:
    assert trained.weights is not None
    here = replace(trained, weights=replace(trained.weights, file=str(tmp_path / "own.pth")))
    assert verify_model(here, None).status == "not-recorded"
    with pytest.raises(UsageError, match="expected a weights folder"):
        verify_model(here, None, write=True)


# Records


def test_records_of_several_models_are_kept(tmp_path: Path) -> None:
    write_own_record(tmp_path, "b", RECORD)
    write_own_record(tmp_path, "a", RECORD)
    assert list(own_records(tmp_path)) == ["a", "b"]
    assert (tmp_path / OWN_RECORDS).read_text() == records_text({"b": RECORD, "a": RECORD})


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b'{"a": {"weights": "w"}}', b'{"a": 1}', b"\xff\xfe", b""],
    ids=["cut off", "a list", "incomplete", "a number", "no text", "empty"],
)
def test_a_damaged_file_of_records_is_refused(content: bytes, trained: SourceModel, tmp_path: Path) -> None:
    (tmp_path / OWN_RECORDS).write_bytes(content)
    with pytest.raises(WeightsError, match=r"embedding-values\.json: expected recorded embeddings"):
        verify_model(trained, tmp_path)
    assert [problem.what for problem in check_model(trained, tmp_path).problems] == ["unusable-weights"]


def test_a_record_with_nan_is_refused(tmp_path: Path) -> None:
    text = records_text({"a": RECORD}).replace("2.0", "NaN")
    (tmp_path / OWN_RECORDS).write_text(text)
    with pytest.raises(WeightsError, match="expected recorded embeddings"):
        own_records(tmp_path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0.0),
        ({"values": (1.0, 2.1)}, 0.05),
        ({"root_mean_square": 2.2}, 0.1),
        ({"side": 9}, float("inf")),
        ({"values": (1.0,)}, float("inf")),
    ],
)
def test_difference(change: dict[str, object], expected: float) -> None:
    other = RECORD.model_copy(update=change)
    assert difference(other, RECORD) == pytest.approx(expected)


def test_packaged_records_are_of_catalogue_entries_and_their_files() -> None:
    for name, record in packaged_records().items():
        model = catalogue.get(name)
        assert model.weights is not None
        assert (record.weights, record.image) == (model.weights.sha256, IMAGE_VERSION)
        assert record.side == model.input.size
        assert len(record.values) == 8
        assert any(value > 0 for value in record.values)


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(packaged_records()))
def test_real_files_agree_with_their_records(name: str) -> None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "weights"
    model = catalogue.get(name)
    if not (model.weights and model.weights.file and (folder / model.weights.file).is_file()):
        pytest.skip(f"the weights of {name} are absent")
    tested = verify_model(model, folder)
    assert (tested.status, tested.place) == ("agrees", "the package")
    assert tested.difference is not None
    assert tested.difference < TOLERANCE / 10
    wrong = replace(model, input=replace(model.input, std=tuple(1.01 * std for std in model.input.std)))
    assert verify_model(wrong, folder).status == "differs"
