"""Linear layers and kernels of 1 x 1 by either library, against torch's own."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import Tensor, nn

from medtransfer.models.channel_products import (
    LEAST_PRODUCTS,
    ConvolvedLinear,
    PointwiseConv2d,
    Products,
    choose_products,
)


class Special(nn.Linear):
    """A layer with a forward pass of its own."""


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def operations(layer: nn.Module, values: Tensor) -> set[str]:
    """Return which library does the product, by torch's own account."""
    with torch.profiler.profile() as profile:
        layer(values).sum().backward()
    names = {event.name for event in profile.events()}
    return names & {"aten::mkldnn_convolution", "aten::addmm", "aten::mm", "aten::_slow_conv2d_forward"}


def require_double_s(layer: nn.Module, exact: nn.Module, values: Tensor) -> None:
    """Require the values and gradients of a layer to be those of its copy in double precision."""
    found, expected = layer(values), exact(values.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    above = drawn(*found.shape, seed=1)
    ours = torch.autograd.grad(found, [values, *layer.parameters()], above)
    theirs = torch.autograd.grad(expected, [values, *exact.parameters()], above.double())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-4)


CONVOLVED = {"aten::mkldnn_convolution"}


@pytest.mark.parametrize("shape", [(2, 256, 256), (512, 256), (2, 16, 16, 256)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers(shape: tuple[int, ...], *, bias: bool) -> None:
    layer = nn.Linear(256, 128, bias=bias)
    exact = copy.deepcopy(layer).double()
    assert choose_products(layer, "convolutions") == 1
    values = drawn(*shape).requires_grad_()
    assert operations(layer, values) == CONVOLVED
    require_double_s(layer, exact, values)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("cases", [2, 16])
def test_kernels_of_one_position(cases: int, layout: torch.memory_format) -> None:
    layer = nn.Conv2d(128, 96, 1).to(memory_format=layout)
    exact = copy.deepcopy(layer).double()
    assert choose_products(layer, "convolutions") == 1
    maps = drawn(cases, 128, 20, 21).contiguous(memory_format=layout).requires_grad_()
    assert operations(layer, maps) == CONVOLVED
    assert layer(maps).is_contiguous(memory_format=layout)
    require_double_s(layer, exact, maps)


@pytest.mark.parametrize("products", ["library", "convolutions"])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("bias", [True, False])
def test_kernels_on_one_position_are_products(
    layout: torch.memory_format, products: Products, *, bias: bool
) -> None:
    layer = nn.Conv2d(64, 16, 1, bias=bias).to(memory_format=layout)
    exact = copy.deepcopy(layer).double()
    assert choose_products(layer, products) == 1
    maps = drawn(32, 64, 1, 1).contiguous(memory_format=layout).requires_grad_()
    assert "aten::mkldnn_convolution" not in operations(layer, maps)
    require_double_s(layer, exact, maps)


def test_where_torch_s_products_are_fast_all_else_stays() -> None:
    linear, pointwise = nn.Linear(256, 128), nn.Conv2d(256, 128, 1)
    values, maps = drawn(512, 256), drawn(16, 256, 8, 8)
    expected = linear(values), pointwise(maps)
    assert choose_products(nn.ModuleList([linear, pointwise]), "library") == 1
    assert torch.equal(linear(values), expected[0])
    assert torch.equal(pointwise(maps), expected[1])


@pytest.mark.parametrize(
    ("inputs", "outputs", "rows"),
    [
        (1024, 1024, 127),  # few rows
        (8192, 15, 1024),  # few outputs
        (15, 8192, 1024),  # few inputs
        (128, 128, LEAST_PRODUCTS // (128 * 128) - 1),  # little to do
    ],
)
def test_small_products_stay(inputs: int, outputs: int, rows: int) -> None:
    layer = nn.Linear(inputs, outputs)
    pointwise = nn.Conv2d(inputs, outputs, 1)
    values, maps = drawn(rows, inputs), drawn(1, inputs, rows, 1)
    expected = layer(values), pointwise(maps)
    choose_products(nn.ModuleList([layer, pointwise]), "convolutions")
    assert operations(layer, values) == {"aten::addmm", "aten::mm"}  # forward and backward pass
    assert torch.equal(layer(values), expected[0])
    assert torch.equal(pointwise(maps), expected[1])


def test_the_smallest_that_changes() -> None:
    layer = nn.Linear(128, 128)
    choose_products(layer, "convolutions")
    assert operations(layer, drawn(LEAST_PRODUCTS // (128 * 128), 128)) == CONVOLVED


def test_what_is_changed_and_what_is_not() -> None:
    network = nn.ModuleDict(
        {
            "linear": nn.Linear(8, 8),
            "pointwise": nn.Conv2d(8, 8, 1),
            "same": nn.Conv2d(8, 8, 1, padding="same"),
            "special": Special(8, 8),
            "kernel": nn.Conv2d(8, 8, 3),
            "strided": nn.Conv2d(8, 8, 1, stride=2),
            "padded": nn.Conv2d(8, 8, 1, padding=1),
            "grouped": nn.Conv2d(8, 8, 1, groups=2),
        }
    )
    parameters = dict(network.named_parameters())
    kinds = {name: type(module) for name, module in network.items()}
    assert choose_products(network, "convolutions") == 3
    changed = {"linear": ConvolvedLinear, "pointwise": PointwiseConv2d, "same": PointwiseConv2d}
    assert {name: type(module) for name, module in network.items()} == kinds | changed
    assert dict(network.named_parameters()) == parameters  # the same objects, which an optimiser may hold
    assert choose_products(network, "convolutions") == 3  # and again


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto", "efficientnet_b0"])
def test_whole_networks_in_double_precision_are_the_oracle(name: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=3).eval()
    exact = copy.deepcopy(network).double()
    assert choose_products(network, "convolutions") > 10
    images = drawn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(network(images).double(), exact(images.double()), rtol=1e-3, atol=1e-5)
