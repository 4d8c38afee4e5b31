"""A load either fills the whole network with trained numbers or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from medtransfer.core.errors import WeightsError
from medtransfer.models.architectures.resnet20 import ResNet20
from medtransfer.models.backbones import build_backbone, end_network_at
from medtransfer.models.catalogue import declared_model, resolve_model
from medtransfer.models.load_weights import load_into, read_weights, refuse_used_gaps
from medtransfer.models.network import build_encoder, state_hash
from medtransfer.models.source_model import DeclaredGap, WeightsFile

State = dict[str, Tensor]
PLAIN = WeightsFile()


def resnet20(seed: int) -> ResNet20:
    model = resolve_model("resnet20.random")
    network = build_backbone(model.architecture, model.input, seed)
    assert isinstance(network, ResNet20)
    return network


def trained_state(seed: int = 5) -> State:
    """Return weights of another seed with batch statistics as after training."""
    state = {name: tensor.clone() for name, tensor in resnet20(seed).state_dict().items()}
    draws = torch.Generator().manual_seed(seed)
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.normal_(generator=draws)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0, generator=draws)
    return state


def test_every_number_arrives() -> None:
    network, state = resnet20(0), trained_state()
    before = state_hash(network)
    audit = load_into(network, state, PLAIN, "m")
    assert audit.share == 1.0
    assert state_hash(network) != before
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_half_precision_becomes_single() -> None:
    network, state = resnet20(0), trained_state()
    half = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    load_into(network, half, PLAIN, "m")
    weight = network.state_dict()["conv1.weight"]
    assert weight.dtype is torch.float32
    assert torch.equal(weight, half["conv1.weight"].float())


def zero(state: State) -> None:
    for tensor in state.values():
        tensor.zero_()


def default_statistics(state: State) -> None:
    state["layer2.0.bn1.running_mean"].zero_()
    state["layer2.0.bn1.running_var"].fill_(1.0)


def initial_kernel(state: State) -> None:
    state["layer3.1.conv2.weight"] = resnet20(0).state_dict()["layer3.1.conv2.weight"]


def too_large(state: State) -> None:
    state["conv1.weight"] = state["conv1.weight"].double() * 1e300


def lacks_one(state: State) -> None:
    del state["layer3.2.bn2.running_var"]


def has_one_more(state: State) -> None:
    state["layer4.0.conv1.weight"] = torch.ones(2)


def wrong_shape(state: State) -> None:
    state["conv1.weight"] = torch.ones(16, 1, 3, 3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (zero, "one constant value"),
        (default_statistics, "initial statistics .*'layer2.0.bn1.running_var'"),
        (initial_kernel, "initial ones in .*'layer3.1.conv2.weight'"),
        (too_large, "fit float32, got larger ones in .*'conv1.weight'"),
        (lacks_one, "1 absent, 'layer3.2.bn2.running_var'"),
        (has_one_more, "1 others, 'layer4.0.conv1.weight'"),
        (wrong_shape, r"conv1.weight: expected \(16, 3, 3, 3\) of float32, got \(16, 1, 3, 3\)"),
    ],
)
def test_incomplete_or_untrained_weights_are_refused(damage: Callable[[State], None], message: str) -> None:
    network, state = resnet20(0), trained_state()
    damage(state)
    before = state_hash(network)
    with pytest.raises(WeightsError, match=message):
        load_into(network, state, PLAIN, "m")
    assert state_hash(network) == before


def test_gap_after_the_trunk_is_removed_and_one_inside_it_refused() -> None:
    state = {name: tensor for name, tensor in trained_state().items() if not name.startswith("layer3.2.")}
    network = resnet20(0)
    audit = load_into(network, state, WeightsFile(gaps=(DeclaredGap("layer3.2.", "test"),)), "m")
    with pytest.raises(WeightsError, match=r"only after the trunk, got \['layer3.2.conv1.weight'"):
        refuse_used_gaps(network, audit, "m")
    end_network_at(network, "layer3.1")
    refuse_used_gaps(network, audit, "m")
    assert set(network.state_dict()) <= set(state)


def test_file_of_another_architecture_names_what_differs(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.ones(64, 3, 3, 3)}, tmp_path / "w.pth")
    model = declared_model({"name": "m", "file": "w.pth", "architecture": "resnet20"})
    with pytest.raises(WeightsError) as caught:
        build_encoder(model, weights_folder=tmp_path, seed=0)
    text = str(caught.value)
    assert "95 absent, 'conv1.weight', 'bn1.weight'" in text
    assert "Is this a checkpoint of another architecture?" in text
    assert "1 others, 'features.0.weight'" in text


def test_prefixed_file_is_refused_with_the_rule_that_fits_and_loads_with_it(tmp_path: Path) -> None:
    state = {f"module.encoder_q.{name}": tensor for name, tensor in trained_state().items()}
    torch.save({"state_dict": state, "epoch": 9}, tmp_path / "w.pth")
    keys = {"name": "m", "file": "w.pth", "architecture": "resnet20", "container": "state_dict", "size": 32}
    with pytest.raises(WeightsError, match=r"prefix='module.encoder_q.'"):
        build_encoder(declared_model(keys), weights_folder=tmp_path, seed=0)
    encoder = build_encoder(
        declared_model({**keys, "prefix": "module.encoder_q."}), weights_folder=tmp_path, seed=0
    )
    assert encoder.audit is not None
    assert encoder.audit.share == 1.0
    assert torch.equal(encoder.backbone.state_dict()["conv1.weight"], state["module.encoder_q.conv1.weight"])


def test_random_model_has_nothing_to_read() -> None:
    with pytest.raises(WeightsError, match="random model"):
        read_weights(resolve_model("resnet20.random"), None, 0)
