"""Feature pyramids of hierarchical transformers and of torchvision's: the right maps, in the right places."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.decoders import build_segmenter
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.pyramid import find_pyramid
from medtransfer.models.stage_pyramid import find_stage_pyramid

STAGES = {
    "hiera_tiny_224": ((96, 192, 384, 768), (4, 8, 16, 32)),
    "coat_tiny": ((152, 152, 152, 152), (4, 8, 16, 32)),
    "crossvit_tiny_240": ((96, 192), (12, 240 / 14)),
    "efficientformer_l1": ((48, 96, 224, 448), (4, 8, 16, 32)),
    "levit_128s": ((128, 256, 384), (16, 32, 56)),
    "mvitv2_tiny": ((96, 192, 384, 768), (4, 8, 16, 32)),
    "pit_xs_224": ((96, 192, 384), (224 / 27, 16, 32)),
    "twins_svt_small": ((64, 128, 256, 512), (4, 8, 16, 32)),
    "volo_d1_224": ((192, 384), (8, 16)),
}
"""Families that pass on tokens between stages: channels and strides of their maps."""


def encoder_of(name: str, side: int | None = None) -> Encoder:
    return build_encoder(resolve_model(name), weights_folder=None, seed=0, image_size=side)


def noise(side: int, count: int = 1) -> Tensor:
    return torch.randint(
        0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )


@pytest.mark.parametrize("name", STAGES)
def test_hierarchical_family_has_the_maps_of_its_stages(name: str) -> None:
    channels, strides = STAGES[name]
    encoder = encoder_of(f"{name}.random")
    side = encoder.input.size
    with torch.no_grad():
        maps = encoder.pyramid(noise(side))
    assert encoder.pyramid_channels == channels == tuple(each.shape[1] for each in maps)
    assert [level.stride for level in encoder.levels] == pytest.approx(strides)
    assert [side / each.shape[3] for each in maps] == pytest.approx(strides)
    segmenter = build_segmenter("unet", encoder, 2, image_size=side, seed=0).eval()
    with torch.no_grad():
        assert segmenter(noise(side)).shape == (1, 2, side, side)


def test_maps_of_hiera_are_its_stages_put_in_order() -> None:
    """Against timm's own order of tokens: pooling the last map gives the embedding before its normalisation."""
    encoder = encoder_of("hiera_tiny_224.random")
    network: Any = encoder.backbone
    values = encoder.input_transform(noise(224, count=2))
    with torch.no_grad():
        last = encoder.pyramid(noise(224, count=2))[-1]
        tokens = network.forward_features(values)
    torch.testing.assert_close(last.mean(dim=(2, 3)), tokens.flatten(1, -2).mean(dim=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["hiera_tiny_224.random", "torchvision/vit_b_32.random"])
def test_a_patch_changes_the_finest_map_most_where_it_lies(name: str) -> None:
    encoder = encoder_of(name)
    images = noise(224)
    changed = images.clone()
    changed[:, :, 32:64, 160:192] = 255 - changed[:, :, 32:64, 160:192]
    with torch.no_grad():
        one, other = encoder.pyramid(images)[0], encoder.pyramid(changed)[0]
    distance = (one - other).square().sum(dim=1)[0]
    row, column = divmod(int(distance.argmax()), distance.shape[1])
    stride = encoder.levels[0].stride
    assert 32 - 2 * stride <= row * stride < 64 + stride
    assert 160 - 2 * stride <= column * stride < 192 + stride


class Stages(nn.Module):
    """Gives the number of each intermediate map as its value."""

    def __init__(self, sides: list[tuple[int, int]], *, broken: bool = False) -> None:
        super().__init__()
        self.sides, self.broken = sides, broken

    def forward_intermediates(
        self, images: Tensor, indices: list[int] | None = None, **_: object
    ) -> list[Tensor]:
        if self.broken:
            raise ValueError("cannot")
        wanted = range(len(self.sides)) if indices is None else indices
        return [torch.full((len(images), 5, *self.sides[number]), float(number)) for number in wanted]


def test_the_last_map_of_each_resolution_is_taken_finest_first() -> None:
    network = Stages([(4, 4), (8, 8), (8, 8), (4, 4), (2, 2)])
    images = torch.zeros(1, 3, 32, 32)
    found = find_stage_pyramid(network, images)
    assert found is not None
    assert found.stages == (2, 3, 4)
    assert [level.stride for level in found.levels] == [4, 8, 16]
    assert [float(each.mean()) for each in found.maps(network, images)] == [2, 3, 4]


def test_networks_without_maps_of_several_resolutions_have_none() -> None:
    images = torch.zeros(1, 3, 32, 32)
    assert find_stage_pyramid(nn.Conv2d(3, 8, 3), images) is None
    assert find_stage_pyramid(Stages([(4, 4), (4, 4)]), images) is None
    assert find_stage_pyramid(Stages([(4, 4), (2, 3)]), images) is None
    assert find_stage_pyramid(Stages([(4, 4), (2, 2)], broken=True), images) is None


# torchvision's plain transformer


def test_torchvision_maps_are_the_normalised_tokens_of_every_quarter() -> None:
    encoder = encoder_of("torchvision/vit_b_32.random")
    network: Any = encoder.backbone
    values = encoder.input_transform(noise(224, count=2))
    with torch.no_grad():
        class_token = network.class_token.expand(2, -1, -1)
        x = torch.cat([class_token, network.conv_proj(values).flatten(2).transpose(1, 2)], dim=1)
        x, tokens = x + network.encoder.pos_embedding, []
        for layer in network.encoder.layers:
            x = layer(x)
            tokens.append(network.encoder.ln(x)[:, 1:].reshape(2, 7, 7, 768).permute(0, 3, 1, 2))
        maps, embedding = encoder.pyramid(noise(224, count=2)), encoder(noise(224, count=2))
    assert [tuple(each.shape[2:]) for each in maps] == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert [level.module for level in encoder.levels] == [f"blocks.{block}" for block in (2, 5, 8, 11)]
    torch.testing.assert_close(maps[2], tokens[8])
    torch.testing.assert_close(maps[3][:, :, 0, 0], tokens[11][:, :, :2, :2].mean(dim=(2, 3)))
    torch.testing.assert_close(embedding, network.encoder.ln(x)[:, 0])
    assert not [module for module in network.modules() if module._forward_hooks]


def test_torchvision_transformer_takes_images_of_another_size() -> None:
    native = encoder_of("torchvision/vit_b_32.random")
    encoder = encoder_of("torchvision/vit_b_32.random", side=96)
    before: Any = native.backbone.encoder
    after: Any = encoder.backbone.encoder
    assert after.pos_embedding.shape == (1, 1 + 9, 768)
    assert torch.equal(after.pos_embedding[:, 0], before.pos_embedding[:, 0])
    whole = before.pos_embedding[:, 1:].mean(dim=1)
    torch.testing.assert_close(after.pos_embedding[:, 1:].mean(dim=1), whole, rtol=0.2, atol=5e-3)
    assert after.pos_embedding.requires_grad
    with torch.no_grad():
        assert encoder(noise(96)).shape == (1, 768)
        assert [each.shape[2] for each in encoder.pyramid(noise(96))] == [12, 6, 3, 2]
    with pytest.raises(
        UsageError, match=r"multiple of its patches of 32 pixels, got 100\. Set image_size to 96"
    ):
        encoder_of("torchvision/vit_b_32.random", side=100)


# Convolutional networks whose maps do not halve


def test_maps_that_lost_their_border_count_as_one_resolution() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 5, 3), nn.Conv2d(5, 6, 3, stride=2), nn.Conv2d(6, 7, 3)
    )
    levels = find_pyramid(network, torch.zeros(1, 3, 64, 64))
    assert [(level.module, level.channels) for level in levels] == [("1", 5), ("3", 7)]


def test_of_six_resolutions_the_finest_is_left_out() -> None:
    network = nn.Sequential(*(nn.Conv2d(3, 3, 3, stride=2, padding=1) for _ in range(6)))
    levels = find_pyramid(network, torch.zeros(1, 3, 128, 128))
    assert [level.stride for level in levels] == [4, 8, 16, 32, 64]


@pytest.mark.parametrize("name", ["efficientvit_m0.random", "shvit_s1.random", "inception_v3.random"])
def test_deep_and_unpadded_families_carry_a_decoder(name: str) -> None:
    encoder = encoder_of(name)
    assert len(encoder.levels) == 5
    segmenter = build_segmenter("unet", encoder, 2, image_size=160, seed=0).eval()
    with torch.no_grad():
        assert segmenter(noise(160)).shape == (1, 2, 160, 160)
