"""Questions to the catalogue, and what is said about getting weights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medtransfer.models.acquisition import adapter_rules, how_to_get
from medtransfer.models.catalogue import catalogue, resolve_model
from medtransfer.models.catalogue_query import CatalogueQuery, model_overlap, overlaps_by_status
from medtransfer.models.source_model import Pretraining, SourceModel, WeightsFile

PLAIN = resolve_model("resnet20.sup_cifar10")
NIH = replace(
    PLAIN,
    name="resnet20.nih",
    pretraining=Pretraining("SimCLR", ("imagenet-1k", "chestxray14")),
    licence="CC BY-NC 4.0",
    studies=("A", "B"),
)


@pytest.mark.parametrize(
    ("query", "admitted"),
    [
        (CatalogueQuery(), True),
        (CatalogueQuery(architecture="ResNet"), True),
        (CatalogueQuery(architecture="resnet2?"), True),
        (CatalogueQuery(architecture="net*0"), False),
        (CatalogueQuery(method="simclr"), True),
        (CatalogueQuery(method="supervised"), False),
        (CatalogueQuery(data="xray"), True),
        (CatalogueQuery(data="chexpert"), False),
        (CatalogueQuery(licence="by-nc"), True),
        (CatalogueQuery(licence="mit"), False),
        (CatalogueQuery(study="b"), True),
        (CatalogueQuery(study="C"), False),
        (CatalogueQuery(method="simclr", study="C"), False),
        (CatalogueQuery(image_sets=("chestxray14",), status="same"), True),
        (CatalogueQuery(image_sets=("rsna-pneumonia",), status="source"), True),
        (CatalogueQuery(image_sets=("busi",), status="clean"), True),
        (CatalogueQuery(image_sets=("chestxray14",), status="clean"), False),
    ],
)
def test_query(query: CatalogueQuery, admitted: bool) -> None:
    assert query.admits(NIH) is admitted


def test_every_pretrained_model_has_a_status_for_every_task_and_each_task_one() -> None:
    from medtransfer.tasks.registry import target_tasks

    tasks = {task.name: task.image_sets for task in target_tasks}
    for model in catalogue:
        found = overlaps_by_status(model, tasks)
        assert sorted(name for names in found.values() for name in names) == sorted(tasks)
        assert all(reason for names in found.values() for reason in names.values())
        if model.is_random:
            assert set(found["clean"]) == set(tasks)


def test_overlap_of_the_query_is_that_of_the_model() -> None:
    query = CatalogueQuery(image_sets=("chestmnist",))
    assert query.overlap(NIH) == model_overlap(NIH, ("chestmnist",))
    assert query.overlap(NIH).status == "source"


# Getting weights


def with_weights(**fields: object) -> SourceModel:
    return replace(PLAIN, name="mine", weights=WeightsFile(**fields))  # type: ignore[arg-type]


def test_rules_that_differ_from_none() -> None:
    assert adapter_rules(None) == {}
    assert adapter_rules(WeightsFile(file="w.pth", sha256="a" * 64)) == {}
    weights = WeightsFile(
        file="w", containers=("model", "state_dict"), strip=("module.",), adapt=("positions",)
    )
    assert adapter_rules(weights) == {
        "containers": ("model", "state_dict"),
        "strip": ("module.",),
        "adapt": ("positions",),
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"file": "w.pth"}, ["Put w.pth into the weights folder."]),
        (
            {"file": "w.pth", "manual": "Ask the authors by the form."},
            ["Ask the authors by the form.", "Put w.pth into the weights folder."],
        ),
        (
            {"url": "https://example.org/w.pth", "mirrors": ("https://example.com/w.pth",)},
            [
                "medtransfer models fetch mine --weights DIR",
                "https://example.org/w.pth (or https://example.com",
                "Untried: neither the address nor the file was tried when this record was written",
            ],
        ),
        ({"file": "w.pth", "manual": "Ask."}, ["Put w.pth into", "Untried: the file was not tried"]),
        (
            {"file": "w.safetensors", "converter": "byol", "url": "https://example.org/w.pkl"},
            ["downloads https://example.org/w.pkl", "medtransfer models convert mine FILE --weights DIR"],
        ),
        ({"file": "w.safetensors", "converter": "byol", "manual": "Ask."}, ["Ask.", "'byol'"]),
        ({"hub": "timm/resnet18.a1_in1k"}, ["downloads 'timm/resnet18.a1_in1k' at first use"]),
    ],
)
def test_how_to_get_weights(fields: dict[str, object], said: list[str]) -> None:
    steps = " ".join(how_to_get(with_weights(**fields)))
    assert [text for text in said if text not in steps] == []


def test_only_files_whose_digest_is_known_count_as_tried() -> None:
    marked = {model.name for model in catalogue if "Untried" in " ".join(how_to_get(model))}
    files = {m.name for m in catalogue if m.weights is not None and m.weights.hub is None}
    assert files - marked == {
        "mobilenetv1_100.sup_in1k",
        "resnet20.sup_cifar10",
        "squeezenet1_1.sup_in1k",
    }
    assert marked < files
    assert how_to_get(with_weights(url="https://example.org/w.pth", sha256="0" * 64)) == (
        "medtransfer models fetch mine --weights DIR downloads https://example.org/w.pth.",
    )


def test_every_model_of_the_catalogue_says_how_to_get_it() -> None:
    for model in catalogue:
        steps = how_to_get(model)
        assert steps
        assert all(
            step.strip() and step[-1] in ".)0123456789abcdefghijklmnopqrstuvwxyz/" for step in steps
        ), steps
    assert how_to_get(resolve_model("resnet20.random")) == (
        "Nothing to get: the weights are random numbers.",
    )
