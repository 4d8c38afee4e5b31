"""Single convolutions in the usual order of axes inside channels-last networks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal

import pytest
import timm
import torch
from torch import Tensor, nn

from medtransfer.models.convolution_order import UsualOrderConv2d, order_convolutions

LAST = torch.channels_last


class Same(nn.Conv2d):
    """A convolution with a forward pass of its own."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps) * 2


class Stages(nn.Module):
    """A convolution over many positions and one over few, with normalisation and dropout."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 128, 3, padding=1)
            self.norm = nn.BatchNorm2d(128)
            self.drop = nn.Dropout(0.5)
            self.last = nn.Conv2d(128, 130, 3, padding=1)
        self.to(memory_format=LAST)

    def forward(self, images: Tensor) -> Tensor:
        maps = nn.functional.avg_pool2d(self.norm(self.first(images)), 4)
        found: Tensor = self.last(self.drop(maps))
        return found


def maps_of(channels: int, side: int) -> Tensor:
    values = torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(1))
    return values.contiguous(memory_format=LAST)


@pytest.mark.parametrize(
    ("layer", "side", "chosen"),
    [
        (lambda: nn.Conv2d(128, 128, 3), 6, True),
        (lambda: nn.Conv2d(128, 128, 5, stride=2, padding=2), 6, True),
        (lambda: nn.Conv2d(128, 128, 3), 7, False),  # too many positions
        (lambda: nn.Conv2d(127, 128, 3), 6, False),  # too few channels in
        (lambda: nn.Conv2d(128, 127, 3), 6, False),  # too few channels out
        (lambda: nn.Conv2d(128, 128, 1), 6, False),
        (lambda: nn.Conv2d(128, 128, 3, groups=2), 6, False),
        (lambda: nn.Conv2d(1153, 4, 3), 9, True),
        (lambda: nn.Conv2d(1152, 4, 3), 9, False),
        (lambda: Same(128, 128, 3), 6, False),
    ],
)
def test_which_are_chosen(layer: Callable[[], nn.Conv2d], side: int, *, chosen: bool) -> None:
    module = layer().to(memory_format=LAST)
    before = type(module)
    count = order_convolutions(module, lambda: module(maps_of(module.in_channels, side)))
    assert count == int(chosen)
    assert type(module) is (UsualOrderConv2d if chosen else before)
    assert module.weight.is_contiguous() == (chosen or module.kernel_size == (1, 1))


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_values_and_gradients_are_the_convolution_s(padding_mode: Literal["zeros", "reflect"]) -> None:
    torch.manual_seed(0)
    module = nn.Conv2d(128, 129, 3, stride=2, padding=1, padding_mode=padding_mode).to(memory_format=LAST)
    exact = copy.deepcopy(module).double()
    maps = maps_of(128, 6).requires_grad_()
    assert order_convolutions(module, lambda: module(maps)) == 1
    found, expected = module(maps), exact(maps.double())
    assert found.is_contiguous(memory_format=LAST)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    above = torch.randn_like(found)
    ours = torch.autograd.grad(found, [maps, *module.parameters()], above)
    oracle = torch.autograd.grad(expected, [maps, *exact.parameters()], above.double())
    for one, other in zip(ours, oracle, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-5, atol=2e-5)


def test_parameters_statistics_and_modes_stay() -> None:
    network = Stages().train()
    network.norm.eval()
    parameters = dict(network.named_parameters())
    state = copy.deepcopy(network.state_dict())
    random = torch.get_rng_state()
    assert order_convolutions(network, lambda: network(maps_of(3, 16))) == 1
    assert dict(network.named_parameters()) == parameters  # the same objects, which an optimiser may hold
    assert list(network.state_dict()) == list(state)
    assert all(torch.equal(network.state_dict()[name], values) for name, values in state.items())
    assert [module.training for module in network.modules()] == [True, True, False, True, True]
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_a_failing_pass_leaves_the_network_alone() -> None:
    network = Stages().train()
    with pytest.raises(RuntimeError):
        order_convolutions(network, lambda: network(maps_of(4, 16)))
    assert all(module.training and not module._forward_pre_hooks for module in network.modules())
    assert {type(module) for module in network.modules() if isinstance(module, nn.Conv2d)} == {nn.Conv2d}


def test_another_size_decides_anew() -> None:
    network = Stages()
    assert order_convolutions(network, lambda: network(maps_of(3, 16))) == 1
    assert type(network.last) is UsualOrderConv2d
    assert order_convolutions(network, lambda: network(maps_of(3, 32))) == 0
    assert type(network.last) is nn.Conv2d
    assert network.last.weight.is_contiguous(memory_format=LAST)


def test_a_copy_has_its_own_parameters() -> None:
    network = Stages().eval()
    order_convolutions(network, lambda: network(maps_of(3, 16)))
    copied = copy.deepcopy(network)
    with torch.no_grad():
        for parameter, value in zip(copied.last.parameters(), (0.0, 7.0), strict=True):
            parameter.fill_(value)
    assert copied(maps_of(3, 16)).unique().tolist() == [7.0]
    assert network(maps_of(3, 16)).unique().numel() > 1


def test_a_real_network_in_double_precision_is_the_oracle() -> None:
    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=3).to(memory_format=LAST).eval()
    exact = copy.deepcopy(network).double()
    images = maps_of(3, 64)
    assert order_convolutions(network, lambda: network(images[:1])) == 7
    with torch.no_grad():
        torch.testing.assert_close(network(images).double(), exact(images.double()), rtol=1e-4, atol=1e-5)
