"""Feature pyramids of plain transformers: the tokens of the right blocks, in the right places, resampled."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.heads import UNet
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.token_pyramid import find_token_pyramid


def encoder_of(name: str, side: int) -> Encoder:
    return build_encoder(resolve_model(name), weights_folder=None, seed=0, image_size=side)


def noise(side: int, count: int = 2) -> Tensor:
    return torch.randint(
        0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )


@pytest.mark.parametrize(
    ("name", "side", "patch", "before"),
    [
        ("vit_tiny_patch16_224.random", 96, 16, 1),
        ("vit_small_patch14_dinov2.random", 84, 14, 1),
        ("timm/test_vit3.random", 96, 16, 1),
        ("eva02_tiny_patch14_224.random", 84, 14, 1),
    ],
)
def test_maps_are_the_normalised_tokens_of_every_quarter(
    name: str, side: int, patch: int, before: int
) -> None:
    encoder = encoder_of(name, side)
    network: Any = encoder.backbone
    depth, grid = len(network.blocks), side // patch
    tokens: dict[int, Tensor] = {}
    for number, block in enumerate(network.blocks):
        block.register_forward_hook(lambda _, __, output, number=number: tokens.update({number: output}))
    with torch.no_grad():
        encoder(noise(side))
        ends = [round(depth * quarter / 4 + 0.49) - 1 for quarter in (1, 2, 3, 4)]
        before = tokens[0].shape[1] - grid * grid
        expected = [
            network.norm(tokens[end])[:, before:].reshape(2, grid, grid, -1).permute(0, 3, 1, 2)
            for end in ends
        ]
        found = encoder.pyramid(noise(side))
    assert ends[-1] == depth - 1
    assert [level.module for level in encoder.levels] == [f"blocks.{end}" for end in ends]
    assert [level.stride for level in encoder.levels] == [patch / 4, patch / 2, patch, patch * 2]
    assert [tuple(each.shape[-2:]) for each in found] == [
        (size, size) for size in (4 * grid, 2 * grid, grid, -(-grid // 2))
    ]
    torch.testing.assert_close(found[2], expected[2])
    torch.testing.assert_close(found[3][:, :, 0, 0], expected[3][:, :, :2, :2].mean(dim=(2, 3)))
    for enlarged, original in ((found[0], expected[0]), (found[1], expected[1])):
        halves = functional.adaptive_avg_pool2d(enlarged, grid)[:, :, 1:-1, 1:-1]
        similar = functional.cosine_similarity(halves, original[:, :, 1:-1, 1:-1]).mean()
        assert similar > 0.9


def test_a_patch_changes_the_maps_where_it_lies() -> None:
    encoder = encoder_of("vit_tiny_patch16_224.random", 96)
    images = noise(96, count=1)
    changed = images.clone()
    changed[:, :, 0:16, 64:80] = 255 - changed[:, :, 0:16, 64:80]
    with torch.no_grad():
        pairs = zip(encoder.pyramid(images), encoder.pyramid(changed), strict=True)
        for level, (one, other) in zip(encoder.levels, pairs, strict=True):
            distance = (one - other).square().sum(dim=1)[0]
            row, column = divmod(int(distance.argmax()), distance.shape[1])
            assert row * level.stride < 16
            assert 64 - level.stride <= column * level.stride < 80


def test_a_pyramid_has_no_weights_and_embeddings_are_as_before() -> None:
    encoder = encoder_of("timm/test_vit.random", 64)
    names = set(encoder.state_dict())
    assert names == {f"backbone.{name}" for name in encoder.backbone.state_dict()}
    with torch.no_grad():
        expected = encoder.backbone(encoder.input_transform(noise(64)))
        encoder.pyramid(noise(64))
        assert torch.equal(encoder(noise(64)), expected)


def test_shallow_transformers_use_a_block_for_several_maps() -> None:
    network = _Transformer(depth=2)
    found = find_token_pyramid(network, torch.zeros(1, 3, 32, 32))
    assert found is not None
    assert found.blocks == (0, 0, 1, 1)
    maps = found.maps(network, torch.zeros(1, 3, 32, 32))
    assert [float(each.mean()) for each in maps] == [0, 0, 1, 1]


def test_an_odd_grid_keeps_its_last_row_when_it_is_halved() -> None:
    encoder = encoder_of("timm/test_vit.random", 80)
    with torch.no_grad():
        coarse = encoder.pyramid(noise(80))[-1]
        network: Any = encoder.backbone
        values = encoder.input_transform(noise(80))
        (tokens,) = network.forward_intermediates(values, indices=1, norm=True, intermediates_only=True)
    assert (tokens.shape[-2:], coarse.shape[-2:]) == ((5, 5), (3, 3))
    torch.testing.assert_close(coarse[:, :, 2, 2], tokens[:, :, 4, 4])
    torch.testing.assert_close(coarse[:, :, 0, 2], tokens[:, :, :2, 4].mean(dim=2))


def test_networks_that_are_no_plain_transformer_have_none() -> None:
    assert find_token_pyramid(nn.Conv2d(3, 8, 3), torch.zeros(1, 3, 32, 32)) is None
    assert find_token_pyramid(_Transformer(depth=4, shrinking=True), torch.zeros(1, 3, 32, 32)) is None
    assert find_token_pyramid(_Transformer(depth=4, broken=True), torch.zeros(1, 3, 32, 32)) is None


def test_an_image_of_one_patch_is_too_small_for_a_decoder() -> None:
    encoder = encoder_of("timm/test_vit.random", 16)
    with pytest.raises(UsageError, match="got 16 pixels"):
        UNet(encoder, 1, image_size=16, seed=0)


class _Transformer(nn.Module):
    """Gives the number of the block as the value of its tokens."""

    def __init__(self, depth: int, *, shrinking: bool = False, broken: bool = False) -> None:
        super().__init__()
        self.feature_info = [{}] * depth
        self.shrinking, self.broken = shrinking, broken

    def forward_intermediates(self, images: Tensor, indices: list[int], **_: object) -> list[Tensor]:
        if self.broken:
            raise ValueError("cannot")
        sides = [8 >> index if self.shrinking else 4 for index in indices]
        return [
            torch.full((len(images), 5, side, side), float(index))
            for side, index in zip(sides, indices, strict=True)
        ]
