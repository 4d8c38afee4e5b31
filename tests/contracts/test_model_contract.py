"""What every source model of the catalogue owes; a new entry is tested by existing."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from functools import cache
from typing import get_args, get_type_hints

import pytest
import torch
from torch import Tensor

from medtransfer.core.errors import WeightsError
from medtransfer.models.backbones import build_backbone, end_network_at
from medtransfer.models.catalogue import catalogue, resolve_model
from medtransfer.models.check import check_model
from medtransfer.models.key_audit import COUNTER, match_keys
from medtransfer.models.load_weights import load_into, refuse_used_gaps
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.overlap import MEDICAL, NATURAL, PHANTOM_PREFIX
from medtransfer.models.source_model import InputContract, SourceModel

MOST_VALUES = 30_000_000
"""Parameters above which a network is too large to be built in a test."""
LIBRARIES = {"timm", "torchvision", "medtransfer"}
PRETRAINED = [model.name for model in catalogue if model.weights is not None]
ARCHITECTURES = sorted({model.architecture.name for model in catalogue})


@cache
def whole_network(architecture: str) -> torch.nn.Module:
    """The network as its weights file knows it, before the trunk rule; only read, never changed."""
    model = resolve_model(f"{architecture}.random")
    return build_backbone(model.architecture, model.input, 0)


@cache
def encoder_of(architecture: str) -> Encoder:
    if sum(p.numel() for p in whole_network(architecture).parameters()) > MOST_VALUES:
        pytest.skip(f"{architecture} has more than {MOST_VALUES:,} parameters")
    return build_encoder(resolve_model(f"{architecture}.random"), weights_folder=None, seed=0)


def complete_file(model: SourceModel) -> dict[str, Tensor]:
    """What a weights file of a model must hold: its network's tensors outside the gaps, as if trained.

    The model must have no rename rules, which have no way back.
    """
    assert model.weights is not None
    assert not model.weights.rename
    gaps = tuple(gap.prefix for gap in model.weights.gaps)
    draw = torch.Generator().manual_seed(1)
    return {
        model.weights.prefix + name: tensor + 0.1 * torch.rand(tensor.shape, generator=draw)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in whole_network(model.architecture.name).state_dict().items()
        if not (gaps and name.startswith(gaps))
    }


# The record


@pytest.mark.parametrize("name", catalogue.names())
def test_record_is_complete(name: str) -> None:
    model = catalogue.get(name)
    assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", name)
    assert model.architecture.library in LIBRARIES
    assert model.licence
    assert pickle.loads(pickle.dumps(model)) == model
    if model.is_random:
        assert (model.licence, model.pretraining.data) == ("not applicable", ())
        return
    assert model.weights is not None
    assert model.pretraining.objective not in {"none", "undeclared"}
    assert re.search(r", \d{4}$|\b\d{4}$", model.citation)
    assert str(model.pretraining.year) in model.citation
    places = [model.weights.file, model.weights.hub, model.weights.url]
    assert any(places)
    assert all(gap.prefix and gap.reason for gap in model.weights.gaps)


@pytest.mark.parametrize("name", PRETRAINED)
def test_pretraining_data_are_collections_whose_overlap_is_known(name: str) -> None:
    for collection in catalogue.get(name).pretraining.data:
        assert collection in MEDICAL | NATURAL or collection.startswith(PHANTOM_PREFIX), collection


@pytest.mark.parametrize("name", catalogue.names())
def test_input_contract_can_be_met(name: str) -> None:
    contract = catalogue.get(name).input
    assert 16 <= contract.size <= 2048
    assert contract.channels in {1, 3}
    assert len(contract.mean) == len(contract.std) == contract.channels
    assert contract.value_range in get_args(get_type_hints(InputContract)["value_range"])
    if contract.value_range == "unit":
        assert all(0 <= mean <= 1 for mean in contract.mean)
        assert all(0 < std <= 1 for std in contract.std)


def test_every_architecture_has_random_weights_in_the_catalogue() -> None:
    assert {f"{name}.random" for name in ARCHITECTURES} == {
        model.name for model in catalogue if model.is_random
    }


# The network


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_network_embeds_colour_and_grey_images_of_its_size(architecture: str) -> None:
    encoder = encoder_of(architecture)
    side = encoder.input.size
    grey = torch.randint(
        0, 256, (2, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    with torch.inference_mode():
        of_grey, of_colour = encoder(grey), encoder(grey.expand(2, 3, side, side))
        alone = encoder(grey[1:])
    assert of_grey.shape == (2, encoder.embedding_size)
    assert torch.isfinite(of_grey).all()
    assert not torch.allclose(of_grey[0], of_grey[1])
    torch.testing.assert_close(of_grey, of_colour, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(of_grey[1:], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_is_used_and_counted(architecture: str) -> None:
    encoder = encoder_of(architecture)
    encoder.zero_grad()
    side = encoder.input.size
    images = torch.randint(
        0, 256, (2, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    encoder.train()(images).square().sum().backward()
    idle = [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    encoder.eval().zero_grad()
    assert idle == []
    checked = check_model(f"{architecture}.random", None)
    assert checked.ok
    assert checked.parameters == sum(parameter.numel() for parameter in encoder.parameters())
    assert checked.embedding_size == encoder.embedding_size
    assert json.loads(json.dumps(checked.as_json()))["name"] == f"{architecture}.random"


@pytest.mark.parametrize("name", PRETRAINED)
def test_every_tensor_of_the_network_is_loaded_or_in_a_declared_gap(name: str) -> None:
    model = catalogue.get(name)
    state, file = whole_network(model.architecture.name).state_dict(), complete_file(model)
    assert model.weights is not None
    audit = match_keys(state, file, model.weights)
    in_gaps = [tensor for gap in audit.gaps for tensor in gap.names]
    assert sorted([*audit.loaded, *in_gaps]) == sorted(state)
    assert (audit.problems(name), audit.share) == ([], 1.0)
    assert audit.loaded_values + audit.gap_values == audit.network_values
    assert all(gap.names for gap in audit.gaps), "a gap that covers nothing is out of date"


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_tensor_less_or_more_is_refused(name: str) -> None:
    model = catalogue.get(name)
    assert model.weights is not None
    network, file = whole_network(model.architecture.name), complete_file(model)
    present = [key for key in file if not key.endswith(COUNTER)]
    for key in (present[0], present[-1]):
        with pytest.raises(WeightsError, match=re.escape(key.removeprefix(model.weights.prefix))):
            load_into(network, {k: tensor for k, tensor in file.items() if k != key}, model.weights, name)
    with pytest.raises(WeightsError, match=r"extra\.weight"):
        load_into(
            network, {**file, model.weights.prefix + "extra.weight": torch.ones(2)}, model.weights, name
        )
    without_gaps = replace(model.weights, gaps=())
    if model.weights.gaps:
        with pytest.raises(WeightsError, match="absent"):
            load_into(network, file, without_gaps, name)


@pytest.mark.parametrize("name", PRETRAINED)
def test_declared_gaps_lie_behind_the_trunk(name: str) -> None:
    model = catalogue.get(name)
    assert model.weights is not None
    network = build_backbone(model.architecture, model.input, 0)
    audit = match_keys(network.state_dict(), complete_file(model), model.weights)
    if model.architecture.trunk is not None:
        end_network_at(network, model.architecture.trunk)
    refuse_used_gaps(network, audit, name)
    assert set(encoder_of(model.architecture.name).backbone.state_dict()) <= set(audit.loaded)
