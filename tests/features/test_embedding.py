"""Embeddings: right rows, right view, and a network that is the same before and after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from medtransfer.core.errors import ShapeError, TrialError
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.features import embedding
from medtransfer.features.embedding import extract_embeddings
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.channel_products import ConvolvedLinear
from medtransfer.models.network import Encoder, build_encoder, state_hash

SIDE, SIZE = 36, 32


def encoder() -> Encoder:
    return build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=3, image_size=SIZE)


def cache(count: int = 11, channels: int = 1) -> DecodedCache:
    images = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, channels), dtype=np.uint8)
    return DecodedCache(images, None, "key")


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_are_the_embeddings_of_the_centre_views(channels: int) -> None:
    network, decoded = encoder(), cache(channels=channels)
    embeddings = extract_embeddings(network, decoded, size=SIZE, batch_size=4)
    centre = torch.from_numpy(np.ascontiguousarray(decoded.images[:, 2:-2, 2:-2].transpose(0, 3, 1, 2)))
    with torch.no_grad():
        expected = network(centre).numpy()
    assert embeddings.shape == (11, 64)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)


def test_parameters_and_batch_normalisation_stay_byte_for_byte() -> None:
    network = encoder().train()
    before = state_hash(network)
    extract_embeddings(network, cache(), size=SIZE)
    assert state_hash(network) == before
    assert not network.training


def test_the_memory_format_changes_the_way_not_the_numbers() -> None:
    usual = extract_embeddings(encoder(), cache(), size=SIZE)
    last = extract_embeddings(encoder(), cache(), size=SIZE, memory_format=torch.channels_last)
    np.testing.assert_allclose(last, usual, rtol=1e-4, atol=1e-5)


def test_who_computes_products_changes_the_way_not_the_numbers() -> None:
    def build() -> Encoder:
        return build_encoder(
            resolve_model("timm/test_vit.random"), weights_folder=None, seed=3, image_size=SIZE
        )

    plain, convolved = build(), build()
    expected = extract_embeddings(plain, cache(), size=SIZE)
    found = extract_embeddings(convolved, cache(), size=SIZE, products="convolutions")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, ConvolvedLinear) for module in plain.modules())
    assert any(isinstance(module, ConvolvedLinear) for module in convolved.modules())


@pytest.mark.parametrize(("batch_size", "huge"), [(5, True), (6, False)])
def test_many_passes_ask_for_huge_pages(batch_size: int, huge: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    @contextmanager
    def noted(*, huge_pages: bool) -> Iterator[None]:
        asked.append(huge_pages)
        yield

    monkeypatch.setattr(embedding, "kept_memory", noted)
    monkeypatch.setattr(embedding, "HUGE_PAGES_FROM_PASSES", 2)
    extract_embeddings(encoder(), cache(), size=SIZE, batch_size=batch_size)
    assert asked == [huge]


def test_every_case_is_reported_once() -> None:
    seen: list[tuple[str, int, int]] = []
    extract_embeddings(
        encoder(), cache(), size=SIZE, batch_size=4, progress=lambda *facts: seen.append(facts)
    )
    assert seen == [("embedding", 4, 11), ("embedding", 8, 11), ("embedding", 11, 11)]


def test_features_that_are_not_finite_end_the_trial() -> None:
    network = encoder()
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(TrialError, match=r"'resnet20.random': expected finite features, got NaN") as caught:
        extract_embeddings(network, cache(), size=SIZE)
    assert caught.value.reason == "non_finite_features"


def test_a_view_larger_than_the_images_is_refused() -> None:
    with pytest.raises(ShapeError, match="size: expected 1 to 20"):
        extract_embeddings(
            encoder(), replace(cache(), images=np.zeros((2, 20, 20, 1), dtype=np.uint8)), size=32
        )
