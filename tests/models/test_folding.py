"""Folding: the same function with fewer layers, and only where that is certain."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d, StdConv2d
from torch import Tensor, nn

from medtransfer.models.folding import folded_copy, folded_weights
from medtransfer.models.network import state_hash

FAMILIES = {
    "resnet18": 0,
    "resnet26d": 0,
    "mobilenetv1_100": 0,
    "mobilenetv2_050": 0,
    "mobilenetv3_small_050": 0,
    "tf_efficientnet_lite0": 0,
    "efficientnet_b0": 0,
    "densenet121": 62,
    "regnetx_002": 0,
    "ghostnet_050": 0,
    "vgg11_bn": 0,
    "hardcorenas_a": 0,
    "repvgg_a0": 17,
    "dla34": 0,
}
"""A timm network of each family, and how many of its normalisations follow something else than a convolution."""


def with_statistics(network: nn.Module) -> nn.Module:
    """Draw running statistics, scales and shifts that change what a network computes."""
    random = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            drawn = torch.rand(4, module.num_features, generator=random)
            module.running_mean.copy_(0.4 * drawn[0] - 0.2)
            module.running_var.copy_(drawn[1] + 0.5)
            if module.affine:
                module.weight.data.copy_(drawn[2] * 0.5 + 0.75)
                module.bias.data.copy_(0.4 * drawn[3] - 0.2)
    return network.eval()


def images(side: int = 64) -> Tensor:
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(2))


def largest_difference(network: nn.Module, other: nn.Module, batch: Tensor) -> float:
    with torch.inference_mode():
        expected, found = network(batch).double(), other(batch).double()
    assert float(expected.std()) > 0
    return float((expected - found).abs().max() / expected.abs().max())


def normalisations(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_computes_the_same_to_rounding(name: str) -> None:
    torch.manual_seed(0)
    network = with_statistics(timm.create_model(name, pretrained=False, num_classes=0))
    before = state_hash(network)
    folded, pairs = folded_copy(network)
    assert state_hash(network) == before
    assert largest_difference(network, folded, images()) <= 1e-5
    assert normalisations(folded) == FAMILIES[name]
    assert pairs == normalisations(network) - FAMILIES[name]


def test_only_the_copy_is_in_evaluation_mode_and_without_gradients() -> None:
    network = with_statistics(timm.create_model("resnet18", pretrained=False, num_classes=0)).train()
    folded, _ = folded_copy(network)
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_folded_weights_are_the_normalised_convolution_in_double_precision() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(4, 6, 3, groups=2).double()
    normalisation = with_statistics(nn.BatchNorm2d(6)).double()
    batch = torch.randn(2, 4, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        expected = normalisation(convolution(batch))
        weight, bias = folded_weights(convolution.weight, convolution.bias, normalisation)
        found = nn.functional.conv2d(batch, weight, bias, groups=2)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_normalisation_without_scale_and_a_convolution_without_bias_fold() -> None:
    network = with_statistics(nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5, affine=False)))
    folded, pairs = folded_copy(network)
    assert pairs == 1
    assert largest_difference(network, folded, images()) <= 1e-6


def test_normalisation_without_running_statistics_has_no_folded_weights() -> None:
    with pytest.raises(ValueError, match="expected running statistics, got none"):
        folded_weights(torch.ones(2, 1, 1, 1), None, nn.BatchNorm2d(2, track_running_stats=False))


class Wired(nn.Module):
    """A convolution and a normalisation, wired in one of several ways."""

    def __init__(self, wire: Callable[[Wired, Tensor], Tensor], convolution: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = convolution or nn.Conv2d(3, 3, 3, padding=1)
        self.norm: nn.Module = nn.BatchNorm2d(3)
        self.other = nn.BatchNorm2d(3)
        self.wire = wire

    def forward(self, batch: Tensor) -> Tensor:
        return self.wire(self, batch)


def _two_readers(net: Wired, batch: Tensor) -> Tensor:
    maps = net.conv(batch)
    return net.norm(maps) + maps


def _kernel_read(net: Wired, batch: Tensor) -> Tensor:
    return net.norm(net.conv(batch)) * net.conv.weight.mean()


def _by_the_content(net: Wired, batch: Tensor) -> Tensor:
    maps = net.norm(net.conv(batch))
    return maps if maps.mean() > 0 else -maps


@pytest.mark.parametrize(
    "wire",
    [
        _two_readers,
        _kernel_read,
        _by_the_content,
        lambda net, batch: net.conv(net.norm(batch)),
        lambda net, batch: net.norm(net.conv(batch).relu()),
        lambda net, batch: net.norm(net.conv(net.norm(batch))),
        lambda net, batch: net.norm(net.conv(net.conv(batch))),
        lambda net, batch: net.norm(net.conv(batch)) + net.other(net.conv(batch)),
    ],
)
def test_what_is_not_certainly_a_pair_stays(wire: Callable[[Wired, Tensor], Tensor]) -> None:
    network = with_statistics(Wired(wire))
    folded, pairs = folded_copy(network)
    assert pairs == 0
    assert largest_difference(network, folded, images(8)) == 0


def _pair(net: Wired, batch: Tensor) -> Tensor:
    return net.norm(net.conv(batch))


def test_a_convolution_that_standardises_its_kernels_stays() -> None:
    network = with_statistics(Wired(_pair, StdConv2d(3, 3, 3)))
    assert folded_copy(network)[1] == 0
    assert folded_copy(with_statistics(Wired(_pair)))[1] == 1


def test_layers_with_hooks_stay() -> None:
    network = with_statistics(Wired(_pair))
    network.get_submodule("conv").register_forward_hook(lambda *_: None)
    assert folded_copy(network)[1] == 0


def test_normalisation_that_uses_the_batch_stays() -> None:
    network = with_statistics(Wired(_pair))
    network.norm = nn.BatchNorm2d(3, track_running_stats=False)
    assert folded_copy(network)[1] == 0


def test_the_activation_of_a_normalisation_stays() -> None:
    network = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4)))
    folded, pairs = folded_copy(network)
    assert pairs == 1
    with torch.inference_mode():
        assert float(folded(images()).min()) == 0
    assert largest_difference(network, folded, images()) <= 1e-6


def test_the_memory_format_of_kernels_is_kept() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    kernels = folded_copy(network)[0].get_submodule("0").weight
    assert isinstance(kernels, Tensor)
    assert kernels.is_contiguous(memory_format=torch.channels_last)


def test_calls_are_recorded_in_the_part_that_is_named() -> None:
    network = nn.Module()
    network.add_module("inner", with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))))
    folded, pairs = folded_copy(network, "inner")
    assert pairs == 1
    assert normalisations(folded) == 0
