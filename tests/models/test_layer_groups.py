"""Layer groups: every parameter once, in the order in which the network runs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.layer_groups import layer_groups, rate_factors, train_last
from medtransfer.models.network import Encoder, build_encoder

EXPECTED = {
    "resnet18.random": ["stem", "layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1",
                        "layer4.0", "layer4.1"],
    "torchvision/resnet18.random": ["stem", "layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0",
                                    "layer3.1", "layer4.0", "layer4.1"],
    "resnet20.random": ["stem", *(f"layer{stage}.{block}" for stage in (1, 2, 3) for block in (0, 1, 2))],
    "timm/test_vit.random": ["stem", *(f"blocks.{block}" for block in range(6))],
    "vit_tiny_patch16_224.random": ["stem", *(f"blocks.{block}" for block in range(12))],
    "squeezenet1_1.random": ["stem", *(f"features.{block}" for block in (3, 4, 6, 7, 9, 10, 11, 12))],
    "torchvision/vgg11_bn.random": ["stem", *(f"features.{layer}" for layer in (4, 8, 11, 15, 18, 22, 25))],
    "torchvision/alexnet.random": ["stem", *(f"features.{layer}" for layer in (3, 6, 8, 10))],
    "torchvision/convnext_tiny.random": [
        "stem", *(f"features.1.{block}" for block in range(3)), "features.2",
        *(f"features.3.{block}" for block in range(3)), "features.4",
        *(f"features.5.{block}" for block in range(9)), "features.6",
        *(f"features.7.{block}" for block in range(3)), "classifier.0",
    ],
}  # fmt: skip

COUNTS = {
    "densenet121.random": 60,
    "torchvision/densenet121.random": 63,
    "convnext_atto.random": 14,
    "swin_tiny_patch4_window7_224.random": 13,
    "mobilenetv1_100.random": 13,
    "mobilenetv3_small_050.random": 14,
    "torchvision/mobilenet_v2.random": 19,
    "torchvision/regnet_y_400mf.random": 17,
    "torchvision/shufflenet_v2_x0_5.random": 18,
    "efficientnet_b0.random": 17,
    "vit_small_patch14_dinov2.random": 13,
}


def encoder_of(name: str) -> Encoder:
    side = 56 if "patch14" in name else 64
    return build_encoder(resolve_model(name), weights_folder=None, seed=0, image_size=side)


@pytest.fixture
def small() -> Encoder:
    return encoder_of("resnet20.random")


@pytest.mark.parametrize("name", [*EXPECTED, *COUNTS])
def test_every_parameter_is_in_one_group_and_groups_run_in_order(name: str) -> None:
    encoder = encoder_of(name)
    groups = layer_groups(encoder)
    names = [group.name for group in groups]
    if name in EXPECTED:
        assert names == EXPECTED[name]
    assert len(names) == COUNTS.get(name, len(names))
    assert len(set(names)) == len(names)
    assert names[0] == "stem"
    found = [parameter for group in groups for parameter in group.parameters]
    assert sorted(found) == sorted(parameter for parameter, _ in encoder.named_parameters())
    sizes = {parameter: tensor.numel() for parameter, tensor in encoder.named_parameters()}
    assert [group.size for group in groups] == [sum(sizes[p] for p in group.parameters) for group in groups]
    _check_they_run_in_order(encoder, [group.parameters for group in groups])


def _check_they_run_in_order(encoder: Encoder, groups: list[tuple[str, ...]]) -> None:
    """The first layer of each group that runs must run after the first one of the group before."""
    order: dict[str, int] = {}
    layers = [[parameter.rpartition(".")[0] for parameter in group] for group in groups]
    for path in (path for group in layers for path in group):
        encoder.get_submodule(path).register_forward_pre_hook(_Note(order, path))
    with torch.no_grad():
        encoder(torch.zeros(1, 3, encoder.image_size, encoder.image_size))
    first = [min(order[path] for path in group if path in order and path != "backbone") for group in layers]
    assert first == sorted(set(first))


class _Note:
    """Notes when a layer runs for the first time."""

    def __init__(self, order: dict[str, int], path: str) -> None:
        self.order, self.path = order, path

    def __call__(self, module: nn.Module, inputs: object) -> None:
        self.order.setdefault(self.path, len(self.order))


def test_rates_decay_towards_the_stem(small: Encoder) -> None:
    groups = layer_groups(small)
    factors = rate_factors(groups, 0.8)
    assert set(factors) == {name for name, _ in small.named_parameters()}
    assert factors["backbone.conv1.weight"] == pytest.approx(0.8**10)
    assert factors["backbone.layer3.1.bn2.bias"] == pytest.approx(0.8**2)
    assert factors["backbone.layer3.2.conv1.weight"] == pytest.approx(0.8)
    assert set(rate_factors(groups, 1.0).values()) == {1.0}
    for wrong in (0.0, 1.1, float("nan")):
        with pytest.raises(UsageError, match=r"in \(0, 1\]"):
            rate_factors(groups, wrong)


def test_the_last_groups_are_trained_and_nothing_else_moves(small: Encoder) -> None:
    trained = train_last(small.train(), 2)
    assert [group.name for group in trained] == ["layer3.1", "layer3.2"]
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in small.parameters() if p.requires_grad], lr=0.1)
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for _ in range(2):
        small(images).square().sum().backward()
        optimiser.step()
    moved = {name for name, tensor in small.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(name.startswith(("backbone.layer3.1.", "backbone.layer3.2.")) for name in moved)
    assert any(name.endswith("running_mean") for name in moved)
    assert {parameter for group in trained for parameter in group.parameters} <= moved


def test_training_mode_reaches_what_is_trained_below_a_frozen_parameter() -> None:
    encoder = encoder_of("timm/test_vit.random")
    train_last(encoder.train(), 1)
    last = encoder.backbone.get_submodule("blocks.5")
    assert last.training
    assert all(module.training for module in last.modules())
    assert not encoder.backbone.get_submodule("blocks.4.norm1").training


def test_a_layer_that_is_partly_trained_is_in_training_mode(small: Encoder) -> None:
    small.get_parameter("backbone.bn1.bias").requires_grad_(requires_grad=False)
    assert small.train().get_submodule("backbone.bn1").training


def test_all_or_nothing_can_be_trained(small: Encoder) -> None:
    groups = layer_groups(small)
    assert train_last(small, 0) == ()
    assert not any(parameter.requires_grad for parameter in small.parameters())
    assert train_last(small, len(groups)) == groups
    assert all(parameter.requires_grad for parameter in small.parameters())
    assert not small.training
    norms = [m for m in small.train().modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.training for norm in norms)
    for wrong in (-1, len(groups) + 1):
        with pytest.raises(UsageError, match="between 0 and 10 layer groups"):
            train_last(small, wrong)


@pytest.mark.parametrize(
    "name",
    [
        "torchvision/convnext_tiny",
        "torchvision/efficientnet_b0",
        "torchvision/swin_t",
        "swin_tiny_patch4_window7_224",
    ],
)
def test_a_frozen_network_is_no_longer_random_in_training_mode(name: str) -> None:
    encoder = build_encoder(resolve_model(f"{name}.random"), weights_folder=None, seed=1, image_size=64)
    drops = {
        path
        for path, module in encoder.named_modules()
        if type(module).__name__ in {"StochasticDepth", "DropPath"}
    }
    assert drops
    train_last(encoder.train(), 1)
    for path in drops:
        around = encoder.get_submodule(path.rpartition(".")[0])
        trained = any(parameter.requires_grad for parameter in around.parameters())
        assert encoder.get_submodule(path).training == trained, path
    train_last(encoder, 0)
    images = torch.randint(0, 256, (4, 1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        found, again = encoder(images), encoder(images)
        assert torch.equal(found, again)
        assert torch.equal(found, encoder.eval()(images))


def test_layers_without_weights_are_as_they_were_where_all_is_trained(small: Encoder) -> None:
    train_last(small.train(), len(layer_groups(small)))
    assert all(module.training for module in small.modules())


@pytest.mark.parametrize("adapts", [False, True])
def test_frozen_normalisation_without_weights_keeps_its_statistics(adapts: bool) -> None:
    encoder = build_encoder(resolve_model("resnet20.random"), weights_folder=None, seed=1, image_size=32)
    encoder.backbone.bn1 = nn.BatchNorm2d(16, affine=False)
    encoder.adapts_statistics = adapts
    train_last(encoder.train(), 0)
    encoder(torch.randint(0, 256, (8, 1, 32, 32), dtype=torch.uint8))
    assert bool(encoder.backbone.bn1.running_mean.any()) is adapts
