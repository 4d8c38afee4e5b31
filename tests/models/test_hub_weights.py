"""Weights of timm and torchvision: contracts, tags, and no silent random start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from medtransfer.core.errors import NotRegisteredError, WeightsError
from medtransfer.models.catalogue import resolve_model
from medtransfer.models.hub_weights import contract_of
from medtransfer.models.network import build_encoder, state_hash


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", _refuse)


def _refuse(*args: Any, **options: Any) -> Any:
    raise OSError("no network in tests")


@pytest.mark.parametrize("name", ["timm/mobilenetv3_small_050.lamb_in1k", "torchvision/squeezenet1_1"])
def test_unreachable_hub_is_a_weights_error(offline: None, name: str) -> None:
    with pytest.raises(WeightsError, match=r"expected (timm|torchvision) to fetch its weights"):
        build_encoder(resolve_model(name), weights_folder=None, seed=0)


@pytest.mark.parametrize("name", ["timm/resnet18.no_such_tag", "torchvision/resnet18.NO_SUCH"])
def test_unknown_tag_is_refused_with_known_ones(name: str) -> None:
    with pytest.raises(NotRegisteredError, match=r"expected (one|a tag) of .*(a1_in1k|IMAGENET1K_V1)"):
        build_encoder(resolve_model(name), weights_folder=None, seed=0)


def test_contract_comes_from_the_library() -> None:
    contract = contract_of(resolve_model("timm/vit_small_patch16_384.augreg_in21k_ft_in1k"))
    assert (contract.size, contract.mean, contract.std) == (384, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    contract = contract_of(resolve_model("torchvision/efficientnet_b1.IMAGENET1K_V2"))
    assert (contract.size, contract.channels) == (240, 3)
    assert contract.mean == (0.485, 0.456, 0.406)


def test_catalogue_contract_is_not_replaced() -> None:
    model = resolve_model("resnet20.random")
    assert contract_of(model) is model.input


def fake_hub(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    build = timm.create_model

    def create(name: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        network: torch.nn.Module = build(name, pretrained=False, **options)
        if pretrained:
            change(network)
        return network

    monkeypatch.setattr(timm, "create_model", create)


def train_a_little(network: torch.nn.Module) -> None:
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.add_(
                0.01 if "running" in name else torch.linspace(0.01, 0.02, tensor.numel()).view_as(tensor)
            )


def test_fetched_weights_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, train_a_little)
    model = resolve_model("timm/mobilenetv3_small_050.lamb_in1k")
    encoder = build_encoder(model, weights_folder=None, seed=0)
    random = build_encoder(resolve_model("mobilenetv3_small_050.random"), weights_folder=None, seed=0)
    assert encoder.audit is not None
    assert encoder.audit.share == 1.0
    assert state_hash(encoder) != state_hash(random)


def test_weights_a_library_silently_left_random_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, lambda network: None)
    with pytest.raises(WeightsError, match="expected trained weights, got the initial ones"):
        build_encoder(resolve_model("timm/mobilenetv3_small_050.lamb_in1k"), weights_folder=None, seed=0)


def test_one_layer_left_random_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_but_stem(network: torch.nn.Module) -> None:
        stem = network.get_parameter("conv_stem.weight").detach().clone()
        train_a_little(network)
        network.get_parameter("conv_stem.weight").data.copy_(stem)

    fake_hub(monkeypatch, all_but_stem)
    with pytest.raises(WeightsError, match=r"'conv_stem\.weight'"):
        build_encoder(resolve_model("timm/mobilenetv3_small_050.lamb_in1k"), weights_folder=None, seed=0)


@pytest.mark.parametrize("name", ["timm/mobilenetv3_small_050.lamb_in1k", "torchvision/squeezenet1_1"])
def test_offline_asks_no_library_for_a_connection(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEDTRANSFER_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", _refuse_loudly)
    with pytest.raises(WeightsError, match="Connections are switched off: allow them once"):
        build_encoder(resolve_model(name), weights_folder=None, seed=0)


def _refuse_loudly(*args: Any, **options: Any) -> Any:
    raise AssertionError("a connection was tried")
