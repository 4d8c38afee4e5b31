"""In-place activations of training steps: the same numbers, without a copy of their input."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from medtransfer.training.uncopied_activations import uncopied_activations

EDGES = torch.tensor(
    [-1.0, -0.0, 0.0, 1e-38, 3.0, 5.9999995, 6.0, 6.0000005, 9.0, float("inf"), -float("inf")]
)
"""What ReLU6 treats differently."""

IN_PLACE: dict[str, Callable[[], nn.Module]] = {
    "relu6": lambda: nn.ReLU6(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
    "hardswish": lambda: nn.Hardswish(inplace=True),
    "mish": lambda: nn.Mish(inplace=True),
    "hardsigmoid": lambda: nn.Hardsigmoid(inplace=True),
}


def _copies(layer: nn.Module, maps: Tensor) -> int:
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        layer(maps)
    return sum(event.count for event in seen.key_averages() if event.key == "aten::clone")


def _pass(layer: nn.Module, maps: Tensor) -> tuple[Tensor, Tensor]:
    before = maps.clone().requires_grad_()
    after = layer(before * 1)
    above = torch.linspace(-2, 2, maps.numel(), dtype=maps.dtype).reshape(maps.shape)
    return after.detach().clone(), torch.autograd.grad(after, before, above)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", list(IN_PLACE))
def test_values_and_gradients_are_the_same_bits(name: str, dtype: torch.dtype) -> None:
    layer = IN_PLACE[name]()
    maps = torch.cat([EDGES, 4 * torch.randn(1000, generator=torch.Generator().manual_seed(0))]).to(dtype)
    expected = _pass(layer, maps)
    with uncopied_activations(layer):
        found = _pass(layer, maps)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == dtype
        # As bits, because inf times 0 is NaN, and NaN is not equal to itself.
        assert torch.equal(one.view(torch.int8), other.view(torch.int8))


def test_not_a_number_stays_one() -> None:
    layer = IN_PLACE["relu6"]()
    expected = _pass(layer, torch.tensor([float("nan"), 1.0]))
    with uncopied_activations(layer):
        found = _pass(layer, torch.tensor([float("nan"), 1.0]))
    assert found[0].isnan().tolist() == [True, False]
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("name", list(IN_PLACE))
def test_nothing_is_copied(name: str) -> None:
    layer = nn.Sequential(nn.BatchNorm2d(4), IN_PLACE[name]())
    maps = torch.randn(2, 4, 8, 8)
    assert _copies(layer, maps) == 1
    with uncopied_activations(layer):
        assert _copies(layer, maps) == 0


def test_relu6_keeps_one_array_and_not_two() -> None:
    layer = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU6(inplace=True))
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        if tensor.numel() == 2 * 4 * 8 * 8:
            kept.append(tensor.data_ptr())
        return tensor

    with uncopied_activations(layer), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = layer(torch.randn(2, 4, 8, 8))
    assert len(set(kept)) == 2  # what normalisation reads, and what the activation wrote
    assert found.data_ptr() in kept


@pytest.mark.parametrize("architecture", ["mobilenetv2_035", "mobilenetv3_small_050", "efficientnet_lite0"])
def test_a_step_of_a_real_network_is_the_same(architecture: str) -> None:
    def step(*, changed: bool) -> list[Tensor]:
        torch.manual_seed(0)
        network = timm.create_model(architecture, num_classes=2, drop_rate=0.0)
        images = torch.randn(2, 3, 64, 64)
        with uncopied_activations(network if changed else nn.Identity()):
            network(images).square().sum().backward()
        return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]

    found, expected = step(changed=True), step(changed=False)
    assert len(found) == len(expected) > 20
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_networks_are_as_they_were_afterwards() -> None:
    layers = [make() for make in IN_PLACE.values()]
    network = nn.Sequential(*layers, nn.ReLU(inplace=True), nn.ReLU6(), nn.SiLU())
    before = [(dict(layer.__dict__), layer.training) for layer in network]

    def fail() -> None:
        with uncopied_activations(network):
            assert [layer.inplace for layer in layers] == [True, False, False, False, False]
            assert "forward" in layers[0].__dict__
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(dict(layer.__dict__), layer.training) for layer in network] == before


def test_activations_that_are_not_in_place_leave_their_input_alone() -> None:
    layer = nn.ReLU6()
    maps = torch.tensor([-1.0, 9.0])
    with uncopied_activations(layer):
        assert layer(maps).tolist() == [0.0, 6.0]
    assert maps.tolist() == [-1.0, 9.0]


def test_without_gradients_it_is_a_plain_activation() -> None:
    layer = IN_PLACE["relu6"]()
    maps = torch.tensor([-1.0, 9.0])
    with uncopied_activations(layer), torch.no_grad():
        assert layer(maps).data_ptr() == maps.data_ptr()
    assert maps.tolist() == [0.0, 6.0]
