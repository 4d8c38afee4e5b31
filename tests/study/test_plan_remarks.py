"""What a study says without effect is told, and what has an effect is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medtransfer.core.task_kind import TaskKind
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.knn import Knn
from medtransfer.protocols.linear import Linear
from medtransfer.study.plan_remarks import kinds_that_use, plan_remarks, unused_tasks
from medtransfer.study.preparation import Folders, prepare_tasks
from medtransfer.study.study import Study

LESIONS = {"lesions": {"root": "lesions"}}
SPOTS = {"spots": {"root": "spots", "images": "images", "masks": "masks"}}
OTHERS: dict[str, dict[str, Any]] = {
    "linear": {
        "engine": "openvino",
        "feature_precision": "fp16",
        "strengths": (1.0,),
        "class_weights": "balanced",
        "epochs": 3,
        "batch_size": 3,
        "learning_rate": 0.5,
        "weight_decay": 0.5,
        "patience": 3,
        "select_on": "metric",
        "mask_loss": "dice",
        "precision": "bf16-mixed",
        "decoder": "upernet",
        "decoder_channels": (8,),
        "image_size": 40,
        "normalization": "imagenet",
    },
    "finetune": {
        "ten_crops": True,
        "decoder": "upernet",
        "decoder_channels": (8,),
        "mask_loss": "bce",
        "pixel_weights": (1.0, 2.0),
        "batch_dice": True,
        "epochs": 3,
        "image_size": 40,
    },
    "knn": {"engine": "openvino", "feature_precision": "fp16", "ks": (3,), "votes": ("plain",)},
}
"""A value of each setting that is not its default."""


@pytest.fixture
def remarks(lesions: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """Return what is remarked on a study over drawn images and masks."""
    for folder in ("images", "masks"):
        (lesions / "spots" / folder).mkdir(parents=True)
    for number in range(12):
        image, mask = np.full((40, 40), 60 + number, np.uint8), np.zeros((40, 40), np.uint8)
        mask[10:20, number : number + 10] = 255
        cv2.imwrite(str(lesions / "spots" / "images" / f"{number}.png"), image + mask // 3)
        cv2.imwrite(str(lesions / "spots" / "masks" / f"{number}.png"), mask)

    def call(**content: Any) -> list[str]:
        study = Study.parse({"name": "remarked", "models": ["resnet20.random"], **content})
        folders = Folders(data=lesions, weights=None, cache=tmp_path / "cache")
        return plan_remarks(study, prepare_tasks(study, folders))

    return call


def test_settings_of_another_kind_are_told(remarks: Callable[..., list[str]]) -> None:
    protocols = [{"linear": {"epochs": 3, "patience": 2}}, {"finetune": {"decoder": "unet", "epochs": 2}}]
    linear, finetune = remarks(tasks=[LESIONS], protocols=protocols)
    assert linear == (
        "protocol 'linear': expected settings that a task of its block uses, got 'epochs', 'patience', without "
        "effect on binary tasks. Leave them out."
    )
    assert finetune.endswith("got 'decoder', without effect on binary tasks. Leave it out.")
    (masks,) = remarks(tasks=[SPOTS], protocols=[{"linear": {"strengths": [1.0], "epochs": 2}}])
    assert "got 'strengths', without effect on segmentation tasks" in masks


def test_one_task_of_the_block_that_uses_them_is_enough(remarks: Callable[..., list[str]]) -> None:
    both = [{"linear": {"epochs": 3, "strengths": [1.0], "image_size": 32}}]
    assert remarks(tasks=[LESIONS, SPOTS], protocols=both) == []
    blocks = [{"tasks": ["lesions"]}, {"tasks": ["spots"]}]
    assert len(remarks(tasks=[LESIONS, SPOTS], protocols=both, blocks=blocks)) == 2


def test_a_task_in_no_block_is_told(remarks: Callable[..., list[str]]) -> None:
    (found,) = remarks(tasks=[LESIONS, SPOTS], protocols=["linear"], blocks=[{"tasks": ["lesions"]}])
    assert found.startswith(
        "task 'spots': expected a block that uses it, got none: it is declared, but in no"
    )
    whole = Study.parse(
        {"name": "all", "tasks": [LESIONS], "models": ["resnet20.random"], "protocols": ["knn"]}
    )
    assert unused_tasks(whole) == []


@pytest.mark.parametrize(
    ("build", "setting"), [(b, s) for b in (Linear, Finetune, Knn) for s in OTHERS[b.name]]
)
def test_what_a_description_says_of_a_setting_is_what_fingerprints_hold(build: Any, setting: str) -> None:
    value = OTHERS[build.name][setting]
    more = {"decoder": "upernet"} if setting == "decoder_channels" else {}
    plain, changed = build(**more), build(**more, **{setting: value})
    for kind in TaskKind:
        if not build().supports(kind) or (setting == "ten_crops" and kind is TaskKind.SEGMENTATION):
            continue
        assert (plain.settings(kind) != changed.settings(kind)) == (kind in kinds_that_use(changed, setting))
