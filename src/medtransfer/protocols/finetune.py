"""Fine-tuning: every weight of the source model is trained on the target task, with a new head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medtransfer.core.errors import UsageError
from medtransfer.core.task_kind import TaskKind
from medtransfer.data import augmentation as views
from medtransfer.data.augmentation import Augmentation
from medtransfer.models.decoders import Decoder, check_widths
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.training.recipe import MaskLoss, Optimiser, Precision, Schedule, TrainingRecipe, recipes

Preset = Literal["default", "studyA-cls", "studyA-seg"]
AugmentationName = Literal["default", "none", "studyA"]

_STUDY_A_SEGMENTATION = Augmentation(
    crop_scale=((156 / 224) ** 2, 1.0),
    crop_ratio=(1.0, 1.0),
    flip=0.0,
    rotation_degrees=0.0,
    brightness=0.2,
    contrast=0.2,
)
"""What of that study's segmentation views one affine map and a tone curve can do, drawn for every case.

Its elastic, grid and optical distortions and its gamma are left out.
"""

_RECIPE_FIELDS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "optimiser",
    "schedule",
    "warmup_epochs",
    "patience",
    "select_on",
    "precision",
    "mask_loss",
    "batch_dice",
)

_PRESET_SIZE: Mapping[str, int] = {"studyA-cls": 224, "studyA-seg": 224}
_PRESET_AUGMENTATION: Mapping[str, AugmentationName] = {"studyA-cls": "studyA", "studyA-seg": "studyA"}


class Finetune(BaseModel):
    """Settings of the protocol ``finetune``; a field that is not set is the preset's.

    The linear head starts from N(0, 0.01²), the decoder from seeded random weights. The weights
    of the epoch with the best validation value (``best``) and of the final one (``last``) are both
    scored on validation and test. Training labels are the only thing a label fraction takes away.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    name: ClassVar[str] = "finetune"
    revision: ClassVar[int] = 1

    preset: Preset = Field(default="default", description="Recipe the other fields change.")
    image_size: int | None = Field(
        default=None,
        ge=16,
        le=2048,
        description="Side of the images in pixels; the source model's own if unset.",
    )
    epochs: int | None = Field(default=None, ge=1, description="Most passes over the training cases.")
    batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Cases per optimiser step. Unset, few training cases are cut into smaller batches.",
    )
    learning_rate: float | None = Field(default=None, gt=0, description="Highest learning rate.")
    weight_decay: float | None = Field(
        default=None, ge=0, description="Decay of weights; never of biases and normalisation."
    )
    optimiser: Optimiser | None = Field(default=None, description="adamw, adam or sgd.")
    schedule: Schedule | None = Field(
        default=None, description="plateau (on the validation loss), cosine or constant."
    )
    warmup_epochs: int | None = Field(
        default=None, ge=0, description="Epochs of linear warm-up from a twentieth of the rate."
    )
    patience: int | None = Field(
        default=None, ge=1, description="Stop when more than this many epochs brought nothing better."
    )
    select_on: Literal["loss", "metric"] | None = Field(
        default=None, description="What is compared on validation: the loss, or the task's primary metric."
    )
    augmentation: AugmentationName | None = Field(
        default=None, description="Random views of training images."
    )
    decoder: Decoder = Field(
        default="unet", description="Segmentation: unet or upernet over the encoder's feature maps."
    )
    decoder_channels: tuple[int, ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="Segmentation: channels of a U-Net's blocks, coarsest first, one per encoder stage; "
        "the one width of a UPerNet.",
    )
    mask_loss: MaskLoss | None = Field(default=None, description="Segmentation: bce+dice, bce or dice.")
    batch_dice: bool | None = Field(
        default=None, description="Segmentation: soft Dice over the batch instead of each image."
    )
    precision: Precision | None = Field(
        default=None, description="Number format of training steps; scores are always computed in fp32."
    )

    @model_validator(mode="after")
    def _gives_a_valid_recipe(self) -> Finetune:
        self.recipe()
        return self

    @model_validator(mode="after")
    def _has_widths_the_decoder_takes(self) -> Finetune:
        check_widths(self.decoder, self.decoder_channels)
        return self

    @staticmethod
    def supports(kind: TaskKind) -> bool:  # noqa: ARG004 (the interface)
        """Return True: every kind of task can be fine-tuned for."""
        return True

    def recipe(self) -> TrainingRecipe:
        """Return the preset's recipe with the fields that were set."""
        chosen = {name: getattr(self, name) for name in _RECIPE_FIELDS if getattr(self, name) is not None}
        if "batch_size" in chosen:
            chosen["least_steps"] = 1
        return recipes.get(self.preset).changed(**chosen)

    def size(self) -> int | None:
        """Return the side of the images in pixels; None for the source model's own."""
        return self.image_size or _PRESET_SIZE.get(self.preset)

    def views(self, kind: TaskKind) -> Augmentation:
        """Return the ranges of the random training views."""
        name = self.augmentation or _PRESET_AUGMENTATION.get(self.preset, "default")
        if name == "studyA":
            return views.STUDY_A_CLASSIFICATION if kind.is_classification else _STUDY_A_SEGMENTATION
        return views.DEFAULT if name == "default" else views.NONE

    def settings(self, kind: TaskKind) -> dict[str, Any]:
        """Return the resolved settings as JSON values; those that a kind does not use are left out.

        Raises:
            UsageError: If the preset is for another kind.
        """
        meant = "studyA-cls" if kind.is_classification else "studyA-seg"
        if self.preset not in {"default", meant}:
            raise UsageError(
                f"protocol 'finetune': expected the preset 'default' or {meant!r} for a {kind.value} task, "
                f"got {self.preset!r}. Put tasks of different kinds in blocks of their own."
            )
        unused = {"mask_loss", "batch_dice"} if kind.is_classification else set()
        resolved = self.recipe().model_dump(mode="json", exclude=unused)
        view = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self.views(kind)).items()
        }
        resolved |= {"preset": self.preset, "image_size": self.size(), "augmentation": view}
        if not kind.is_classification:
            resolved["decoder_channels"] = (
                None if self.decoder_channels is None else list(self.decoder_channels)
            )
            resolved |= {} if self.decoder == "unet" else {"decoder": self.decoder}
        return resolved

    def varied(self, kind: TaskKind, label_fraction: float) -> tuple[str, ...]:  # noqa: ARG002 (the interface)
        """Return what differs between repetitions: the training, and the subset when there is one."""
        return ("training",) if label_fraction == 1 else ("label subset", "training")

    def shares_work(self, kind: TaskKind) -> bool:  # noqa: ARG002 (the interface)
        """Return False: trials share nothing but the decoded images."""
        return False

    def fit(self, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
        """Yield the transfer of each request, in order.

        Raises:
            TrialError: If a loss, gradient or prediction is not finite, or there are too few cases.
            UsageError: If the source model cannot take images of that size, or has no feature maps.
        """
        from medtransfer.protocols.fit_finetune import fit_finetune

        return fit_finetune(self, bench, requests)
