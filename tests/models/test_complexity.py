"""Parameters and multiply-adds against published numbers, and a speed that is one."""

from __future__ import annotations

import pytest
import torch

from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.complexity import measure_complexity, measure_throughput
from medtransfer.models.network import Encoder, build_encoder, state_hash

PUBLISHED = {
    "resnet50.random": (25.557 - 2.049, 4.089 - 0.002, 2048),
    "torchvision/resnet18.random": (11.690 - 0.513, 1.814 - 0.0005, 512),
    "swin_tiny_patch4_window7_224.random": (28.288 - 0.769, 4.49, 768),
    "deit_tiny_patch16_224.random": (5.717 - 0.193, 1.254, 192),
    "mobilenetv3_small_050.random": (1.593 - 1.025, None, 1024),
}
"""Millions of parameters and billions of multiply-adds at 224 pixels as published, without the task head."""


def encoder_of(name: str, side: int | None = None) -> Encoder:
    return build_encoder(resolve_model(name), weights_folder=None, seed=0, image_size=side)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_are_found(name: str) -> None:
    parameters, products, features = PUBLISHED[name]
    found = measure_complexity(encoder_of(name))
    assert found.parameters / 1e6 == pytest.approx(parameters, abs=0.002)
    assert found.embedding_size == features
    if products is not None:
        assert found.multiply_adds / 1e9 == pytest.approx(products, rel=0.003)


def test_products_of_a_small_network_are_counted_by_hand() -> None:
    encoder = encoder_of("resnet20.random", 32)
    first = 3 * 16 * 9 * 32**2
    stages = 6 * 16 * 16 * 9 * 32**2
    stages += (16 * 32 + 5 * 32 * 32) * 9 * 16**2
    stages += (32 * 64 + 5 * 64 * 64) * 9 * 8**2
    assert measure_complexity(encoder).multiply_adds == first + stages
    assert measure_complexity(encoder, 64).multiply_adds == 4 * (first + stages)


def test_attention_of_a_transformer_is_counted() -> None:
    encoder = encoder_of("timm/test_vit.random", 64)
    tokens, width, depth = 4 * 4 + 1, 64, 6
    hidden = encoder.backbone.get_submodule("blocks.0.mlp.fc1").out_features
    block = tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width
    patches = 16 * 3 * 16**2 * width
    assert measure_complexity(encoder).multiply_adds == patches + depth * block


@pytest.mark.parametrize("fast", [True, False])
def test_measuring_changes_nothing(fast: bool) -> None:
    encoder = encoder_of("resnet20.random").train()
    before, usual = state_hash(encoder), torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fast)
    measure_complexity(encoder)
    speed = measure_throughput(encoder, "cpu", batch_size=2, duration_s=0.0)
    assert speed > 1
    assert state_hash(encoder) == before
    assert encoder.training
    assert torch.backends.mha.get_fastpath_enabled() is fast
    torch.backends.mha.set_fastpath_enabled(usual)


def test_sizes_a_network_cannot_take_are_refused() -> None:
    encoder = encoder_of("vit_tiny_patch16_224.random", 64)
    with pytest.raises(UsageError, match="images of 48 pixels"):
        measure_complexity(encoder, 48)
    with pytest.raises(UsageError, match="images of 48 pixels"):
        measure_throughput(encoder, "cpu", image_size=48)
