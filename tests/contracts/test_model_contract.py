"""What every source model of the catalogue owes; a new entry is tested by existing."""

from __future__ import annotations

import importlib.util
import json
import pickle
import re
import zlib
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import get_args, get_type_hints

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from medtransfer.core.errors import WeightsError
from medtransfer.models.backbones import build_backbone, end_network_at
from medtransfer.models.catalogue import catalogue, resolve_model
from medtransfer.models.check import check_model
from medtransfer.models.converters import converters
from medtransfer.models.key_audit import COUNTER, match_keys
from medtransfer.models.key_schemes import schemes
from medtransfer.models.load_weights import load_into, read_weights, refuse_incomplete, refuse_used_gaps
from medtransfer.models.network import Encoder, build_encoder
from medtransfer.models.overlap import CRAWLED, MEDICAL, NATURAL, PHANTOM_PREFIX, collection_of
from medtransfer.models.source_model import InputContract, SourceModel, WeightsFile
from medtransfer.models.weights_files import weights_file_name


def neighbour(name: str) -> ModuleType:
    """The module of that name beside this one; tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


layout = neighbour("published_layout")

MOST_VALUES = 30_000_000
"""Parameters above which a network is too large to be run in a test; that its weights arrive is tested."""
MOST_IN_MEMORY = 200_000_000
"""Parameters above which only the first blocks are filled with numbers; all are of the same shapes."""
BLOCKS_IN_MEMORY = 3
MOST_PIXELS = 256
"""Side of the input above which the same holds."""
LIBRARIES = {"timm", "torchvision", "medtransfer"}
PRETRAINED = [model.name for model in catalogue if model.weights is not None]
IN_FILES = [m.name for m in catalogue if m.weights is not None and m.weights.hub is None]
ARCHITECTURES = sorted({model.architecture.name for model in catalogue})
SMALL = [
    name
    for name in ARCHITECTURES
    if sum(tensor.numel() for tensor in layout.skeleton(name, 3).values()) < MOST_VALUES
    and resolve_model(f"{name}.random").input.size <= MOST_PIXELS
]


@cache
def encoder_of(architecture: str) -> Encoder:
    return build_encoder(resolve_model(f"{architecture}.random"), weights_folder=None, seed=0)


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
    assert any([model.weights.file, model.weights.hub, model.weights.url])
    assert any([model.weights.hub, model.weights.url, model.weights.manual, model.weights.sha256])
    assert model.weights.hub in {None, f"timm/{name}"}
    assert model.weights.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", model.weights.sha256)
    assert model.weights.scheme in schemes
    assert model.weights.converter is None or model.weights.converter in converters
    assert not (model.weights.container and model.weights.containers)
    assert set(model.studies) <= {"A", "B", "C"}
    assert all(gap.prefix and gap.reason for gap in model.weights.gaps)


@pytest.mark.parametrize("name", PRETRAINED)
def test_pretraining_data_are_collections_whose_overlap_is_known(name: str) -> None:
    for collection in catalogue.get(name).pretraining.data:
        known = MEDICAL | NATURAL | CRAWLED
        assert collection_of(collection) in known or collection.startswith(PHANTOM_PREFIX), collection


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


@pytest.mark.parametrize("architecture", SMALL)
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


@pytest.mark.parametrize("architecture", SMALL)
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


# The file


def file_rules(name: str) -> tuple[SourceModel, WeightsFile]:
    model = catalogue.get(name)
    assert model.weights is not None
    return model, model.weights


def test_no_two_models_expect_the_same_file() -> None:
    files = [catalogue.get(name).weights for name in IN_FILES]
    places = [weights.file or (weights.url or "").rpartition("/")[2] for weights in files if weights]
    assert len(places) == len(set(places)) == len(IN_FILES)


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("name", IN_FILES)
def test_every_tensor_of_the_published_layout_finds_its_place(name: str, wrapped: bool) -> None:
    model, weights = file_rules(name)
    state = layout.skeleton_of(model)
    file, extras = layout.published(model, state, wrapped=wrapped)
    audit = match_keys(state, file, weights)
    in_gaps = [tensor for gap in audit.gaps for tensor in gap.names]
    wanted = {n: layout.names_in_file(n, weights, wrapped=wrapped) for n in state if n not in in_gaps}
    assert (audit.problems(name), audit.share) == ([], 1.0)
    assert {tensor: source.names for tensor, source in audit.loaded.items()} == wanted
    assert {*audit.dropped, *audit.ignored} == extras
    assert audit.read == set(file) - extras
    assert audit.loaded_values + audit.gap_values == audit.network_values
    assert all(gap.names for gap in audit.gaps), "a gap that covers nothing is out of date"
    assert sum(row.share for row in audit.table if row.of == "network") == pytest.approx(1.0)


def adapter_classes() -> list[str]:
    """One model per architecture and way of writing files."""
    found: dict[object, str] = {}
    for name in IN_FILES:
        model, weights = file_rules(name)
        rules = replace(weights, file=None, url=None, sha256=None, manual="", converter=None)
        found.setdefault((model.architecture.name, model.input.channels, rules), name)
    return list(found.values())


@cache
def trainable_network(architecture: str, channels: int) -> torch.nn.Module:
    model = resolve_model(f"{architecture}.random")
    contract = InputContract(channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels)
    return build_backbone(model.architecture, replace(contract, size=model.input.size), 0)


def shortened(model: SourceModel) -> SourceModel:
    """A transformer of the same widths and a few blocks."""
    options = {**dict(model.architecture.options), "depth": BLOCKS_IN_MEMORY}
    return replace(model, architecture=replace(model.architecture, options=tuple(options.items())))


def is_small(name: str) -> bool:
    return catalogue.get(name).architecture.name in SMALL


@pytest.mark.parametrize("name", [name for name in adapter_classes() if not is_small(name)])
def test_the_published_layout_of_a_large_network_arrives_bit_by_bit(name: str) -> None:
    """As below without a file on disk: reading is the same for all sizes, and gigabytes take minutes."""
    model, weights = file_rules(name)
    if sum(tensor.numel() for tensor in layout.skeleton_of(model).values()) > MOST_IN_MEMORY:
        model = shortened(model)
    with torch.device("meta"):
        network = build_backbone(model.architecture, model.input, 0)
    network.to_empty(device="cpu")
    state = layout.patterned_state(dict(network.state_dict()), seed=zlib.crc32(name.encode()) % 2**31)
    file, _ = layout.published(model, state)
    audit = load_into(network, file, weights, name)
    assert not audit.gaps
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[key]), key


@pytest.mark.parametrize("name", [name for name in adapter_classes() if is_small(name)])
def test_a_file_of_the_published_layout_arrives_bit_by_bit(name: str, tmp_path: Path) -> None:
    model, weights = file_rules(name)
    network = trainable_network(model.architecture.name, model.input.channels)
    state = layout.trained_state(network, seed=zlib.crc32(name.encode()))
    file, _ = layout.published(model, state)
    path = tmp_path / weights_file_name(weights)
    path.parent.mkdir(exist_ok=True)
    container = weights.container or next(filter(None, weights.containers), None)
    if weights.converter or path.suffix == ".safetensors":
        save_file({key: tensor.contiguous() for key, tensor in file.items()}, path)
    else:
        torch.save({container: file, "epoch": 7, "arch": "x"} if container else file, path)
    model = replace(model, weights=replace(weights, sha256=None))
    audit = load_into(network, read_weights(model, tmp_path, 0), model.weights, name)
    in_gaps = {tensor for gap in audit.gaps for tensor in gap.names}
    for key, tensor in network.state_dict().items():
        assert key in in_gaps or torch.equal(tensor, state[key]), key


# Files that are not the published ones


def refused(model: SourceModel, file: dict[str, Tensor]) -> str:
    assert model.weights is not None
    audit = match_keys(layout.skeleton_of(model), file, model.weights)
    with pytest.raises(WeightsError) as caught:
        refuse_incomplete(audit, model.name)
    return str(caught.value)


def mutable(name: str) -> tuple[SourceModel, dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """A model, its file, and network name to names in the file."""
    model, weights = file_rules(name)
    file, _ = layout.published(model, layout.skeleton_of(model))
    loaded = match_keys(layout.skeleton_of(model), file, weights).loaded
    return model, file, {tensor: source.names for tensor, source in loaded.items()}


def undivided(places: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Network name to name in the file, of those that are one tensor on both sides."""
    users = Counter(place for names in places.values() for place in names)
    return {n: names[0] for n, names in places.items() if len(names) == 1 == users[names[0]]}


@pytest.mark.parametrize("name", IN_FILES)
def test_file_without_a_block_is_refused(name: str) -> None:
    model, file, places = mutable(name)
    _, gone = layout.last_block(list(places))
    lost = {place for n in gone for place in places[n]}
    message = refused(model, {k: t for k, t in file.items() if k not in lost})
    absent = [n for n in gone if not n.endswith(COUNTER)]
    assert f"{len(absent)} absent, {absent[0]!r}" in message
    assert "another depth" in message


@pytest.mark.parametrize("name", IN_FILES)
def test_file_of_a_deeper_network_is_refused(name: str) -> None:
    model, file, places = mutable(name)
    start, block = layout.last_block(list(places))
    rules = model.weights or WeightsFile()
    added = {
        deeper: file[place]
        for n in block
        for place, deeper in zip(
            places[n], layout.names_in_file(layout.renumbered(n, start), rules), strict=True
        )
    }
    message = refused(model, {**file, **added})
    assert f"{len(added)} others" in message
    assert "another depth" in message


@pytest.mark.parametrize("name", IN_FILES)
def test_file_under_a_further_prefix_is_refused_with_the_rule_that_fits(name: str) -> None:
    model, file, places = mutable(name)
    assert model.weights is not None
    message = refused(model, {f"wrapper.{key}": tensor for key, tensor in file.items()})
    prefix = f"wrapper.{model.weights.prefix}"
    assert f"The names agree with prefix={prefix!r}." in message
    audit = match_keys(
        layout.skeleton_of(model),
        {f"wrapper.{key}": tensor for key, tensor in file.items()},
        replace(model.weights, prefix=prefix),
    )
    assert audit.problems(name) == []
    assert set(audit.loaded) == set(places)


@pytest.mark.parametrize("name", IN_FILES)
def test_transposed_layer_is_refused_with_both_shapes(name: str) -> None:
    model, file, places = mutable(name)
    state = layout.skeleton_of(model)
    plain = undivided(places)
    key = next(n for n in plain if layout.is_kernel(state[n]) and "pos" not in n)
    turned = file[plain[key]].transpose(0, 1)
    message = refused(model, {**file, plain[key]: turned})
    assert f"{key}: expected {tuple(state[key].shape)} of float32" in message
    assert f"got {tuple(turned.shape)} of float32" in message


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.int64])
@pytest.mark.parametrize("name", IN_FILES)
def test_whole_numbers_are_refused_as_weights(name: str, dtype: torch.dtype) -> None:
    model, file, places = mutable(name)
    key, place = next((n, place) for n, (place, *_) in places.items() if file[place].ndim >= 2)
    message = refused(model, {**file, place: file[place].to(dtype)})
    assert f"{key}: expected " in message
    assert str(dtype).removeprefix("torch.") in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_arrive_as_single_precision(dtype: torch.dtype) -> None:
    model, weights = file_rules("resnet20.sup_cifar10")
    network = trainable_network(model.architecture.name, 3)
    state = layout.trained_state(network, seed=int(torch.finfo(dtype).bits))
    file = {
        n: t.to(dtype) if t.is_floating_point() else t for n, t in layout.published(model, state)[0].items()
    }
    load_into(network, file, weights, model.name)
    for key, tensor in network.state_dict().items():
        assert tensor.dtype is state[key].dtype
        assert torch.equal(tensor, file[key].to(tensor.dtype)), key


@pytest.mark.parametrize("name", IN_FILES)
def test_a_tensor_without_a_place_is_refused(name: str) -> None:
    model, file, _ = mutable(name)
    assert model.weights is not None
    extra = layout.name_in_file("extra.weight", model.weights)
    message = refused(model, {**file, extra: torch.ones(2, device="meta")})
    assert "1 others, 'extra.weight'" in message
    if model.weights.gaps:
        with pytest.raises(WeightsError, match="absent"):
            refuse_incomplete(
                match_keys(layout.skeleton_of(model), file, replace(model.weights, gaps=())), name
            )


@pytest.mark.parametrize("name", [n for n in IN_FILES if file_rules(n)[1].gaps])
def test_declared_gaps_lie_behind_the_trunk(name: str) -> None:
    model, weights = file_rules(name)
    network = build_backbone(model.architecture, model.input, 0)
    file, _ = layout.published(model, dict(network.state_dict()))
    audit = match_keys(network.state_dict(), file, weights)
    if model.architecture.trunk is not None:
        end_network_at(network, model.architecture.trunk)
    refuse_used_gaps(network, audit, name)
    assert set(encoder_of(model.architecture.name).backbone.state_dict()) <= set(audit.loaded)
