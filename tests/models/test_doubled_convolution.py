"""Kernels over a map of doubled size, computed on the map itself, against doubling, joining and convolving."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from medtransfer.models.doubled_convolution import convolve_apart, convolve_doubled

LAST = torch.channels_last


def drawn(*shape: int, seed: int = 0) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.contiguous(memory_format=LAST).requires_grad_()


def doubled_first(maps: Tensor, beside: Tensor | None, kernels: Tensor) -> Tensor:
    doubled = functional.interpolate(maps, scale_factor=2, mode="nearest")
    joined = doubled if beside is None else torch.cat([doubled, beside], dim=1)
    return functional.conv2d(joined, kernels, padding=1)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (1, 1), (3, 5)])
@pytest.mark.parametrize("channels_beside", [0, 2])
def test_values_and_gradients(height: int, width: int, channels_beside: int) -> None:
    maps = drawn(2, 3, height, width)
    beside = drawn(2, channels_beside, 2 * height, 2 * width, seed=1) if channels_beside else None
    kernels = drawn(5, 3 + channels_beside, 3, 3, seed=2)
    inputs = [value for value in (maps, beside, kernels) if value is not None]
    found, expected = convolve_doubled(maps, beside, kernels), doubled_first(maps, beside, kernels)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert found.is_contiguous(memory_format=LAST)
    above = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad(values, inputs, above) for values in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_small_steps() -> None:
    inputs = drawn(1, 2, 2, 2), drawn(1, 1, 4, 4, seed=1), drawn(2, 3, 3, 3, seed=2)
    assert torch.autograd.gradcheck(convolve_doubled, inputs)


def test_gradients_from_above_in_another_order_of_axes() -> None:
    maps, kernels = drawn(1, 2, 4, 4), drawn(3, 2, 3, 3, seed=1)
    above = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad(way(maps, None, kernels), [maps, kernels], above)
        for way in (convolve_doubled, doubled_first)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_is_frozen_gets_no_gradient(frozen: int) -> None:
    inputs = [drawn(1, 2, 4, 4), drawn(1, 3, 8, 8, seed=1), drawn(4, 5, 3, 3, seed=2)]
    inputs[frozen].requires_grad_(requires_grad=False)
    rest = [value for index, value in enumerate(inputs) if index != frozen]
    above = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    ours, theirs = (
        torch.autograd.grad(way(*inputs), rest, above) for way in (convolve_doubled, doubled_first)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("frozen", [True, False])
def test_products_are_saved(*, frozen: bool) -> None:
    maps, beside, kernels = drawn(1, 2, 16, 16), drawn(1, 3, 32, 32, seed=1), drawn(4, 5, 3, 3, seed=2)
    beside.requires_grad_(requires_grad=not frozen)
    own = 17 * 17 * (2 * 2) * 2 * (4 * 4)  # windows, positions, channels in and out
    other = 32 * 32 * (3 * 3) * 3 * 4
    with FlopCounterMode(display=False) as forward:
        found = convolve_doubled(maps, beside, kernels)
    assert forward.get_flop_counts()["Global"][torch.ops.aten.convolution] == 2 * (own + other)
    with FlopCounterMode(display=False) as backward:
        found.backward(torch.ones_like(found))
    # One convolution for the kernels and one for each map that wants a gradient.
    expected = 2 * (2 * own + (1 if frozen else 2) * other)
    assert backward.get_flop_counts()["Global"][torch.ops.aten.convolution_backward] == expected


@pytest.mark.parametrize("frozen", [True, False])
def test_apart_values_and_gradients(*, frozen: bool) -> None:
    maps, beside, kernels = drawn(2, 3, 5, 6), drawn(2, 2, 5, 6, seed=1), drawn(4, 5, 3, 3, seed=2)
    beside.requires_grad_(requires_grad=not frozen)
    inputs = [value for value in (maps, beside, kernels) if value.requires_grad]
    found = convolve_apart(maps, beside, kernels)
    expected = functional.conv2d(torch.cat([maps, beside], dim=1), kernels, padding=1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    above = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad(values, inputs, above) for values in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_apart_computes_no_gradient_for_a_frozen_map() -> None:
    maps, beside, kernels = drawn(1, 2, 8, 8), drawn(1, 3, 8, 8, seed=1), drawn(4, 5, 3, 3, seed=2)
    found = convolve_apart(maps, beside.detach(), kernels)
    with FlopCounterMode(display=False) as backward:
        found.backward(torch.ones_like(found))
    expected = 2 * 64 * 9 * 4 * (2 + 2 + 3)  # kernels and map of two channels, kernels of three
    assert backward.get_flop_counts()["Global"][torch.ops.aten.convolution_backward] == expected
