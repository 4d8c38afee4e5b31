"""A decoder on a frozen encoder: nothing of the encoder changes, and features are computed once."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.data.case_table import CaseTable
from medtransfer.data.decoded_cache import open_decoded_cache
from medtransfer.metrics.declared_metrics import compute_metrics
from medtransfer.models import network
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.decoders import Decoder, build_segmenter
from medtransfer.models.doubled_convolution import FROM_POSITIONS_FROZEN, DoublingBlock
from medtransfer.models.network import state_hash
from medtransfer.protocols import bench_features, feature_maps, frozen_decoder
from medtransfer.protocols.feature_maps import extract_feature_maps
from medtransfer.protocols.frozen_decoder import MapDecoder, fit_frozen_decoder, frozen_encoder
from medtransfer.protocols.frozen_decoder_settings import FrozenDecoderSettings
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.training.device_policy import VARIABLE

QUICK = FrozenDecoderSettings(image_size=32, epochs=2, decoder_channels=(8, 8))


def bench(cases: CaseTable, folder: Path, model: str = "resnet20.random", metric: str = "dice") -> Bench:
    return Bench("drawn", cases, resolve_model(model), None, folder, metric)


def request(cases: CaseTable, seed: int = 1, train: np.ndarray | None = None) -> TransferRequest:
    return TransferRequest(1.0, 0, cases.indices("train") if train is None else train, seed)


def counts(transfer: Transfer) -> np.ndarray:
    return transfer.predictions["best"]["test"].counts


def test_encoder_is_byte_equal_before_and_after(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoders: list[nn.Module] = []
    hashes: list[str] = []

    def spy(*arguments: Any) -> Any:
        encoders.append(frozen_encoder(*arguments))
        hashes.append(state_hash(encoders[-1]))
        return encoders[-1]

    monkeypatch.setattr(frozen_decoder, "frozen_encoder", spy)
    cases = drawn.drawn_masks(12)
    (transfer,) = fit_frozen_decoder(QUICK, bench(cases, tmp_path), [request(cases)])
    assert len(encoders) == 1
    assert state_hash(encoders[0]) == hashes[0]
    assert not encoders[0].training
    assert not any(parameter.requires_grad for parameter in encoders[0].parameters())
    assert any("running_mean" in name for name in encoders[0].state_dict())
    assert transfer.details["trained_parameters"] == transfer.details["parameters"] < 50_000


def test_features_are_computed_once_for_all_requests(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = feature_maps.image_tensor

    def spy(images: np.ndarray, layout: torch.memory_format) -> torch.Tensor:
        seen.append(len(images))
        return original(images, layout)

    monkeypatch.setattr(feature_maps, "image_tensor", spy)
    cases = drawn.drawn_masks(40)
    list(fit_frozen_decoder(QUICK, bench(cases, tmp_path), [request(cases, 1), request(cases, 2)]))
    assert sum(seen) == 40


def test_blocks_convolve_first_as_beside_frozen_maps(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    least: list[int | None] = []
    original = frozen_decoder.fit_network

    def spy(decoder: nn.Module, *args: Any, **settings: Any) -> Any:
        least.extend(
            block.convolves_first_from for block in decoder.modules() if isinstance(block, DoublingBlock)
        )
        return original(decoder, *args, **settings)

    monkeypatch.setattr(frozen_decoder, "fit_network", spy)
    cases = drawn.drawn_masks(20)
    list(fit_frozen_decoder(QUICK, bench(cases, tmp_path), [request(cases)]))
    assert set(least) == {FROM_POSITIONS_FROZEN}


@pytest.mark.parametrize("products", ["library", "convolutions"])
def test_features_are_computed_by_the_policy_s_library(
    drawn: ModuleType, tmp_path: Path, products: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = bench_features.extract_embeddings

    def spy(*args: Any, **settings: Any) -> Any:
        asked.append(settings["products"])
        return original(*args, **settings)

    monkeypatch.setenv(VARIABLE, f"products={products}")
    monkeypatch.setattr(bench_features, "extract_embeddings", spy)
    bench_features.bench_features(bench(drawn.drawn_masks(4), tmp_path), 32)
    assert asked == [products]


def test_numbers_do_not_depend_on_other_requests(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_masks(20)
    part = request(cases, 3, cases.indices("train")[:6])
    first, second, third = fit_frozen_decoder(
        QUICK, bench(cases, tmp_path), [part, request(cases, 1), request(cases, 2)]
    )
    (alone,) = fit_frozen_decoder(QUICK, bench(cases, tmp_path), [request(cases, 1)])
    np.testing.assert_array_equal(counts(second), counts(alone))
    assert list(second.curve) == list(alone.curve)
    assert list(third.curve) != list(alone.curve)
    assert first.train_cases == 6


def test_random_encoder_depends_on_the_model_s_name_only(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_masks(5)
    hashes = [state_hash(frozen_encoder(bench(cases, tmp_path), 32)) for _ in range(2)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("model", ["mobilenetv1_100.random", "timm/test_vit.random"])
@pytest.mark.parametrize(("decoder", "channels"), [("unet", (8, 8, 8, 8, 8)), ("upernet", (8,))])
def test_decoder_on_features_is_the_whole_network(
    drawn: ModuleType, tmp_path: Path, model: str, decoder: Decoder, channels: tuple[int, ...]
) -> None:
    place = bench(drawn.drawn_masks(5), tmp_path, model)
    encoder = frozen_encoder(place, 64)
    cache = open_decoded_cache(place.cases, 64, tmp_path)
    maps = extract_feature_maps(encoder, cache, device="cpu", scratch_folder=tmp_path)
    widths = FrozenDecoderSettings(decoder=decoder, decoder_channels=channels[: len(maps)]).channels_for(9)
    whole = build_segmenter(decoder, encoder, 1, image_size=64, decoder_channels=widths, seed=0).eval()
    images = torch.from_numpy(cache.images[1:4].copy()).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = whole(images)
        found = MapDecoder(whole, 64)([torch.from_numpy(level[1:4]).permute(0, 3, 1, 2) for level in maps])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found.shape == (3, 1, 64, 64)


def test_maps_that_do_not_fit_in_memory_give_the_same_numbers(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = drawn.drawn_masks(12)
    (in_memory,) = fit_frozen_decoder(QUICK, bench(cases, tmp_path), [request(cases)])
    monkeypatch.setattr(feature_maps, "MOST_MEMORY_BYTES", 1000)
    (on_disk,) = fit_frozen_decoder(QUICK, bench(cases, tmp_path), [request(cases)])
    np.testing.assert_array_equal(counts(on_disk), counts(in_memory))
    assert list(on_disk.curve) == list(in_memory.curve)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("classes", [1, 2])
def test_masks_are_learnt_on_random_features(drawn: ModuleType, tmp_path: Path, classes: int) -> None:
    cases = drawn.drawn_masks(30, classes=classes)
    settings = FrozenDecoderSettings(image_size=64, epochs=14, batch_size=6)
    place = bench(cases, tmp_path, "mobilenetv1_100.random")
    (transfer,) = fit_frozen_decoder(settings, place, [request(cases)])
    found = compute_metrics(["dice"], transfer.predictions["best"]["test"])["dice"]
    assert found.value is not None
    assert found.value > (0.8 if classes == 1 else 0.5)
    assert set(transfer.predictions) == {"best", "last"}
    json.dumps([transfer.choices, transfer.details, list(transfer.curve)])


def test_what_cannot_be_trained_is_refused(drawn: ModuleType, tmp_path: Path) -> None:
    cases = drawn.drawn_masks(8)
    with pytest.raises(TrialError, match="at least 2 training cases"):
        list(fit_frozen_decoder(QUICK, bench(cases, tmp_path), [request(cases, 1, np.array([0]))]))
    labels = drawn.drawn_labels(8)
    with pytest.raises(UsageError, match="segmentation task"):
        list(fit_frozen_decoder(QUICK, bench(labels, tmp_path), [request(labels)]))


def test_a_network_without_feature_maps_is_refused(
    drawn: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "find_token_pyramid", lambda *_: None)
    cases = drawn.drawn_masks(8)
    place = bench(cases, tmp_path, "timm/test_vit.random")
    with pytest.raises(UsageError, match="feature maps"):
        list(fit_frozen_decoder(FrozenDecoderSettings(image_size=32), place, [request(cases)]))


@pytest.mark.parametrize("decoder", ["unet", "upernet"])
def test_masks_are_learnt_on_the_tokens_of_a_transformer(
    drawn: ModuleType, tmp_path: Path, decoder: Decoder
) -> None:
    cases = drawn.drawn_masks(30)
    settings = FrozenDecoderSettings(image_size=64, epochs=14, batch_size=6, decoder=decoder)
    (transfer,) = fit_frozen_decoder(
        settings, bench(cases, tmp_path, "timm/test_vit.random"), [request(cases)]
    )
    found = compute_metrics(["dice"], transfer.predictions["best"]["test"])["dice"].value
    assert found is not None
    assert found > 0.5


def test_only_another_decoder_enters_the_settings() -> None:
    plain = FrozenDecoderSettings().resolved()
    assert "decoder" not in plain
    assert plain["decoder_channels"] == [32, 24, 16, 16, 8]
    other = FrozenDecoderSettings(decoder="upernet").resolved()
    assert (other["decoder"], other["decoder_channels"]) == ("upernet", [32])
    with pytest.raises(ValidationError, match="one width"):
        FrozenDecoderSettings(decoder="upernet", decoder_channels=(8, 8))


def test_settings() -> None:
    assert all(field.description for field in FrozenDecoderSettings.model_fields.values())
    plain = FrozenDecoderSettings().resolved()
    assert json.loads(json.dumps(plain)) == plain
    changed = {"image_size": 99, "epochs": 9, "batch_size": 9, "learning_rate": 0.9, "weight_decay": 0.9}
    changed |= {"patience": 3, "select_on": "metric", "mask_loss": "bce", "decoder_channels": (9,)}
    changed |= {"decoder": "upernet", "precision": "bf16-mixed"}
    assert set(changed) == set(FrozenDecoderSettings.model_fields)
    for name, value in changed.items():
        assert FrozenDecoderSettings(**{name: value}).resolved() != plain, name
    assert FrozenDecoderSettings().varied(1.0) == ("training",)
    assert set(FrozenDecoderSettings().varied(0.1)) == {"label subset", "training"}
    assert FrozenDecoderSettings().recipe().batch_size_for(16) == 4
