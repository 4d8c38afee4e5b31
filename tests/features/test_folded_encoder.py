"""A folded encoder: the same embeddings, or the encoder itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.features import embedding
from medtransfer.features.embedding import extract_embeddings
from medtransfer.features.folded_encoder import LARGEST_DIFFERENCE, folded_encoder, relative_difference
from medtransfer.models import folding
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.network import Encoder, build_encoder, state_hash

SIZE = 32


def encoder(name: str = "resnet20.random", seed: int = 3) -> Encoder:
    """Return a network whose normalisation has statistics as after a training."""
    network = build_encoder(resolve_model(name), weights_folder=None, seed=seed, image_size=SIZE)
    random = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            drawn = torch.rand(4, module.num_features, generator=random)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.copy_(0.4 * drawn[0] - 0.2)
            module.running_var.copy_(drawn[1] + 0.5)
            module.weight.data.copy_(drawn[2] * 0.5 + 0.75)
            module.bias.data.copy_(0.4 * drawn[3] - 0.2)
    return network


def images(count: int = 8) -> Tensor:
    return torch.randint(
        0, 256, (count, 1, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def cache(count: int = 120) -> DecodedCache:
    """Return noise that is brighter in every second image."""
    pixels = np.random.default_rng(0).integers(0, 200, (count, SIZE, SIZE, 1), dtype=np.uint8)
    pixels[1::2] += 5
    return DecodedCache(pixels, None, "key")


@pytest.mark.parametrize("name", ["resnet20.random", "mobilenetv3_small_100.random"])
def test_a_folded_encoder_gives_the_same_embeddings(name: str) -> None:
    network = encoder(name)
    before = state_hash(network)
    folded = folded_encoder(network, images())
    assert folded is not network
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert relative_difference(network, folded, images()) <= 1e-5
    assert state_hash(network) == before


def test_a_copy_that_disagrees_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = folding.folded_weights
    network = encoder()

    def wrong(*given: object) -> tuple[Tensor, Tensor]:
        weight, bias = usual(*given)  # type: ignore[arg-type]
        return weight * 1.01, bias

    monkeypatch.setattr(folding, "folded_weights", wrong)
    assert (
        relative_difference(network, folding.folded_copy(network, "backbone")[0], images())
        > LARGEST_DIFFERENCE
    )
    assert folded_encoder(network, images()) is network


def test_an_encoder_with_features_that_are_not_finite_is_itself() -> None:
    network = encoder()
    next(network.parameters()).data.fill_(float("nan"))
    assert folded_encoder(network, images()) is network


def test_an_encoder_without_normalisation_of_batches_is_itself() -> None:
    network = encoder("vit_tiny_patch16_224.random")
    assert folded_encoder(network, images()) is network


def test_embeddings_of_many_cases_are_those_of_the_folded_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "FOLD_FROM_CASES", 10)
    other = encoder(seed=4)
    expected = extract_embeddings(other, cache(10), size=SIZE)
    monkeypatch.setattr(embedding, "folded_encoder", lambda *_: other)
    np.testing.assert_array_equal(extract_embeddings(encoder(), cache(10), size=SIZE), _unfolded(other))
    np.testing.assert_allclose(expected, _unfolded(other), rtol=1e-4, atol=1e-5)


def test_few_cases_are_not_worth_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "FOLD_FROM_CASES", 11)
    monkeypatch.setattr(embedding, "folded_encoder", lambda *_: pytest.fail("folded"))
    network = encoder()
    np.testing.assert_array_equal(extract_embeddings(network, cache(10), size=SIZE), _unfolded(network))


def _unfolded(network: Encoder) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(cache(10).images).permute(0, 3, 1, 2).contiguous()).numpy()


def test_a_probe_ranks_cases_as_with_the_encoder_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "FOLD_FROM_CASES", 1)
    labels = np.arange(120) % 2
    folded = extract_embeddings(encoder(), cache(), size=SIZE)
    monkeypatch.setattr(embedding, "folded_encoder", lambda network, _: network)
    plain = extract_embeddings(encoder(), cache(), size=SIZE)
    assert not np.array_equal(folded, plain)
    areas = []
    for features in (folded, plain):
        scaled = (features - plain.mean(axis=0)) / plain.std(axis=0)
        head = LogisticRegression(C=0.01, tol=1e-10, max_iter=10_000).fit(scaled[:60], labels[:60])
        areas.append(roc_auc_score(labels[60:], head.decision_function(scaled[60:])))
    assert areas[0] == pytest.approx(areas[1], abs=1e-6)
    assert 0.5 < areas[1] < 1
