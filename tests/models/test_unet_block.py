"""Blocks of a U-Net that convolve before they double a map, against the library's own."""

from __future__ import annotations

import copy

import pytest
import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from medtransfer.models.catalogue import resolve_model
from medtransfer.models.convolution_order import MANY_CHANNELS
from medtransfer.models.doubled_convolution import convolve_before_doubling
from medtransfer.models.heads import UNet
from medtransfer.models.network import build_encoder
from medtransfer.models.unet_block import UNetBlock, with_our_blocks


def drawn(*shape: int) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return values.contiguous(memory_format=torch.channels_last)


def pyramid(side: int = 16) -> list[Tensor]:
    return [drawn(2, channels, side >> level, side >> level) for level, channels in enumerate((3, 4, 5, 6))]


def build_decoder() -> UnetDecoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UnetDecoder((3, 4, 5, 6), (7, 6, 4), n_blocks=3).double()


def flops(decoder: UnetDecoder, features: list[Tensor]) -> int:
    with FlopCounterMode(display=False) as counter:
        decoder(features)
    return counter.get_flop_counts()["Global"][torch.ops.aten.convolution]


@pytest.mark.parametrize("training", [True, False])
def test_values_gradients_and_statistics_are_the_library_s(*, training: bool) -> None:
    plain = build_decoder().train(training)
    ours = with_our_blocks(copy.deepcopy(plain))
    assert convolve_before_doubling(ours, 1) == 3
    found, expected = ours(pyramid()), plain(pyramid())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    above = torch.randn_like(found)
    gradients = [
        torch.autograd.grad(maps, list(of.parameters()), above)
        for maps, of in ((found, ours), (expected, plain))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(ours.state_dict(), plain.state_dict(), rtol=1e-10, atol=1e-10)


def test_blocks_are_the_library_s_until_they_are_told() -> None:
    plain = build_decoder().eval()
    ours = with_our_blocks(copy.deepcopy(plain))
    assert torch.equal(ours(pyramid()), plain(pyramid()))
    assert flops(ours, pyramid()) == flops(plain, pyramid())


def test_small_maps_are_doubled_first() -> None:
    network = with_our_blocks(build_decoder().eval())
    at_first = flops(network, pyramid())
    found = []
    for least in (65, 64, 16):  # the larger maps that are doubled have 8 x 8 and 4 x 4 positions
        convolve_before_doubling(network, least)
        found.append(flops(network, pyramid()))
    assert found[0] == at_first
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 3


def odd_pyramid() -> list[Tensor]:
    """Return maps of which 2 x 2 doubles to 4 x 4 and 4 x 4 to 8 x 8, and 8 x 8 becomes 15 x 15."""
    return [drawn(2, 3, 15, 15), drawn(2, 4, 8, 8), drawn(2, 5, 4, 4), drawn(2, 6, 2, 2)]


def test_trained_maps_that_do_not_double_are_the_library_s() -> None:
    plain = build_decoder()
    ours = with_our_blocks(copy.deepcopy(plain))
    convolve_before_doubling(ours, 17)
    features = [maps.requires_grad_() for maps in odd_pyramid()]
    assert torch.equal(ours(features), plain(features))


def test_beside_frozen_maps_those_that_do_not_double_get_their_gradients_alone() -> None:
    plain = build_decoder()
    ours = with_our_blocks(copy.deepcopy(plain))
    convolve_before_doubling(ours, 17)
    found, expected = ours(odd_pyramid()), plain(odd_pyramid())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    gradients, products = [], []
    for maps, of in ((found, ours), (expected, plain)):
        with FlopCounterMode(display=False) as counter:
            gradients.append(torch.autograd.grad(maps.sum(), list(of.parameters())))
        products.append(counter.get_flop_counts()["Global"][torch.ops.aten.convolution_backward])
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)
    # The second block alone reads a trained map, of 7 channels, and a frozen one, of 4, to make 6.
    assert products[1] - products[0] == 2 * 2 * 64 * 9 * 4 * 6


def test_kernels_over_very_many_channels_are_the_library_s() -> None:
    decoder = UnetDecoder((3, 4, MANY_CHANNELS + 1), (4, 4), n_blocks=2).eval()
    block = with_our_blocks(decoder).blocks[0]
    convolve_before_doubling(decoder, 1)
    assert isinstance(block, UNetBlock)
    maps = torch.randn(1, MANY_CHANNELS + 1, 4, 4)
    with FlopCounterMode(display=False) as counter:
        block(maps, 8, 8, torch.randn(1, 4, 8, 8))
    first = 2 * 64 * 9 * (MANY_CHANNELS + 5) * 4
    assert counter.get_total_flops() == first + 2 * 64 * 9 * 4 * 4


def test_a_u_net_has_our_blocks_and_the_library_s_names() -> None:
    encoder = build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=0)
    network = UNet(encoder, 1, image_size=32, seed=0)
    assert all(type(block) is UNetBlock for block in network.decoder.blocks)
    names = [name for name, _ in network.decoder.named_parameters()]
    assert names[:3] == ["blocks.0.conv1.0.weight", "blocks.0.conv1.1.weight", "blocks.0.conv1.1.bias"]
