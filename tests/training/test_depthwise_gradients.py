"""Weight gradients of large depthwise kernels, against the gradients of double precision."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import Tensor, nn

from medtransfer.training import depthwise_gradients
from medtransfer.training.depthwise_gradients import fast_depthwise_gradients

LAST = torch.channels_last


def maps_of(cases: int, channels: int, height: int, width: int) -> Tensor:
    values = torch.randn(cases, channels, height, width, generator=torch.Generator().manual_seed(1))
    return values.contiguous(memory_format=LAST).requires_grad_()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the kernels whose gradient was computed here."""
    seen: list[tuple[int, ...]] = []
    original = depthwise_gradients._weight_gradient

    def spy(maps: Tensor, above: Tensor, weight: Tensor, geometry: tuple[tuple[int, int], ...]) -> Tensor:
        seen.append(tuple(weight.shape))
        return original(maps, above, weight, geometry)

    monkeypatch.setattr(depthwise_gradients, "_weight_gradient", spy)
    return seen


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "bias"),
    [
        (5, 1, 2, 1, False),
        (7, 1, 3, 1, True),
        (5, 2, 2, 1, True),
        (5, 3, 0, 1, False),
        (5, (2, 1), (1, 3), 1, True),
        ((5, 7), 1, 2, 1, False),
        (5, 1, 4, 2, True),
        (5, 2, 4, (2, 3), False),
    ],
)
@pytest.mark.parametrize(
    "part_bytes", [1, 20_000, 1 << 20]
)  # a case at a time, a few with a rest, all at once
def test_gradients_are_those_of_double_precision(
    kernel: int, stride: int, padding: int, dilation: int, *, bias: bool, part_bytes: int,
    calls: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(depthwise_gradients, "_PART_BYTES", part_bytes)
    torch.manual_seed(0)
    layer = nn.Conv2d(12, 12, kernel, stride, padding, dilation, groups=12, bias=bias).to(memory_format=LAST)
    exact = copy.deepcopy(layer).double()
    maps = maps_of(5, 12, 17, 14)
    wide = maps.detach().double().requires_grad_()
    with fast_depthwise_gradients(layer):
        found = layer(maps)
        above = torch.randn_like(found)
        ours = torch.autograd.grad(found, [maps, *layer.parameters()], above)
    assert torch.equal(found, layer(maps))
    oracle = torch.autograd.grad(exact(wide), [wide, *exact.parameters()], above.double())
    assert calls == [tuple(layer.weight.shape)]
    for one, other in zip(ours, oracle, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 3, groups=8),  # a small kernel
        nn.Conv2d(8, 8, 5, groups=2),  # not depthwise
        nn.Conv2d(8, 16, 5, groups=8),  # several kernels per channel
        nn.Conv2d(8, 8, 5, groups=8, padding=2, padding_mode="reflect"),
        nn.Conv2d(8, 8, 5, groups=8, padding="same"),
        nn.Conv2d(8, 8, 5, groups=8).requires_grad_(requires_grad=False),
    ],
)
def test_others_stay_with_torch(layer: nn.Conv2d, calls: list[tuple[int, ...]]) -> None:
    with fast_depthwise_gradients(layer):
        assert type(layer) is nn.Conv2d
        layer(maps_of(2, 8, 9, 9)).sum().backward()
    assert calls == []


def test_other_orders_number_formats_and_moments_stay_with_torch(calls: list[tuple[int, ...]]) -> None:
    layer = nn.Conv2d(8, 8, 5, groups=8).to(memory_format=LAST)
    maps = maps_of(2, 8, 9, 9)
    with fast_depthwise_gradients(layer):
        layer(maps.detach().contiguous().requires_grad_()).sum().backward()
        with torch.autocast("cpu", torch.bfloat16):
            layer(maps).sum().backward()
        with torch.no_grad():
            layer(maps)
        assert calls == []
        layer(maps).sum().backward()
    assert calls == [(8, 1, 5, 5)]


def test_maps_that_need_no_gradient(calls: list[tuple[int, ...]]) -> None:
    layer = nn.Conv2d(8, 8, 5, groups=8).to(memory_format=LAST)
    with fast_depthwise_gradients(layer):
        layer(maps_of(2, 8, 9, 9).detach()).sum().backward()
    assert calls == [(8, 1, 5, 5)]
    assert layer.weight.grad is not None


def test_networks_are_as_they_were_afterwards() -> None:
    network = nn.Sequential(nn.Conv2d(8, 8, 5, groups=8), nn.Conv2d(8, 8, 3))
    before = [dict(layer.__dict__) for layer in network]

    def fail() -> None:
        with fast_depthwise_gradients(network):
            assert type(network[0]) is not nn.Conv2d
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [type(layer) for layer in network] == [nn.Conv2d, nn.Conv2d]
    assert [dict(layer.__dict__) for layer in network] == before


@pytest.mark.parametrize(("architecture", "kernels"), [("mobilenetv3_small_050", 8), ("convnext_atto", 12)])
def test_a_step_of_a_real_network(architecture: str, kernels: int, calls: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=2).to(memory_format=LAST).eval()
    plain = copy.deepcopy(network)
    images = maps_of(2, 3, 64, 64)
    with fast_depthwise_gradients(network):
        network(images).square().sum().backward()
    plain(images.detach()).square().sum().backward()
    assert len(calls) == kernels
    for (name, one), other in zip(network.named_parameters(), plain.parameters(), strict=True):
        assert one.grad is not None, name
        assert other.grad is not None, name
        scale = float(other.grad.abs().max())
        assert float((one.grad - other.grad).abs().max()) <= 1e-4 * scale + 1e-9, name
