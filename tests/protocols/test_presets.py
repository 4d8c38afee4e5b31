"""Presets: the resolved settings are those the three studies document, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from medtransfer.core.task_kind import TaskKind
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.presets import presets

LABELS, MASKS = TaskKind.MULTI_LABEL, TaskKind.SEGMENTATION

LARS = {"optimiser": "lars", "momentum": 0.9, "epochs": 100, "epoch_factor": 0.97}
SMALL = {
    "optimiser": "adamw",
    "learning_rate": 1e-4,
    "weight_decay": 1e-6,
    "epochs": 100,
    "epoch_factor": 0.97,
}
CHEST = {"optimiser": "adamw", "learning_rate": 5e-4, "weight_decay": 1e-6, "batch_size": 128, "epochs": 50}
LIVER = {"optimiser": "adamw", "learning_rate": 2e-4, "weight_decay": 1e-6, "batch_size": 128, "epochs": 50}
BRAIN = {"optimiser": "adamw", "learning_rate": 1e-3, "weight_decay": 1e-5, "batch_size": 128, "epochs": 50}
LIVER |= {"epoch_factor": 0.97, "pixel_weights": [1.0, 3.0, 10.0], "mask_loss": "bce", "batch_dice": False}
BRAIN |= {"epoch_factor": 0.95, "pixel_weights": [1.0, 5.0, 5.0, 5.0], "mask_loss": "bce"}

DOCUMENTED: dict[str, dict[str, Any]] = {
    "R": {**LARS, "learning_rate": 0.01, "weight_decay": 1e-4, "batch_size": 4096},
    "I1k": {**LARS, "learning_rate": 4.8, "weight_decay": 1e-6, "batch_size": 4096},
    "RS": {**LARS, "learning_rate": 0.005, "weight_decay": 1e-5, "batch_size": 1024},
    "I1kS": {**LARS, "learning_rate": 2.4, "weight_decay": 1e-6, "batch_size": 1024},
    "I100": {**LARS, "learning_rate": 2.4, "weight_decay": 1e-6, "batch_size": 1024},
    **{
        name: {**SMALL, "batch_size": 256}
        for name in ("RXS", "RXXS", "I1kXS", "I100S", "I100XS", "I10", "I10S")
    },
    "I10XS": {**SMALL, "batch_size": 64},
    **{name: {**CHEST, "epoch_factor": 0.97} for name in ("CX8", "CX8M", "CX8S")},
    **dict.fromkeys(("LiTS", "LiTSM", "LiTSS"), LIVER),
    **dict.fromkeys(("BraTS", "BraTSM", "BraTSS"), BRAIN),
}
PHOTOGRAPHS = ("I1k", "I1kS", "I100", "I1kXS", "I100S", "I100XS", "I10", "I10S", "I10XS")


def kind_of(name: str) -> TaskKind:
    return MASKS if name.startswith(("LiTS", "BraTS")) else LABELS


def resolved(name: str, kind: TaskKind) -> dict[str, Any]:
    return Finetune(preset=name).settings(kind)


def test_every_task_of_study_c_has_its_preset() -> None:
    assert {name.removeprefix("studyC-") for name in presets.names() if name.startswith("studyC-")} == set(
        DOCUMENTED
    )


@pytest.mark.parametrize("name", DOCUMENTED)
def test_study_c(name: str) -> None:
    kind = kind_of(name)
    found = resolved(f"studyC-{name}", kind)
    common = {"schedule": "exponential", "warmup_epochs": 0, "image_size": 256, "precision": "bf16-mixed"}
    common |= {"patience": DOCUMENTED[name]["epochs"], "whole_image": True}
    # At its default the factor of the rate is left out of the settings, so it is read from the recipe.
    found["epoch_factor"] = Finetune(preset=f"studyC-{name}").recipe().epoch_factor
    for field, value in {**common, **DOCUMENTED[name]}.items():
        assert found[field] == value, field
    if kind is MASKS:
        assert found["decoder_channels"] == [256, 128, 64, 32, 16]
    else:
        assert found["head_bias"] is False


@pytest.mark.parametrize("name", DOCUMENTED)
def test_views_of_study_c(name: str) -> None:
    views = presets.get(f"studyC-{name}").augmentation
    looks = views.looks
    assert (views.crop_scale, views.crop_probability, views.flip, views.rotation_degrees) == (
        (0.08, 1.0),
        0.2,
        0.2,
        0,
    )
    assert looks.blur_probability == 0.2
    jitter = (views.brightness, views.contrast, looks.saturation, looks.hue)
    assert jitter == ((0, 0, 0, 0) if name.startswith("BraTS") else (0.1, 0.1, 0.1, 0.2))
    if not name.startswith("BraTS"):
        assert looks.tone_probability == 0.2
    sharpened = 0.0 if kind_of(name) is MASKS else 0.2
    assert (looks.sharpness_probability, looks.sharpness) == (sharpened, 2.0)
    assert looks.grey_probability == (0.2 if name in PHOTOGRAPHS else 0.0)


def test_segmentation_of_studies_a_and_b() -> None:
    first, second = resolved("studyA-seg", MASKS), resolved("studyB-seg", MASKS)
    same = {
        "image_size": 224,
        "batch_size": 32,
        "mask_loss": "dice",
        "batch_dice": True,
        "schedule": "cosine",
    }
    for found in (first, second):
        assert {name: found[name] for name in same} == same
    documented = {
        "optimiser": ("adam", "adamw"),
        "learning_rate": (1e-3, 2e-4),
        "weight_decay": (0.0, 0.01),
        "epochs": (200, 500),
        "patience": (20, 50),
        "warmup_epochs": (0, 20),
        "precision": ("fp32", "bf16-mixed"),
    }
    assert {name: (first[name], second[name]) for name in documented} == documented
    assert first["augmentation"] == second["augmentation"]
    views = presets.get("studyA-seg").augmentation
    assert views.crop_probability == 0.25
    assert views.crop_scale == pytest.approx(((156 / 224) ** 2, 1.0))
    assert (views.looks.tone_probability, views.looks.gamma_share) == (0.3, 0.5)
    assert views.distortion is not None
    bent = views.distortion
    assert (bent.probability, bent.elastic_alpha, bent.elastic_sigma, bent.elastic_affine) == (
        0.3,
        120,
        6,
        3.6,
    )
    assert (bent.optical_limit, bent.optical_shift) == (2.0, 0.5)


@pytest.mark.parametrize("study", ["studyA", "studyB"])
def test_drive_is_the_exception_of_studies_a_and_b(study: str) -> None:
    usual, found = resolved(f"{study}-seg", MASKS), resolved(f"{study}-drive", MASKS)
    differing = {name for name in found if found[name] != usual[name]}
    assert differing == {"preset", "image_size", "mask_loss", "batch_dice", "augmentation"}
    assert (found["image_size"], found["mask_loss"]) == (512, "bce")
    assert found["augmentation"] == Finetune(augmentation="none").settings(MASKS)["augmentation"]


def test_study_b_repeats_the_classification_of_study_a_with_ten_crops() -> None:
    first, second = resolved("studyA-cls", LABELS), resolved("studyB-cls", LABELS)
    assert {**first, "preset": ""} == {**second, "preset": ""}
    assert first["ten_crops"] is True


def test_study_b_could_lower_its_rate_by_a_cosine() -> None:
    usual, found = resolved("studyB-cls", LABELS), resolved("studyB-cls-cosine", LABELS)
    changed = {"schedule": "cosine", "warmup_epochs": 20, "least_rate": 1e-5, "preset": "studyB-cls-cosine"}
    assert found == usual | changed
    assert "least_rate" not in usual
    other = Finetune(preset="studyB-cls-cosine", optimiser="sgd").settings(LABELS)
    assert (other["optimiser"], other["momentum"], other["learning_rate"]) == ("sgd", 0.9, 2e-4)


def test_a_misspelt_preset_is_answered_with_near_names() -> None:
    with pytest.raises(ValidationError, match="Did you mean 'studyC-LiTS'"):
        Finetune(preset="studyC-LITS")


NEUTRAL = {
    "momentum": 0.9,
    "cosine_step": "iteration",
    "plateau_factor": 0.5,
    "plateau_patience": 5,
    "plateau_threshold": 1e-4,
    "select_on": "loss",
    "least_steps": 1,
}
"""What the studies leave open, or what their schedule does not use."""


@pytest.mark.parametrize("name", DOCUMENTED)
def test_study_c_has_no_setting_beyond_the_documented_ones(name: str) -> None:
    kind, preset = kind_of(name), f"studyC-{name}"
    expected = {**NEUTRAL, **DOCUMENTED[name], "preset": preset, "image_size": 256, "whole_image": True}
    expected |= {"schedule": "exponential", "warmup_epochs": 0, "precision": "bf16-mixed"}
    expected |= {"patience": DOCUMENTED[name]["epochs"]}  # never stops early
    if expected["epoch_factor"] == 0.97:  # the recipe's default, which is left out of the settings
        del expected["epoch_factor"]
    if kind is MASKS:
        expected |= {"batch_dice": False, "decoder_channels": [256, 128, 64, 32, 16]}
    else:
        expected |= {"head_bias": False}
    found = resolved(preset, kind)
    del found["augmentation"]  # compared value by value elsewhere
    assert found == expected


def test_segmentation_of_studies_a_and_b_has_no_setting_beyond_the_documented_ones() -> None:
    first, second = resolved("studyA-seg", MASKS), resolved("studyB-seg", MASKS)
    del first["augmentation"], second["augmentation"]  # compared value by value elsewhere
    expected = {
        **NEUTRAL,
        "preset": "studyA-seg",
        "image_size": 224,
        "batch_size": 32,
        "decoder_channels": None,
    }
    expected |= {"optimiser": "adam", "learning_rate": 1e-3, "weight_decay": 0.0, "precision": "fp32"}
    expected |= {
        "schedule": "cosine",
        "cosine_step": "epoch",
        "warmup_epochs": 0,
        "epochs": 200,
        "patience": 20,
    }
    expected |= {"mask_loss": "dice", "batch_dice": True}
    assert first == expected
    expected |= {"preset": "studyB-seg", "optimiser": "adamw", "learning_rate": 2e-4, "weight_decay": 0.01}
    expected |= {"cosine_step": "iteration", "warmup_epochs": 20, "epochs": 500, "patience": 50}
    assert second == expected | {"precision": "bf16-mixed"}
