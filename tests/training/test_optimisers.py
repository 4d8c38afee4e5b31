"""Parameter groups: what must not decay does not, and what must does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medtransfer.models.catalogue import resolve_model
from medtransfer.models.heads import Classifier
from medtransfer.models.network import build_encoder
from medtransfer.training.optimisers import build_optimiser, parameter_groups
from medtransfer.training.recipe import TrainingRecipe


def network(name: str, size: int = 32) -> Classifier:
    encoder = build_encoder(resolve_model(name), weights_folder=None, seed=0, image_size=size)
    return Classifier(encoder, 1, seed=0)


def names_without_decay(net: nn.Module) -> set[str]:
    constant = {
        id(p) for group in parameter_groups(net, 0.1) if not group["weight_decay"] for p in group["params"]
    }
    return {name for name, parameter in net.named_parameters() if id(parameter) in constant}


def test_norms_and_biases_do_not_decay_and_all_else_does() -> None:
    net = network("resnet20.random")
    expected = {
        f"{path}.{name}"
        for path, module in net.named_modules()
        for name, _ in module.named_parameters(recurse=False)
        if isinstance(module, nn.BatchNorm2d) or name == "bias"
    }
    assert names_without_decay(net) == expected
    groups = parameter_groups(net, 0.1)
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters()))


def test_what_a_transformer_exempts_does_not_decay() -> None:
    exempt = names_without_decay(network("timm/test_vit.random", size=160))
    assert {"encoder.backbone.pos_embed", "encoder.backbone.cls_token"} <= exempt
    assert not any(name.endswith("qkv.weight") for name in exempt)


def test_frozen_parameters_are_left_out() -> None:
    net = network("resnet20.random")
    net.encoder.requires_grad_(requires_grad=False)
    (decaying, constant) = parameter_groups(net, 0.1)
    assert decaying["params"] == [net.head.weight]
    assert constant["params"] == [net.head.bias]


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
def test_a_step_without_gradient_only_decays(optimiser: str) -> None:
    layer = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    nn.init.ones_(layer[0].bias)
    before = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    recipe = TrainingRecipe(optimiser=optimiser, learning_rate=0.1, weight_decay=0.5)
    built = build_optimiser(layer, recipe)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    built.step()
    changed = {name for name, p in layer.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"0.weight"}
    if optimiser != "adam":
        torch.testing.assert_close(layer[0].weight, before["0.weight"] * 0.95)


def test_sgd_has_the_recipe_s_momentum() -> None:
    built = build_optimiser(nn.Linear(2, 1), TrainingRecipe(optimiser="sgd", momentum=0.7))
    assert {group["momentum"] for group in built.param_groups} == {0.7}


def test_lars_steps_by_the_length_of_each_kernel_and_plainly_elsewhere() -> None:
    network = nn.Linear(3, 2)
    recipe = TrainingRecipe(optimiser="lars", learning_rate=0.1, weight_decay=0.01, momentum=0.9)
    optimiser = build_optimiser(network, recipe)
    weight, bias = network.weight.detach().clone(), network.bias.detach().clone()
    network(torch.ones(4, 3)).square().sum().backward()
    gradient = network.weight.grad.clone()
    optimiser.step()
    decayed = gradient + 0.01 * weight
    trust = 0.001 * weight.norm() / (gradient.norm() + 0.01 * weight.norm())
    assert torch.allclose(network.weight, weight - 0.1 * trust * decayed, atol=1e-7)
    assert torch.allclose(network.bias, bias - 0.1 * network.bias.grad, atol=1e-7)


def test_lars_moves_what_starts_at_zero() -> None:
    network = nn.BatchNorm1d(2)
    network.bias.data.zero_()
    optimiser = build_optimiser(network, TrainingRecipe(optimiser="lars", learning_rate=0.1))
    network(torch.tensor([[0.0, 1.0], [1.0, 3.0]])).sum().backward()
    optimiser.step()
    assert (network.bias != 0).all()


def test_rate_factors_make_groups_of_their_own() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    factors = {"0.weight": 0.25, "0.bias": 0.25}
    groups = parameter_groups(network, 0.1, factors)
    found = [(group["rate_factor"], group["weight_decay"], len(group["params"])) for group in groups]
    assert found == [(1.0, 0.1, 1), (1.0, 0.0, 1), (0.25, 0.1, 1), (0.25, 0.0, 1)]


@pytest.mark.parametrize(
    ("name", "size", "exempt"),
    [
        ("torchvision/convnext_tiny.random", 64, {"layer_scale"}),
        ("torchvision/swin_t.random", 64, {"relative_position_bias_table"}),
        ("torchvision/vit_b_32.random", 224, {"class_token", "pos_embedding"}),
    ],
)
def test_torchvision_s_networks_exempt_what_timm_s_do(name: str, size: int, exempt: set[str]) -> None:
    net = network(name, size)
    found = names_without_decay(net)
    assert {
        path.rpartition(".")[2] for path, p in net.named_parameters() if path in found and p.ndim > 1
    } == exempt
    kept = {path.rpartition(".")[2] for path, _ in net.named_parameters() if path not in found}
    assert kept <= {"weight", "in_proj_weight"}


def test_vectors_do_not_decay_and_kernels_of_one_channel_do() -> None:
    net = nn.Module()
    net.scale = nn.Parameter(torch.ones(5, 1, 1))
    net.number = nn.Parameter(torch.ones(()))
    net.table = nn.Parameter(torch.ones(5, 2))
    net.linear, net.convolution = nn.Linear(4, 1), nn.Conv2d(1, 4, 1)
    assert names_without_decay(net) == {"scale", "number", "linear.bias", "convolution.bias"}
