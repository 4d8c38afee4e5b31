"""Depth of fine-tuning: searches, ten crops, frozen layers, layer-wise rates, averages, small batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.layer_groups import layer_groups
from medtransfer.models.network import build_encoder
from medtransfer.protocols import fit_finetune
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from tests.training.drawn_cases import drawn_labels, drawn_masks

QUICK: dict[str, Any] = {
    "image_size": 28,
    "epochs": 2,
    "learning_rate": 3e-3,
    "batch_size": 8,
    "augmentation": "none",
}


@pytest.fixture(scope="module")
def cases() -> CaseTable:
    return drawn_labels()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def fit(cases: CaseTable, folder: Path, **changes: Any) -> Transfer:
    metric = "auc" if cases.kind.is_classification else "dice"
    bench = Bench("drawn", cases, resolve_model("resnet20.random"), None, folder, metric)
    request = TransferRequest(1.0, 0, cases.indices("train"), 1)
    (transfer,) = Finetune(**(QUICK | changes)).fit(bench, [request])
    return transfer


def scores(transfer: Transfer, checkpoint: str = "best") -> np.ndarray:
    return transfer.predictions[checkpoint]["test"].scores


@pytest.fixture(scope="module")
def plain(cases: CaseTable, folder: Path) -> Transfer:
    return fit(cases, folder)


def test_a_search_keeps_what_validation_prefers_and_the_fixed_recipe_beside_it(
    cases: CaseTable, folder: Path, plain: Transfer
) -> None:
    rates = [1e-5, 3e-3, 3e-2]
    found = fit(cases, folder, learning_rates=rates, select_on="loss")
    tried = found.choices["learning_rates"]
    assert [entry["learning_rate"] for entry in tried] == rates
    best = min(tried, key=lambda entry: entry["val"])
    assert found.choices["learning_rate"] == best["learning_rate"]
    assert found.details["trainings"] == 3
    assert found.details["steps_of_all_trainings"] == sum(entry["steps"] for entry in tried)
    # Every rate starts from the same weights and sees the same batches, so each equals a trial of its own.
    assert np.array_equal(scores(found, "fixed-recipe"), scores(plain))
    alone = fit(cases, folder, learning_rate=best["learning_rate"])
    assert np.array_equal(scores(found), scores(alone))
    assert min(point["val_loss"] for point in alone.curve) == pytest.approx(best["val"])


def test_ten_crops_are_the_mean_of_ten_probabilities(cases: CaseTable, folder: Path) -> None:
    found = fit(cases, folder, ten_crops=True)
    again = fit(cases, folder)
    assert np.array_equal(scores(found), scores(again))
    ten = scores(found, "ten-crops")
    assert ten.shape == scores(found).shape
    assert not np.array_equal(ten, scores(found))
    assert ten.sum(axis=1) == pytest.approx(1)


def test_ten_crops_see_the_corners_the_centre_and_their_mirrors(
    cases: CaseTable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    original = fit_finetune.score_ten_crops

    def watched(network: Any, data: Any, bench: Any) -> Any:
        class Watched(torch.nn.Module):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                seen.append(images.numpy().copy())
                return network(images)

        return original(Watched(), data, bench)

    monkeypatch.setattr(fit_finetune, "score_ten_crops", watched)
    fit(cases, folder, ten_crops=True)
    side = round(28 * 8 / 7)
    whole = open_decoded_cache(cases, side, folder).images[cases.indices("val")]
    last, middle = side - 28, (side - 28) // 2
    corners = [(0, 0), (0, last), (last, 0), (last, last), (middle, middle)]
    crops = [whole[:, top : top + 28, left : left + 28, 0] for top, left in corners]
    crops += [crop[:, :, ::-1] for crop in crops]
    assert len(seen) == 20
    for expected, batch in zip(crops, seen[:10], strict=True):
        assert np.array_equal(batch[:, 0], expected)


def test_training_the_last_groups_leaves_the_others_as_they_were(cases: CaseTable, folder: Path) -> None:
    found = fit(cases, folder, train_last=1)
    encoder = build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=0, image_size=28)
    last = layer_groups(encoder)[-1]
    head = 64 + 1
    assert found.details["trained_parameters"] == last.size + head
    assert fit(cases, folder, train_last=0).details["trained_parameters"] == head


def test_more_groups_than_there_are_is_an_error(cases: CaseTable, folder: Path) -> None:
    with pytest.raises(UsageError, match="layer groups, got 99"):
        fit(cases, folder, train_last=99)


def test_layer_decay_lowers_the_rate_towards_the_stem(
    cases: CaseTable, folder: Path, plain: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors: dict[str, float] = {}
    original = fit_finetune.fit_network

    def watched(network: Any, *args: Any, **options: Any) -> Any:
        factors.update(options["rate_factors"])
        assert set(factors) <= {name for name, _ in network.named_parameters()}
        assert not any(name.startswith("head") for name in factors)
        assert {f"encoder.{name}" for name, _ in network.encoder.named_parameters()} == set(factors)
        return original(network, *args, **options)

    monkeypatch.setattr(fit_finetune, "fit_network", watched)
    found = fit(cases, folder, layer_decay=0.5)
    assert max(factors.values()) == 0.5
    assert min(factors.values()) < 0.01
    assert not np.array_equal(scores(found), scores(plain))


def test_small_parts_of_a_batch_give_the_step_of_the_whole(folder: Path) -> None:
    """Without batch normalisation, adding up gradients changes nothing but rounding."""
    cases = drawn_labels()
    bench = Bench("drawn", cases, resolve_model("timm/vit_tiny_patch16_224.random"), None, folder, "auc")
    request = TransferRequest(1.0, 0, cases.indices("train"), 1)
    options = QUICK | {"image_size": 32, "epochs": 1, "optimiser": "sgd", "learning_rate": 1e-2}
    (whole,) = Finetune(**options).fit(bench, [request])
    (parts,) = Finetune(**options, micro_batch=3).fit(bench, [request])
    assert scores(parts) == pytest.approx(scores(whole), abs=1e-5)
    assert parts.details["steps"] == whole.details["steps"]


def test_an_average_of_the_weights_is_scored(cases: CaseTable, folder: Path, plain: Transfer) -> None:
    found = fit(cases, folder, average_decay=0.9)
    assert found.details["steps"] == plain.details["steps"]
    assert [point["train_loss"] for point in found.curve] == [point["train_loss"] for point in plain.curve]
    assert [point["val_loss"] for point in found.curve] != [point["val_loss"] for point in plain.curve]
    assert not np.array_equal(scores(found), scores(plain))


def test_weights_of_pixels_need_one_number_per_class(folder: Path) -> None:
    cases = drawn_masks(classes=2)
    settings = {"decoder_channels": (8, 8), "image_size": 32, "mask_loss": "bce"}
    assert fit(cases, folder, **settings, pixel_weights=(1, 3, 10)).curve
    with pytest.raises(UsageError, match="pixel_weights: expected 3 numbers"):
        fit(cases, folder, **settings, pixel_weights=(1, 3))
    with pytest.raises(UsageError, match="pixel_weights: expected 4 numbers"):
        fit(drawn_masks(classes=3), folder, **settings, pixel_weights=(1, 3, 10), micro_batch=2)


def test_a_preset_without_intercept_and_margin(folder: Path) -> None:
    cases = drawn_labels()
    bench = Bench("drawn", cases, resolve_model("resnet20.random"), None, folder, "auc")
    request = TransferRequest(1.0, 0, cases.indices("train"), 1)
    settings = Finetune(preset="studyC-CX8", epochs=1, image_size=28, precision="fp32")
    (found,) = settings.fit(bench, [request])
    encoder = build_encoder(bench.model, weights_folder=None, seed=0, image_size=28)
    assert found.details["parameters"] == sum(p.numel() for p in encoder.parameters()) + 64
    assert settings.cached_side(cases.kind, 28) == 28
    assert Finetune().cached_side(cases.kind, 28) == 32


def test_ten_crops_are_for_labels() -> None:
    with pytest.raises(UsageError, match="ten_crops for labels only"):
        Finetune(ten_crops=True).settings(TaskKind.SEGMENTATION)
