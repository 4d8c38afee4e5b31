"""Linear evaluation: a frozen encoder, and on its features the simplest head that can be solved exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.decoded_cache import cache_side
from medtransfer.features.extraction import Engine, Extraction, FeaturePrecision, changed_extraction
from medtransfer.models.decoders import Decoder, check_widths
from medtransfer.protocols.frozen_decoder_settings import FrozenDecoderSettings
from medtransfer.protocols.input_normalisation import NORMALIZATION_HELP, Normalization, fit_normalised
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest
from medtransfer.training.recipe import MaskLoss, Precision

STRENGTHS = tuple(10.0**power for power in range(-5, 5))
"""From heads that only compare class means (1e-5) to nearly unregularised ones (1e4)."""

_DECODER_FIELDS = (
    "image_size",
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "patience",
    "select_on",
    "mask_loss",
    "precision",
    "decoder",
    "decoder_channels",
)


class Linear(BaseModel):
    """Settings of the protocol ``linear``.

    Classification: embeddings of the encoder in evaluation mode, standardised by mean and standard
    deviation of the training subset; logistic regression with scikit-learn's objective
    ``C * sum(log loss) + |w|^2 / 2`` and a free intercept, solved to its minimum for every strength C.
    The strength is chosen by the task's primary metric on validation; of equally good ones the strongest
    regularisation wins. The chosen head is not fitted again on training and validation together: that
    would use labels outside the label fraction. Nothing in it is random.

    Segmentation: a decoder is trained on the frozen encoder's feature maps; the fields below ``strengths``
    belong to it and mean nothing for classification.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    name: ClassVar[str] = "linear"
    revision: ClassVar[int] = 1

    image_size: int | None = Field(
        default=None,
        ge=16,
        le=2048,
        description="Side of the images in pixels; the source model's own if unset.",
    )
    normalization: Normalization = Field(default="model", description=NORMALIZATION_HELP)
    engine: Engine = Field(
        default="torch",
        description="Classification: what computes embeddings: torch, or openvino, which is faster on many CPUs.",
    )
    feature_precision: FeaturePrecision = Field(
        default="fp32", description="Classification: format embeddings are kept in; fp16 takes half the room."
    )
    strengths: tuple[float, ...] = Field(
        default=STRENGTHS,
        min_length=1,
        description="Classification: inverse regularisation strengths C that validation chooses from.",
    )
    class_weights: Literal["balanced"] | None = Field(
        default=None,
        description="Classification: balanced weights every class by the inverse of its share of the training cases.",
    )
    epochs: int | None = Field(default=None, ge=1, description="Segmentation: most passes over the cases.")
    batch_size: int | None = Field(
        default=None, ge=1, description="Segmentation: cases per optimiser step, at most."
    )
    learning_rate: float | None = Field(
        default=None, gt=0, description="Segmentation: highest learning rate of the decoder."
    )
    weight_decay: float | None = Field(
        default=None, ge=0, description="Segmentation: decay of the decoder's kernels."
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="Segmentation: stop when more epochs than this brought nothing better.",
    )
    select_on: Literal["loss", "metric"] | None = Field(
        default=None, description="Segmentation: what is compared on validation."
    )
    mask_loss: MaskLoss | None = Field(default=None, description="Segmentation: bce+dice, bce or dice.")
    precision: Precision | None = Field(
        default=None,
        description="Segmentation: number format of training steps; scores are always computed in fp32.",
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

    @field_validator("strengths", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("strengths")
    @classmethod
    def _positive_and_ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if min(value) <= 0 or len(set(value)) < len(value):
            raise ValueError("expected positive numbers, each once")
        return tuple(sorted(value))

    @model_validator(mode="after")
    def _has_widths_the_decoder_takes(self) -> Linear:
        check_widths(self.decoder, self.decoder_channels)
        return self

    @staticmethod
    def supports(kind: TaskKind) -> bool:  # noqa: ARG004 (the interface)
        """Return True: every kind of task has a linear evaluation."""
        return True

    def decoder_settings(self) -> FrozenDecoderSettings:
        """Return the settings of the segmentation decoder; fields that are not set are its own."""
        chosen = {name: getattr(self, name) for name in _DECODER_FIELDS}
        return FrozenDecoderSettings(**{name: value for name, value in chosen.items() if value is not None})

    def settings(self, kind: TaskKind) -> dict[str, Any]:
        """Return the resolved settings as JSON values; those that a kind does not use are left out."""
        later: dict[str, Any] = {} if self.normalization == "model" else {"normalization": self.normalization}
        if not kind.is_classification:
            return self.decoder_settings().resolved() | later
        if self.class_weights is not None:
            later["class_weights"] = self.class_weights
        found = {"image_size": self.image_size, "strengths": list(self.strengths)}
        return found | changed_extraction(self.extraction()) | later

    def extraction(self) -> Extraction:
        """Return how embeddings are computed and kept."""
        return Extraction(self.engine, self.feature_precision)

    def varied(self, kind: TaskKind, label_fraction: float) -> tuple[str, ...]:
        """Return what differs between repetitions: for classification the subset alone."""
        if not kind.is_classification:
            return self.decoder_settings().varied(label_fraction)
        return () if label_fraction == 1 else ("label subset",)

    def shares_work(self, kind: TaskKind) -> bool:  # noqa: ARG002 (the interface)
        """Return True: all trials of a bench read the same features."""
        return True

    def decoded_side(self, kind: TaskKind, own_size: int) -> int:
        """Return the side at which images are kept, for a source model of its own image size."""
        return cache_side(kind, self.image_size or own_size)

    def fit(self, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
        """Yield the transfer of each request, in order.

        Raises:
            TrialError: If features are not finite, or validation cannot choose.
            UsageError: If the source model cannot take images of that size, or has no feature maps.
        """
        return fit_normalised(self, bench, lambda changed: self._fit(changed, requests))

    def _fit(self, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
        if not bench.cases.kind.is_classification:
            from medtransfer.protocols.frozen_decoder import fit_frozen_decoder

            return fit_frozen_decoder(self.decoder_settings(), bench, requests)
        from medtransfer.protocols.fit_linear import fit_linear

        return fit_linear(self, bench, requests)
