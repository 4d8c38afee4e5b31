"""Names become source models without torch; unknown names are refused with near ones."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from medtransfer.core.errors import NotRegisteredError, UsageError
from medtransfer.models.catalogue import architectures, catalogue, declared_model, resolve_model
from medtransfer.models.library_names import library_names
from medtransfer.models.source_model import HALF, IMAGENET_MEAN, InputContract

LISTING = """
import sys
from pathlib import Path
from medtransfer.models.catalogue import catalogue, declared_model, resolve_model
from medtransfer.models.overlap import overlap
from medtransfer.models.weights_files import weights_hash
for name in [*catalogue.names(), "timm/resnet18.a1_in1k", "torchvision/resnet18", "convnext_atto.random"]:
    model = resolve_model(name)
    overlap(model.pretraining.data, model.pretraining.objective, ("busi",))
    if model.is_random:
        assert weights_hash(model, None) == "random"
declared_model({"name": "mine", "file": "x.pth", "architecture": "timm/resnet18"})
heavy = {"torch", "timm", "torchvision", "segmentation_models_pytorch"} & set(sys.modules)
print(sorted(heavy))
"""


def test_listing_resolving_and_overlap_import_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", catalogue.names())
def test_every_entry_is_complete(name: str) -> None:
    model = catalogue.get(name)
    assert model.name == name
    # A variant of a network that timm defines may serve models that carry the usual network's name.
    assert name.partition(".")[0] == model.architecture.name or model.architecture.options
    assert model.architecture is architectures.get(model.architecture.name)
    assert len(model.input.mean) == len(model.input.std) == model.input.channels
    if model.weights is None:
        assert model.pretraining.objective == "none"
    else:
        assert model.citation
        assert model.pretraining.data


def test_random_twin_shares_architecture_of_pretrained() -> None:
    for model in catalogue:
        twin = resolve_model(f"{model.architecture.name}.random")
        assert twin.architecture == model.architecture
        assert twin.is_random


def test_a_network_of_the_same_name_from_another_library_keeps_the_contract_of_that_library() -> None:
    ours, other = resolve_model("densenet121.random"), resolve_model("torchvision/densenet121.random")
    assert (ours.architecture.library, ours.input_from_library) == ("timm", False)
    assert (other.architecture.library, other.input_from_library) == ("torchvision", True)


def test_repository_is_named_with_its_architecture() -> None:
    model = resolve_model("hf-hub:owner/repo?arch=timm/resnet18&mean=0.5,0.4,0.3&std=0.2,0.2,0.2&size=96")
    assert model.weights is not None
    assert model.weights.url == "https://huggingface.co/owner/repo/resolve/main/model.safetensors"
    assert model.weights.file == "owner--repo--model.safetensors"
    assert model.input == InputContract(size=96, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
    assert not model.note
    named = resolve_model("hf-hub:owner/repo/a/b.bin?arch=resnet18&prefix=encoder.&container=state_dict")
    assert named.weights is not None
    assert named.weights.url == "https://huggingface.co/owner/repo/resolve/main/a/b.bin"
    assert (named.weights.prefix, named.weights.container) == ("encoder.", "state_dict")
    assert "assumed" in named.note


def test_open_clip_repository_is_read_as_an_image_tower() -> None:
    model = resolve_model("open_clip/owner/repo?arch=vit_base_patch16_clip_224")
    assert model.weights is not None
    assert (model.weights.prefix, model.weights.scheme) == ("visual.", "clip-visual")
    assert model.input.mean == pytest.approx((0.4815, 0.4578, 0.4082), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf-hub:repo?arch=resnet18", r"'hf-hub:<owner>/<repository>\?arch=…', got 'repo'"),
        ("hf-hub:owner/repo", r"Write 'hf-hub:owner/repo\?arch=<architecture>'"),
        ("open_clip/owner/repo?arch=resnet18&depth=3", "'depth'"),
        ("hf-hub:owner/repo?arch=resnet18&mean=x,y,z", "mean"),
    ],
)
def test_repository_names_that_say_too_little_are_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve_model(name)


def test_library_models_are_named_by_library_and_tag() -> None:
    timm = resolve_model("timm/resnet18.a1_in1k")
    assert (timm.architecture.library, timm.architecture.builder) == ("timm", "resnet18")
    assert timm.weights is not None
    assert timm.weights.hub == "timm/resnet18.a1_in1k"
    assert timm.pretraining.objective == "undeclared"
    assert timm.input_from_library
    torchvision = resolve_model("torchvision/vgg11.random")
    assert (torchvision.architecture.library, torchvision.weights) == ("torchvision", None)
    assert resolve_model("convnext_atto.random").architecture.library == "timm"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("squeezenet1_1.sup_in1", "Did you mean 'squeezenet1_1.sup_in1k'"),
        ("resnet18.a1_in1k", "write 'timm/resnet18.a1_in1k' or 'torchvision/resnet18.a1_in1k'"),
        ("timm/resnet1888", "'resnet18'"),
        ("mobilenetv1_10.random", "'mobilenetv1_100'"),
        ("somewhere/resnet18.random", "library 'somewhere'"),
        ("torchvision/not_a_network", "torchvision defines"),
    ],
)
def test_unknown_names_are_refused_with_near_ones(name: str, hint: str) -> None:
    with pytest.raises(NotRegisteredError) as caught:
        resolve_model(name)
    assert hint in str(caught.value)


def test_library_names_are_those_the_libraries_list() -> None:
    import timm
    from torchvision import models

    assert library_names("timm") == set(timm.list_models())
    assert library_names("torchvision") == set(models.list_models(module=models))
    assert library_names("no_such_library") == frozenset()


def test_file_model_reads_its_rules_from_the_name() -> None:
    name = "file:weights/moco.pth.tar?arch=timm/resnet50&prefix=module.encoder_q.&container=state_dict"
    model = resolve_model(name)
    assert model.name == name
    assert model.architecture.builder == "resnet50"
    assert model.weights is not None
    assert model.weights.file == "weights/moco.pth.tar"
    assert (model.weights.prefix, model.weights.container) == ("module.encoder_q.", "state_dict")
    assert model.pretraining.objective == "undeclared"


def test_file_model_needs_an_architecture_and_no_unknown_key() -> None:
    with pytest.raises(UsageError, match=r"file:<path>\?arch="):
        resolve_model("file:x.pth")
    with pytest.raises(UsageError, match="'depth'"):
        resolve_model("file:x.pth?arch=resnet20&depth=3")


def test_declared_model_keeps_every_key() -> None:
    model = declared_model(
        {
            "name": "ours",
            "file": "ours.pth",
            "architecture": "resnet20",
            "pretraining": {"objective": "simclr", "data": ["chestxray14"], "year": 2024},
            "prefix": "encoder.",
            "container": "model",
            "rename": [["a.", "b."]],
            "drop": ["projector"],
            "containers": ["a", ""],
            "strip": ["module."],
            "scheme": "swin-official",
            "ignore": ["x.*"],
            "adapt": ["positions"],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "size": 64,
            "licence": "CC0",
        }
    )
    assert model.weights is not None
    assert asdict(model.weights) | {"file": "ours.pth"} == asdict(
        replace(
            model.weights,
            prefix="encoder.",
            container="model",
            rename=(("a.", "b."),),
            drop=("projector",),
            containers=("a", ""),
            strip=("module.",),
            scheme="swin-official",
            ignore=("x.*",),
            adapt=("positions",),
            sha256=None,
        )
    )
    assert model.input == InputContract(size=64, mean=HALF, std=HALF)
    assert model.pretraining.data == ("chestxray14",)
    assert (model.architecture.name, model.licence, model.pretraining.year) == ("resnet20", "CC0", 2024)


def test_declared_grey_model_gets_one_mean() -> None:
    base = {"name": "x", "file": "x.pth", "architecture": "resnet20"}
    assert declared_model({**base, "channels": 1}).input.mean == (0.0,)
    assert declared_model(base).input.mean == IMAGENET_MEAN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weigths": "y"}, "weigths"),
        ({"file": None}, "file"),
        ({"mean": [0.5]}, "expected 3 values, got 1"),
        ({"std": [0.5, 0.0, 0.5]}, "above 0"),
        ({"sha256": "abc"}, "sha256"),
        ({"architecture": "resnet2000"}, "resnet2000"),
        ({"size": "large"}, "size"),
        ({"pretraining": {"dataset": "x"}}, "dataset"),
        ({"scheme": "convnext"}, "convnext-fb"),
        ({"ignore": ["("]}, "regular expression"),
        ({"adapt": ["stretch"]}, "adapt"),
    ],
)
def test_declared_model_refuses_what_it_does_not_know(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        declared_model({"name": "x", "file": "x.pth", "architecture": "resnet20", **change})
    assert message in str(caught.value)
