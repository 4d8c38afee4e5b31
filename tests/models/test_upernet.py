"""UPerNet over every kind of pyramid, and the budget both decoders share."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.decoders import Decoder, build_segmenter
from medtransfer.models.heads import UNet, decoded
from medtransfer.models.network import Encoder, build_encoder, state_hash
from medtransfer.models.pyramid import PyramidLevel
from medtransfer.models.upernet import UPERNET_CHANNELS, UPerNet, levels_read


def encoder_of(name: str, side: int) -> Encoder:
    return build_encoder(resolve_model(name), weights_folder=None, seed=0, image_size=side)


def noise(side: int) -> torch.Tensor:
    return torch.randint(
        0, 256, (2, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )


@pytest.fixture(scope="module")
def small() -> Encoder:
    return encoder_of("resnet20.random", 32)


def levels(*strides: float) -> tuple[PyramidLevel, ...]:
    return tuple(PyramidLevel("m", 0, 8, stride) for stride in strides)


def test_maps_of_half_the_side_are_left_out_where_two_others_exist() -> None:
    assert levels_read(levels(2, 4, 8, 16, 32)) == levels(4, 8, 16, 32)
    assert levels_read(levels(3.5, 7, 14, 28)) == levels(3.5, 7, 14, 28)
    assert levels_read(levels(2.03, 4.1, 8.5)) == levels(4.1, 8.5)
    assert levels_read(levels(2, 4)) == levels(2, 4)


@pytest.mark.parametrize("name", ["squeezenet1_1.random", "mobilenetv3_small_050.random"])
@pytest.mark.parametrize("side", [64, 75])
def test_logits_have_the_size_of_the_image(name: str, side: int) -> None:
    network = UPerNet(encoder_of(name, side), 3, image_size=side, seed=1).eval()
    with torch.no_grad():
        assert network(noise(side)).shape == (2, 3, side, side)
        assert network(noise(side)[:, :, :, : side - 8]).shape == (2, 3, side, side - 8)


def test_every_map_that_is_read_changes_the_logits() -> None:
    encoder = encoder_of("mobilenetv3_small_050.random", 64)
    network = UPerNet(encoder, 1, image_size=64, seed=1).eval()
    with torch.no_grad():
        features = [noise(64), *encoder.pyramid(noise(64))]
        plain = decoded(network.decoder, network.head, features)
        for number in range(1, len(features)):
            other = list(features)
            other[number] = torch.rand_like(other[number])
            same = torch.equal(decoded(network.decoder, network.head, other), plain)
            assert same is (number == 1), "the map of half the image's side is not read"


def test_decoder_depends_on_its_seed_alone_and_not_on_the_global_one(small: Encoder) -> None:
    def hashed(seed: int) -> str:
        network = UPerNet(small, 2, image_size=32, seed=seed)
        return state_hash(nn.ModuleList([network.decoder, network.head]))

    before = torch.random.get_rng_state()
    first = hashed(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert hashed(1) == first != hashed(2)


def test_width_is_one_number(small: Encoder) -> None:
    assert UPerNet(small, 1, image_size=32, decoder_channels=(12,), seed=0).head.in_channels == 12
    assert UPerNet(small, 1, image_size=32, seed=0).head.in_channels == UPERNET_CHANNELS
    with pytest.raises(UsageError, match="expected one decoder width"):
        UPerNet(small, 1, image_size=32, decoder_channels=(12, 8), seed=0)


def test_one_map_is_too_few(small: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "levels", small.levels[1:])
    with pytest.raises(UsageError, match="at least two resolutions"):
        UPerNet(small, 1, image_size=32, seed=0)


def test_decoders_by_name(small: Encoder) -> None:
    assert isinstance(build_segmenter("unet", small, 1, image_size=32, seed=0), UNet)
    assert isinstance(build_segmenter("upernet", small, 1, image_size=32, seed=0), UPerNet)


COSTS = {
    "resnet50.random": ((4.2, 2.0), (4.0, 1.9)),
    "convnext_tiny.random": ((1.8, 1.3), (2.2, 1.7)),
    "vit_small_patch16_224.random": ((1.5, 1.5), (1.7, 1.8)),
    "mobilenetv1_100.random": ((2.3, 1.4), (2.6, 1.8)),
}


@pytest.mark.parametrize("name", COSTS)
def test_both_decoders_cost_what_is_stated(name: str) -> None:
    encoder = encoder_of(name, 224)
    for decoder, stated in zip(("unet", "upernet"), COSTS[name], strict=True):
        assert cost(decoder, encoder) == pytest.approx(stated, abs=0.06)  # type: ignore[arg-type]


def cost(decoder: Decoder, encoder: Encoder) -> tuple[float, float]:
    """Return millions of parameters and billions of multiply-adds of decoder and head."""
    network = build_segmenter(decoder, encoder, 1, image_size=224, seed=0).eval()
    parameters = [*network.decoder.parameters(), *network.head.parameters()]
    with torch.no_grad():
        features = [torch.zeros(1, 3, 224, 224), *encoder.pyramid(noise(224)[:1])]
        with FlopCounterMode(display=False) as counter:
            decoded(network.decoder, network.head, features)
    return sum(p.numel() for p in parameters) / 1e6, counter.get_total_flops() / 2e9
