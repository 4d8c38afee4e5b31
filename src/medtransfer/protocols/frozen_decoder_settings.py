"""Settings of a decoder trained on a frozen encoder: what ``linear`` means for segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medtransfer.models.decoders import Decoder, check_widths
from medtransfer.training.recipe import MaskLoss, Precision, TrainingRecipe

REVISION = 1
"""Raised whenever the same settings would give other numbers."""

DEFAULT_CHANNELS: Mapping[Decoder, tuple[int, ...]] = {"unet": (32, 24, 16, 16, 8), "upernet": (32,)}
"""Widths of a U-Net's blocks, coarsest first, cut to the encoder's number of stages; that of a UPerNet.

Narrow, so that what differs between source models is what their features hold, and so that 60 images of
128 pixels train in half a minute on one core.
"""


class FrozenDecoderSettings(BaseModel):
    """How the decoder is trained; there is no augmentation, because features are computed once."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    image_size: int | None = Field(
        default=None,
        ge=16,
        le=2048,
        description="Side of the images in pixels; the source model's own if unset.",
    )
    epochs: int = Field(default=40, ge=1, description="Most passes over the training cases.")
    batch_size: int = Field(default=8, ge=1, description="Cases per optimiser step, at most.")
    learning_rate: float = Field(default=2e-3, gt=0, description="Highest learning rate of the decoder.")
    weight_decay: float = Field(default=0.01, ge=0, description="Decay of the decoder's kernels.")
    patience: int = Field(
        default=15, ge=1, description="Stop when more than this many epochs brought nothing better."
    )
    select_on: Literal["loss", "metric"] = Field(
        default="loss", description="What is compared on validation: the loss, or the task's primary metric."
    )
    mask_loss: MaskLoss = Field(default="bce+dice", description="bce+dice, bce or dice.")
    precision: Precision = Field(
        default="fp32", description="Number format of training steps; scores are always computed in fp32."
    )
    decoder: Decoder = Field(default="unet", description="unet or upernet over the encoder's feature maps.")
    decoder_channels: tuple[int, ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="Channels of a U-Net's blocks, coarsest first, one per encoder stage; the one width of a "
        "UPerNet.",
    )

    @model_validator(mode="after")
    def _has_widths_the_decoder_takes(self) -> FrozenDecoderSettings:
        check_widths(self.decoder, self.decoder_channels)
        return self

    def recipe(self) -> TrainingRecipe:
        """Return how the decoder is trained: AdamW, one epoch of warm-up, cosine."""
        chosen = self.model_dump(exclude={"image_size", "decoder", "decoder_channels"})
        return TrainingRecipe(**chosen, optimiser="adamw", schedule="cosine", warmup_epochs=1)

    def resolved(self) -> dict[str, Any]:
        """Return everything a result depends on, as JSON values."""
        channels = self.decoder_channels or DEFAULT_CHANNELS[self.decoder]
        return {
            "decoder_revision": REVISION,
            **({} if self.decoder == "unet" else {"decoder": self.decoder}),
            "image_size": self.image_size,
            "decoder_channels": list(channels),
            **self.recipe().as_settings(),
        }

    def channels_for(self, levels: int) -> tuple[int, ...]:
        """Return the decoder's widths for an encoder with a number of feature maps."""
        if self.decoder_channels is not None:
            return self.decoder_channels
        return DEFAULT_CHANNELS[self.decoder][:levels]

    def varied(self, label_fraction: float) -> tuple[str, ...]:
        """Return what differs between repetitions: the decoder's training, and the subset if there is one."""
        return ("training",) if label_fraction == 1 else ("label subset", "training")
