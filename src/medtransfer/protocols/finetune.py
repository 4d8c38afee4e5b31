"""Fine-tuning: every weight of the source model is trained on the target task, with a new head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from medtransfer.core.errors import UsageError
from medtransfer.core.registry import unknown_name
from medtransfer.core.task_kind import TaskKind
from medtransfer.data import augmentation as views
from medtransfer.data.augmentation import Augmentation
from medtransfer.data.decoded_cache import cache_side
from medtransfer.models.decoders import Decoder, check_widths
from medtransfer.protocols.input_normalisation import NORMALIZATION_HELP, Normalization, fit_normalised
from medtransfer.protocols.presets import presets
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.training.recipe import MaskLoss, Optimiser, Precision, Schedule, TrainingRecipe

AugmentationName = Literal["default", "none", "studyA", "preset"]

_RECIPE_FIELDS = (
    *("epochs", "batch_size", "micro_batch", "learning_rate", "weight_decay", "optimiser", "schedule"),
    *("epoch_factor", "warmup_epochs", "patience", "select_on", "precision", "mask_loss", "pixel_weights"),
    *("batch_dice", "layer_decay", "train_last", "average_decay", "least_rate"),
)
_MOST_RATES = 9
_PARTNERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("pixel_weights", "mask_loss", ("bce+dice", "bce")),
    ("batch_dice", "mask_loss", ("bce+dice", "dice")),
    ("least_rate", "schedule", ("cosine",)),
    ("epoch_factor", "schedule", ("exponential",)),
)
"""Fields that say something only beside certain values of another."""


class Finetune(BaseModel):
    """Settings of the protocol ``finetune``; a field that is not set is the preset's.

    The linear head starts from N(0, 0.01²), the decoder from seeded random weights. The weights
    of the epoch with the best validation value (``best``) and of the final one (``last``) are both
    scored on validation and test. Training labels are the only thing a label fraction takes away.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    name: ClassVar[str] = "finetune"
    revision: ClassVar[int] = 2

    preset: str = Field(default="default", description="Recipe the other fields change.")
    image_size: int | None = Field(
        default=None,
        ge=16,
        le=2048,
        description="Side of the images in pixels; the source model's own if unset.",
    )
    normalization: Normalization = Field(default="model", description=NORMALIZATION_HELP)
    epochs: int | None = Field(default=None, ge=1, description="Most passes over the training cases.")
    batch_size: int | None = Field(
        default=None,
        ge=1,
        description="Cases per optimiser step. Unset, few training cases are cut into smaller batches.",
    )
    micro_batch: int | None = Field(
        default=None, ge=1, description="Most cases in the network at once; gradients of a step are added up."
    )
    learning_rate: float | None = Field(default=None, gt=0, description="Highest learning rate.")
    learning_rates: tuple[float, ...] | None = Field(
        default=None,
        strict=False,
        min_length=2,
        max_length=_MOST_RATES,
        description="Rates to search, the same for every source model; validation chooses, and the result "
        "with the recipe's own rate, which must be among them, is kept beside it.",
    )
    weight_decay: float | None = Field(
        default=None, ge=0, description="Decay of weights; never of biases and normalisation."
    )
    optimiser: Optimiser | None = Field(default=None, description="adamw, adam, sgd or lars.")
    layer_decay: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Factor of the rate from a layer group of the encoder to the one before it.",
    )
    train_last: int | None = Field(
        default=None, ge=0, description="Train only so many of the encoder's last layer groups, and the head."
    )
    batch_normalization: Literal["adapt"] | None = Field(
        default=None,
        description="With train_last: adapt lets the statistics of frozen batch normalisation follow the training "
        "images, while its weights stay; unset, they stay too.",
    )
    average_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Score an exponential moving average of the weights with this decay.",
    )
    schedule: Schedule | None = Field(
        default=None, description="plateau (on the validation loss), cosine, exponential or constant."
    )
    epoch_factor: float | None = Field(
        default=None, gt=0, le=1, description="Exponential schedule: factor of the rate from epoch to epoch."
    )
    least_rate: float | None = Field(
        default=None, ge=0, description="Cosine schedule: rate it falls to instead of 0."
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
        default=None, description="Random views of training images: default, none, studyA or the preset's."
    )
    ten_crops: bool | None = Field(
        default=None,
        description="Labels: score validation and test also on ten crops of each image, whose probabilities are "
        "averaged.",
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
    pixel_weights: tuple[float, ...] | None = Field(
        default=None,
        strict=False,
        min_length=2,
        description="Segmentation: weights of the background and of each class in the cross entropy; 0 or more.",
    )
    batch_dice: bool | None = Field(
        default=None, description="Segmentation: soft Dice over the batch instead of each image."
    )
    precision: Precision | None = Field(
        default=None, description="Number format of training steps; scores are always computed in fp32."
    )

    @field_validator("preset")
    @classmethod
    def _is_a_known_preset(cls, name: str) -> str:
        if name not in presets:
            raise ValueError(unknown_name("preset", name, presets.names(), "medtransfer run --help"))
        return name

    @model_validator(mode="after")
    def _gives_a_valid_recipe(self) -> Finetune:
        rate = self.recipe().learning_rate
        rates = self.learning_rates
        if rates is not None and (rate not in rates or len(set(rates)) < len(rates) or min(rates) <= 0):
            raise ValueError(
                f"learning_rates: expected different rates above 0, the recipe's own {rate:g} among them, got "
                f"{list(rates)}"
            )
        least = self.recipe().least_rate
        if rates is not None and min(rates) < least:
            raise ValueError(
                f"learning_rates: expected rates of at least the least_rate {least:g}, got {list(rates)}"
            )
        return self

    @model_validator(mode="after")
    def _sets_nothing_without_effect(self) -> Finetune:
        """Refuse what was written and would change nothing; what a preset brings along may stay idle."""
        recipe, plain = self.recipe(), TrainingRecipe()
        for name, partner, values in _PARTNERS:
            written = getattr(self, name)
            idle = getattr(recipe, partner) not in values
            if idle and written is not None and written != getattr(plain, name):
                raise ValueError(
                    f"{name}: expected '{partner}' {' or '.join(map(repr, values))} beside it, got "
                    f"{getattr(recipe, partner)!r}, which does not use it. Leave it out, or set '{partner}' too"
                )
        return self

    @model_validator(mode="after")
    def _splits_what_adds_up(self) -> Finetune:
        recipe = self.recipe()
        if recipe.micro_batch is not None and recipe.batch_dice and "dice" in recipe.mask_loss:
            raise ValueError(
                "micro_batch: expected 'batch_dice: false' beside it, got a Dice over whole batches, which parts of "
                "a batch do not add up to. Set 'batch_dice: false', or lower 'batch_size' instead"
            )
        return self

    @model_validator(mode="after")
    def _crops_what_has_a_margin(self) -> Finetune:
        if self.ten_crops and presets.get(self.preset).whole_image:
            raise ValueError(
                f"ten_crops: expected a preset that keeps a margin around its views, got {self.preset!r}, which sees "
                "the whole image, so that corners and centre are one crop. Leave 'ten_crops' out, or take another "
                "preset"
            )
        return self

    @model_validator(mode="after")
    def _adapts_what_is_frozen(self) -> Finetune:
        if self.batch_normalization is not None and self.train_last is None:
            raise ValueError(
                "batch_normalization: expected 'train_last' beside it, got none: what is trained adapts anyway"
            )
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
        return presets.get(self.preset).recipe.changed(**chosen)

    def size(self) -> int | None:
        """Return the side of the images in pixels; None for the source model's own."""
        return self.image_size or presets.get(self.preset).image_size

    def cached_side(self, kind: TaskKind, size: int) -> int:
        """Return the side at which images are kept for views of ``size`` pixels."""
        return size if presets.get(self.preset).whole_image else cache_side(kind, size)

    def decoded_side(self, kind: TaskKind, own_size: int) -> int:
        """Return the side at which images are kept, for a source model of its own image size."""
        return self.cached_side(kind, self.size() or own_size)

    def views(self, kind: TaskKind) -> Augmentation:
        """Return the ranges of the random training views."""
        if self.augmentation in (None, "preset"):
            return presets.get(self.preset).augmentation
        if self.augmentation == "studyA":
            return views.STUDY_A_CLASSIFICATION if kind.is_classification else views.STUDY_A_SEGMENTATION
        return views.DEFAULT if self.augmentation == "default" else views.NONE

    def scores_ten_crops(self, kind: TaskKind) -> bool:
        """Return whether ten crops of each image are scored as well."""
        asked = presets.get(self.preset).ten_crops if self.ten_crops is None else self.ten_crops
        return asked and kind.is_classification

    def head_has_bias(self) -> bool:
        """Return whether the linear head has an intercept."""
        return presets.get(self.preset).head_bias

    def channels(self) -> tuple[int, ...] | None:
        """Return the widths of the decoder; None for those of the decoder itself."""
        if self.decoder_channels is not None or self.decoder != "unet":
            return self.decoder_channels
        return presets.get(self.preset).decoder_channels

    def settings(self, kind: TaskKind) -> dict[str, Any]:
        """Return the resolved settings as JSON values; those that a kind does not use are left out.

        Raises:
            UsageError: If the preset is for another kind, or a setting means nothing for this one.
        """
        self._require_kind(kind)
        unused = {"mask_loss", "batch_dice", "pixel_weights"} if kind.is_classification else set()
        resolved = {name: value for name, value in self.recipe().as_settings().items() if name not in unused}
        resolved |= {
            "preset": self.preset,
            "image_size": self.size(),
            "augmentation": self.views(kind).as_settings(),
        }
        if not kind.is_classification:
            channels = self.channels()
            resolved["decoder_channels"] = None if channels is None else list(channels)
        return resolved | self._later_settings(kind)

    def _later_settings(self, kind: TaskKind) -> dict[str, Any]:
        """Return settings that say nothing where they are at their defaults, so that fingerprints stay."""
        found: dict[str, Any] = {}
        if not kind.is_classification and self.decoder != "unet":
            found["decoder"] = self.decoder
        if presets.get(self.preset).whole_image:
            found["whole_image"] = True
        if kind.is_classification and not self.head_has_bias():
            found["head_bias"] = False
        if self.scores_ten_crops(kind):
            found["ten_crops"] = True
        if self.learning_rates is not None:
            found["learning_rates"] = list(self.learning_rates)
        if self.normalization != "model":
            found["normalization"] = self.normalization
        if self.batch_normalization is not None:
            found["batch_normalization"] = self.batch_normalization
        return found

    def _require_kind(self, kind: TaskKind) -> None:
        if kind not in presets.get(self.preset).kinds:
            fitting = [name for name in presets.names() if kind in presets.get(name).kinds]
            raise UsageError(
                f"protocol 'finetune': expected a preset for {kind.value} tasks ({', '.join(fitting[:4])}, ...), "
                f"got {self.preset!r}. Put tasks of different kinds in blocks of their own."
            )
        if self.ten_crops and not kind.is_classification:
            raise UsageError(
                "protocol 'finetune': expected ten_crops for labels only, got it for a segmentation task. "
                "Put tasks of different kinds in blocks of their own."
            )

    def varied(self, kind: TaskKind, label_fraction: float) -> tuple[str, ...]:  # noqa: ARG002 (the interface)
        """Return what differs between repetitions: the training, and the subset when there is one."""
        return ("training",) if label_fraction == 1 else ("label subset", "training")

    def shares_work(self, kind: TaskKind) -> bool:  # noqa: ARG002 (the interface)
        """Return False: trials share nothing but the decoded images."""
        return False

    def fit(self, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
        """Yield the transfer of each request, in order.

        Raises:
            TrialError: If a loss, gradient or prediction is not finite (of a search: at every rate), or there
                are too few cases.
            UsageError: If the source model cannot take images of that size, or has no feature maps.
        """
        from medtransfer.protocols.fit_finetune import fit_finetune

        return fit_normalised(self, bench, lambda changed: fit_finetune(self, changed, requests))
