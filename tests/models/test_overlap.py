"""The relation between pretraining images and a task's images."""

from __future__ import annotations

import pytest

from medtransfer.models.catalogue import catalogue
from medtransfer.models.overlap import (
    CHEST_XRAY,
    CRAWLED,
    FAMILIES,
    MEDICAL,
    NATURAL,
    UNCERTAIN,
    UNCERTAIN_AMONG,
    collection_of,
    overlap,
)
from medtransfer.models.source_model import SourceModel
from medtransfer.tasks.registry import target_tasks


@pytest.mark.parametrize(
    ("seen", "objective", "used", "status"),
    [
        ((), "none", ("busi",), "clean"),
        ((), "none", (), "clean"),
        ((), "undeclared", ("busi",), "unknown"),
        ((), "supervised", ("busi",), "unknown"),
        (("imagenet-1k",), "supervised", (), "unknown"),
        (("imagenet-1k",), "supervised", ("busi",), "clean"),
        (("imagenet-1k",), "supervised", ("own:knee",), "clean"),
        (("imagenet-1k",), "supervised", ("never-heard-of",), "clean"),
        (("chestxray14",), "supervised", ("chestxray14",), "same"),
        (("chestxray14",), "supervised", ("rsna-pneumonia",), "source"),
        (("rsna-pneumonia",), "supervised", ("chestxray14",), "source"),
        (("imagenet-1k", "chestxray14"), "supervised", ("chestmnist",), "source"),
        (("imagenet-1k", "chexpert"), "supervised", ("chestxray14",), "clean"),
        (("chestxray14", "chexpert"), "supervised", ("chexpert", "own:x"), "same"),
        (("ham10000",), "supervised", ("isic2018",), "source"),
        (("busi",), "supervised", ("breastmnist",), "source"),
        (("lits",), "simclr", ("organsmnist",), "source"),
        (("lits",), "simclr", ("busi",), "clean"),
        (("chestxray14",), "supervised", ("own:ward",), "unknown"),
        (("chestxray14",), "supervised", ("drive", "own:ward"), "clean"),
        (("radimagenet",), "supervised", ("covid-ct",), "unknown"),
        (("radimagenet",), "supervised", ("radimagenet",), "same"),
        (("laion-400m",), "clip", ("busi",), "unknown"),
        (("chestxray14",), "supervised", ("never-heard-of",), "unknown"),
        (("own:knee",), "simclr", ("own:knee",), "same"),
        (("chestxray14:unlabelled",), "simmim", ("chestxray14",), "source"),
        (("chestxray14:unlabelled",), "simmim", ("rsna-pneumonia",), "source"),
        (("chestxray14:unlabelled",), "simmim", ("chexpert",), "clean"),
        (("xray-926k",), "simmim", ("jsrt",), "unknown"),
        (("xray-926k",), "simmim", ("busi",), "clean"),
        (("xray-926k",), "simmim", ("own:ward",), "unknown"),
        (("wit-400m",), "clip", ("busi",), "unknown"),
        (("webli",), "siglip", ("phantom-chest-nodule",), "clean"),
        (("pmc-15m",), "clip", ("busi",), "unknown"),
        (("radnet-1m",), "simclr", ("covid-ct",), "clean"),
        (("radnet-1m",), "simclr", ("own:ct-body-region",), "unknown"),
    ],
)
def test_status(seen: tuple[str, ...], objective: str, used: tuple[str, ...], status: str) -> None:
    found = overlap(seen, objective, used)
    assert found.status == status
    assert found.reason


def test_reason_names_the_collections() -> None:
    found = overlap(("imagenet-1k", "chestxray14"), "supervised", ("chestmnist",))
    assert found.reason == "chestmnist shares images with chestxray14"


def test_register_is_consistent() -> None:
    assert set().union(*FAMILIES) <= MEDICAL
    assert set(UNCERTAIN) <= MEDICAL
    assert set(UNCERTAIN_AMONG) <= set(UNCERTAIN)
    assert CHEST_XRAY <= MEDICAL
    assert not MEDICAL & NATURAL
    assert not CRAWLED & (MEDICAL | NATURAL)
    assert sum(map(len, FAMILIES)) == len(set().union(*FAMILIES))


def test_every_catalogue_entry_uses_registered_collections() -> None:
    for model in catalogue:
        assert set(map(collection_of, model.pretraining.data)) <= MEDICAL | NATURAL | CRAWLED, model.name


NIH = {"chestxray14", "chestx-ray8", "rsna-pneumonia", "chestmnist", "pneumothorax-segmentation"}
PAIRS = [
    (model, image_set)
    for model in catalogue
    for image_set in sorted({name for task in target_tasks for name in task.image_sets})
]


def status(model: SourceModel, *image_sets: str) -> str:
    return overlap(model.pretraining.data, model.pretraining.objective, image_sets).status


def test_no_model_is_clean_on_a_task_whose_collection_or_relative_it_was_trained_on() -> None:
    for model, image_set in PAIRS:
        seen = set(map(collection_of, model.pretraining.data))
        related = {image_set}.union(*(family for family in FAMILIES if image_set in family))
        found = status(model, image_set)
        if seen & related:
            assert found in {"same", "source"}, (model.name, image_set)
        elif seen <= NATURAL:
            assert found == "clean", (model.name, image_set)


def test_nothing_trained_on_nih_is_clean_on_any_name_of_its_images() -> None:
    trained = [m for m in catalogue if "chestxray14" in map(collection_of, m.pretraining.data)]
    assert len(trained) >= 12
    assert {status(model, name) for model in trained for name in NIH} == {"same", "source"}


@pytest.mark.parametrize(
    ("name", "image_set", "expected"),
    [
        ("resnet50.mocov2_in1k", "chestxray14", "clean"),
        ("resnet50.in1k_ft_chestxray14", "chestxray14", "same"),
        ("resnet50.in1k_ft_chestxray14", "rsna-pneumonia", "source"),
        ("resnet50.in1k_ft_chexpert", "chexpert", "same"),
        ("resnet50.in1k_ft_mimic", "chexpert", "clean"),
        ("resnet50.in1k_ft_mimic", "mimic-cxr", "same"),
        ("swin_base_patch4_window7_224.simmim_chestxray14", "chestxray14", "source"),
        ("swin_base_patch4_window7_224.ark5", "vindr-cxr", "same"),
        ("swin_base_patch4_window7_224.ark5", "pneumothorax-segmentation", "source"),
        ("swin_base_patch4_window7_224.ark5", "mimic-cxr", "clean"),
        ("swin_base_patch4_window7_224.ark6", "mimic-cxr", "same"),
        ("resnet50.dira_barlow_chestxray14", "chestxray14", "source"),
        ("densenet121.xrv_all", "rsna-pneumonia", "same"),
        ("densenet121.xrv_nih", "chestxray14", "same"),
        ("vit_base_patch14.raddino", "chexpert", "source"),
        ("vit_base_patch16_224.biomedclip", "busi", "unknown"),
        ("resnet50.radimagenet", "busi", "unknown"),
        ("resnet50.simclr_radnet12m", "lits", "clean"),
        ("vit_small_patch14_dinov2.lvd142m", "busi", "clean"),
        ("vit_base_patch16_clip_224.openai", "busi", "unknown"),
    ],
)
def test_register_says_what_the_publications_say(name: str, image_set: str, expected: str) -> None:
    assert status(catalogue.get(name), image_set) == expected


@pytest.mark.parametrize("start", ["", "in1k_then_"])
def test_unknown_chest_collection_is_never_clean_on_a_chest_task(start: str) -> None:
    model = catalogue.get(f"swin_base_patch4_window7_224.simmim_{start}xray926k")
    tasks = sorted(name for _, name in PAIRS if name in CHEST_XRAY)
    assert {status(model, name) for name in tasks} == {"unknown"}
