"""Presets of fine-tuning: the published recipes of three studies under their names, and our default.

A preset repeats the settings of a study and none of its defects: validation images are never augmented, the
learning rate never starts at 0, a label fraction is taken from training alone, the best weights on
validation are kept beside the last ones, and inputs are normalised as the source model expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from medtransfer.core.registry import Registry
from medtransfer.core.task_kind import TaskKind
from medtransfer.data import augmentation as views
from medtransfer.data.augmentation import Augmentation
from medtransfer.data.looks import Looks
from medtransfer.training.recipe import TrainingRecipe, recipes

LABELS = frozenset(kind for kind in TaskKind if kind.is_classification)
MASKS = frozenset((TaskKind.SEGMENTATION,))


@dataclass(frozen=True)
class Preset:
    """Everything a published recipe fixes."""

    recipe: TrainingRecipe
    """Optimiser, schedule, stopping, batches and loss."""
    kinds: frozenset[TaskKind]
    """What it was written for."""
    augmentation: Augmentation = views.DEFAULT
    """Random views of training images."""
    image_size: int | None = None
    """Side of the images in pixels; None for the source model's own."""
    whole_image: bool = False
    """Whether evaluation sees the whole image and not the centre of a larger one."""
    head_bias: bool = True
    """Whether the linear head has an intercept."""
    ten_crops: bool = False
    """Whether the test is also scored on ten crops of each image."""
    decoder_channels: tuple[int, ...] | None = None
    """Channels of a U-Net's blocks, coarsest first; None for ours."""


presets: Registry[Preset] = Registry("preset", see="medtransfer run --help")
"""Presets by name."""


def _study_c(augmented: Augmentation, kinds: frozenset[TaskKind], **recipe: Any) -> Preset:
    return Preset(
        recipe=TrainingRecipe(
            schedule="exponential",
            warmup_epochs=0,
            least_steps=1,
            patience=recipe["epochs"],
            precision="bf16-mixed",
            **recipe,
        ),
        kinds=kinds,
        augmentation=augmented,
        image_size=256,
        whole_image=True,
        head_bias=False,
        decoder_channels=(256, 128, 64, 32, 16) if kinds is MASKS else None,
    )


_STUDY_C_VIEWS = Augmentation(
    crop_scale=(0.08, 1.0),
    crop_probability=0.2,
    flip=0.2,
    rotation_degrees=0.0,
    brightness=0.1,
    contrast=0.1,
    looks=Looks(
        tone_probability=0.2,
        saturation=0.1,
        hue=0.2,
        blur_probability=0.2,
        sharpness_probability=0.2,
        sharpness=2.0,
    ),
)
_STUDY_C_PHOTOGRAPHS = Augmentation(
    **{**vars(_STUDY_C_VIEWS), "looks": Looks(**{**vars(_STUDY_C_VIEWS.looks), "grey_probability": 0.2})}
)
_STUDY_C_LIVER = Augmentation(
    **{
        **vars(_STUDY_C_VIEWS),
        "looks": Looks(tone_probability=0.2, saturation=0.1, hue=0.2, blur_probability=0.2),
    }
)
_STUDY_C_BRAIN = Augmentation(
    **{**vars(_STUDY_C_LIVER), "brightness": 0.0, "contrast": 0.0, "looks": Looks(blur_probability=0.2)}
)

_LARS: Mapping[str, Any] = {"optimiser": "lars", "epochs": 100, "epoch_factor": 0.97}
_SMALL: Mapping[str, Any] = {
    "optimiser": "adamw",
    "learning_rate": 1e-4,
    "weight_decay": 1e-6,
    "epochs": 100,
    "epoch_factor": 0.97,
}
_MASKED: Mapping[str, Any] = {"optimiser": "adamw", "batch_size": 128, "epochs": 50, "mask_loss": "bce"}

presets.add("default", Preset(recipes.get("default"), kinds=frozenset(TaskKind)))
presets.add(
    "studyA-cls",
    Preset(
        recipes.get("studyA-cls"),
        LABELS,
        views.STUDY_A_CLASSIFICATION,
        image_size=224,
        ten_crops=True,
    ),
)
presets.add(
    "studyA-seg", Preset(recipes.get("studyA-seg"), MASKS, views.STUDY_A_SEGMENTATION, image_size=224)
)
presets.add("studyB-cls", presets.get("studyA-cls"))
presets.add("studyB-cls-cosine", replace(presets.get("studyB-cls"), recipe=recipes.get("studyB-cls-cosine")))
presets.add(
    "studyB-seg", Preset(recipes.get("studyB-seg"), MASKS, views.STUDY_A_SEGMENTATION, image_size=224)
)
for _study in ("studyA", "studyB"):
    presets.add(
        f"{_study}-drive",
        Preset(
            recipes.get(f"{_study}-seg").changed(mask_loss="bce", batch_dice=False),
            MASKS,
            views.NONE,
            image_size=512,
        ),
    )
presets.add(
    "studyC-R",
    _study_c(_STUDY_C_VIEWS, LABELS, learning_rate=0.01, weight_decay=1e-4, batch_size=4096, **_LARS),
)
presets.add(
    "studyC-I1k",
    _study_c(_STUDY_C_PHOTOGRAPHS, LABELS, learning_rate=4.8, weight_decay=1e-6, batch_size=4096, **_LARS),
)
presets.add(
    "studyC-RS",
    _study_c(_STUDY_C_VIEWS, LABELS, learning_rate=0.005, weight_decay=1e-5, batch_size=1024, **_LARS),
)
for _name in ("I1kS", "I100"):
    presets.add(
        f"studyC-{_name}",
        _study_c(
            _STUDY_C_PHOTOGRAPHS, LABELS, learning_rate=2.4, weight_decay=1e-6, batch_size=1024, **_LARS
        ),
    )
for _name in ("RXS", "RXXS"):
    presets.add(f"studyC-{_name}", _study_c(_STUDY_C_VIEWS, LABELS, batch_size=256, **_SMALL))
for _name in ("I1kXS", "I100S", "I100XS", "I10", "I10S"):
    presets.add(f"studyC-{_name}", _study_c(_STUDY_C_PHOTOGRAPHS, LABELS, batch_size=256, **_SMALL))
presets.add("studyC-I10XS", _study_c(_STUDY_C_PHOTOGRAPHS, LABELS, batch_size=64, **_SMALL))
for _name in ("CX8", "CX8M", "CX8S"):
    presets.add(
        f"studyC-{_name}",
        _study_c(
            _STUDY_C_VIEWS,
            LABELS,
            optimiser="adamw",
            learning_rate=5e-4,
            weight_decay=1e-6,
            batch_size=128,
            epochs=50,
            epoch_factor=0.97,
        ),
    )
for _name in ("LiTS", "LiTSM", "LiTSS"):
    presets.add(
        f"studyC-{_name}",
        _study_c(
            _STUDY_C_LIVER,
            MASKS,
            learning_rate=2e-4,
            weight_decay=1e-6,
            epoch_factor=0.97,
            pixel_weights=(1.0, 3.0, 10.0),
            **_MASKED,
        ),
    )
for _name in ("BraTS", "BraTSM", "BraTSS"):
    presets.add(
        f"studyC-{_name}",
        _study_c(
            _STUDY_C_BRAIN,
            MASKS,
            learning_rate=1e-3,
            weight_decay=1e-5,
            epoch_factor=0.95,
            pixel_weights=(1.0, 5.0, 5.0, 5.0),
            **_MASKED,
        ),
    )
