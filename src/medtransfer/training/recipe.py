"""How a network is trained: one frozen record of everything but the data, and the recipes known by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from medtransfer.core.declaration_faults import declaration_faults
from medtransfer.core.errors import UsageError
from medtransfer.core.registry import Registry

Optimiser = Literal["adamw", "adam", "sgd", "lars"]
Schedule = Literal["plateau", "cosine", "exponential", "constant"]
Precision = Literal["fp32", "bf16-mixed"]
MaskLoss = Literal["bce+dice", "bce", "dice"]

_ADDED_LATER = frozenset(
    (
        *("epoch_factor", "layer_decay", "train_last", "average_decay", "micro_batch", "pixel_weights"),
        "least_rate",
    )
)

SMALLEST_BATCH = 4
"""Below this many cases batch normalisation is too noisy to train."""


class TrainingRecipe(BaseModel):
    """Optimiser, schedule, stopping, batches and loss; the defaults are the ``default`` preset."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    optimiser: Optimiser = "adamw"
    """AdamW, Adam (decay added to the gradient), SGD with Nesterov momentum off, or LARS, which fits the step of
    each kernel to its length and leaves biases and normalisation out of that."""
    learning_rate: float = Field(default=3e-4, gt=0)
    """Rate after warm-up, before the schedule lowers it."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decay of weight matrices and kernels; biases and normalisation parameters never decay."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD; the others do not use it."""
    schedule: Schedule = "cosine"
    """``cosine`` falls to ``least_rate`` over all epochs; ``plateau`` lowers when the validation loss stalls;
    ``exponential`` multiplies by ``epoch_factor`` after every epoch."""
    cosine_step: Literal["iteration", "epoch"] = "iteration"
    """Whether the cosine falls with every optimiser step, or stays through an epoch."""
    least_rate: float = Field(default=0.0, ge=0)
    """Rate at which ``cosine`` would arrive after the last epoch; the others do not use it."""
    warmup_epochs: int = Field(default=1, ge=0)
    """Epochs over which the rate rises linearly, step by step, from a twentieth of itself."""
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    """What ``plateau`` multiplies the rate by."""
    plateau_patience: int = Field(default=5, ge=0)
    """``plateau`` acts when more than this many epochs in a row did not improve the validation loss."""
    plateau_threshold: float = Field(default=1e-4, ge=0, lt=1)
    """Relative decrease of the validation loss that ``plateau`` counts as an improvement."""
    epoch_factor: float = Field(default=0.97, gt=0, le=1)
    """What ``exponential`` multiplies the rate by after every epoch; the others do not use it."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Factor of the rate from one layer group of the encoder to the one before it; 1 treats all alike."""
    train_last: int | None = Field(default=None, ge=0)
    """Number of the encoder's last layer groups that are trained; the others are frozen. None trains all."""
    average_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then what is scored and kept; it is
    (1 + t) / (10 + t) at step t where that is smaller. None keeps the weights themselves."""
    epochs: int = Field(default=50, ge=1)
    """Most passes over the training cases."""
    patience: int = Field(default=15, ge=1)
    """Training ends when more than this many epochs in a row brought no better selected value."""
    select_on: Literal["loss", "metric"] = "loss"
    """What is compared on validation after each epoch, to keep the best weights and to stop."""
    batch_size: int = Field(default=32, ge=1)
    """Cases per optimiser step, at most."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Most cases that go through the network at once; the gradients of a step are added up. Batch normalisation
    sees the smaller batch. None takes the whole batch."""
    least_steps: int = Field(default=4, ge=1)
    """Steps per epoch below which few training cases are cut into smaller batches, of 4 cases at least."""
    mask_loss: MaskLoss = "bce+dice"
    """Segmentation loss; with several classes cross entropy stands for ``bce``."""
    pixel_weights: tuple[float, ...] | None = Field(default=None, strict=False, min_length=2)
    """Segmentation: weight of the background and of each class in the cross entropy over pixels, 0 or more and not
    all 0; None for 1. A ``mask_loss`` of ``dice`` does not use them."""
    batch_dice: bool = False
    """Whether soft Dice pools the pixels of a batch instead of those of each image; ``bce`` does not use it."""
    precision: Precision = "fp32"
    """Number format of the training steps; validation and test are always computed in fp32."""

    @model_validator(mode="after")
    def _warms_up_within_the_epochs(self) -> TrainingRecipe:
        if self.warmup_epochs > self.epochs:
            raise ValueError(
                f"warmup_epochs: expected at most the {self.epochs} epochs, got {self.warmup_epochs}"
            )
        return self

    @model_validator(mode="after")
    def _falls_to_a_lower_rate(self) -> TrainingRecipe:
        if self.least_rate > self.learning_rate:
            raise ValueError(
                f"least_rate: expected at most the learning rate of {self.learning_rate:g}, got {self.least_rate:g}"
            )
        return self

    @field_validator("pixel_weights")
    @classmethod
    def _weighs_something(cls, weights: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if weights is not None and (min(weights) < 0 or not max(weights) > 0):
            raise ValueError(f"expected weights of 0 or more, not all 0, got {list(weights)}")
        return weights

    def batch_size_for(self, cases: int) -> int:
        """Return the batch size for a number of training cases.

        Example:
            >>> recipe = TrainingRecipe(batch_size=32, least_steps=4)
            >>> [recipe.batch_size_for(cases) for cases in (1000, 60, 9)]
            [32, 15, 4]
        """
        return min(self.batch_size, max(SMALLEST_BATCH, cases // self.least_steps))

    def as_settings(self) -> dict[str, Any]:
        """Return all fields as JSON values; later additions are left out where they are at their defaults.

        The result goes into fingerprints, and a field that did not exist when a trial was done must not
        make it another trial.
        """
        values = self.model_dump(mode="json")
        plain = type(self)()
        return {
            name: value
            for name, value in values.items()
            if name not in _ADDED_LATER or getattr(self, name) != getattr(plain, name)
        }

    def changed(self, **fields: Any) -> TrainingRecipe:
        """Return a copy with other values, checked like new ones.

        Raises:
            UsageError: If a value is out of its range.
        """
        try:
            return type(self)(**{**self.model_dump(), **fields})
        except ValidationError as error:
            faults = declaration_faults(error, lambda _: type(self).model_fields)
            raise UsageError(" ".join(faults)) from error


recipes: Registry[TrainingRecipe] = Registry("recipe", see="medtransfer run --help")
"""Recipes by name.

``studyA-cls``, ``studyA-seg``, ``studyB-cls-cosine`` and ``studyB-seg`` repeat the settings of published studies
of transfer learning; every value they did not set is the neutral one.
"""

_AS_WRITTEN: Mapping[str, Any] = {"weight_decay": 0.0, "warmup_epochs": 0, "batch_size": 32, "least_steps": 1}

recipes.add("default", TrainingRecipe())
recipes.add(
    "studyA-cls",
    TrainingRecipe(
        **_AS_WRITTEN,
        optimiser="adam",
        learning_rate=2e-4,
        schedule="plateau",
        plateau_factor=0.5,
        plateau_patience=5,
        plateau_threshold=1e-4,
        epochs=1000,
        patience=10,
    ),
)
recipes.add(
    "studyB-cls-cosine",
    recipes.get("studyA-cls").changed(schedule="cosine", warmup_epochs=20, least_rate=1e-5),
)
recipes.add(
    "studyA-seg",
    TrainingRecipe(
        **_AS_WRITTEN,
        optimiser="adam",
        learning_rate=1e-3,
        schedule="cosine",
        cosine_step="epoch",
        epochs=200,
        patience=20,
        mask_loss="dice",
        batch_dice=True,
    ),
)
recipes.add(
    "studyB-seg",
    recipes.get("studyA-seg").changed(
        optimiser="adamw",
        learning_rate=2e-4,
        weight_decay=0.01,
        cosine_step="iteration",
        warmup_epochs=20,
        epochs=500,
        patience=50,
        precision="bf16-mixed",
    ),
)
