"""k-nearest-neighbour evaluation: no head at all, the labels of the most similar training cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.decoded_cache import cache_side
from medtransfer.features.extraction import Engine, Extraction, FeaturePrecision, changed_extraction
from medtransfer.protocols.input_normalisation import NORMALIZATION_HELP, Normalization, fit_normalised
from medtransfer.protocols.nearest_neighbours import TEMPERATURE, Vote
from medtransfer.protocols.transfer_protocol import Bench, Transfer, TransferRequest


class Knn(BaseModel):
    """Settings of the protocol ``knn``.

    Similarity is the cosine of the raw embeddings: they are divided by their length, not centred and not
    scaled, so nothing is estimated from the training cases. The score of a class is its share among the
    k nearest training cases, plain or weighted by ``exp(cosine / 0.07)``; for multi-label tasks that is
    the neighbours' mean label. Number and vote are chosen by the task's primary metric on validation; of
    equally good ones the larger k wins, then the plain vote. Equally similar cases rank by row number.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: ClassVar[str] = "knn"
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
        description="what computes embeddings: torch, or openvino, which is faster on many CPUs.",
    )
    feature_precision: FeaturePrecision = Field(
        default="fp32", description="format embeddings are kept in; fp16 takes half the room."
    )
    ks: tuple[int, ...] = Field(
        default=(1, 5, 10, 20, 50, 100, 200),
        min_length=1,
        description="Numbers of neighbours that validation chooses from; those above the training cases go.",
    )
    votes: tuple[Vote, ...] = Field(
        default=("plain", "temperature"), min_length=1, description="Votes that validation chooses from."
    )

    @field_validator("ks", "votes", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("ks")
    @classmethod
    def _positive_and_ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < 1 or len(set(value)) < len(value):
            raise ValueError("expected numbers of at least 1, each once")
        return tuple(sorted(value))

    @field_validator("votes")
    @classmethod
    def _sorted_once(cls, value: tuple[Vote, ...]) -> tuple[Vote, ...]:
        if len(set(value)) < len(value):
            raise ValueError("expected each vote once")
        return tuple(sorted(value))

    @staticmethod
    def supports(kind: TaskKind) -> bool:
        """Return whether a kind of task has neighbours with labels; masks are none."""
        return kind.is_classification

    def settings(self, kind: TaskKind) -> dict[str, Any]:  # noqa: ARG002 (the interface)
        """Return the resolved settings as JSON values."""
        return {
            "image_size": self.image_size,
            "ks": list(self.ks),
            "votes": list(self.votes),
            "temperature": TEMPERATURE,
            **changed_extraction(self.extraction()),
            **({} if self.normalization == "model" else {"normalization": self.normalization}),
        }

    def extraction(self) -> Extraction:
        """Return how embeddings are computed and kept."""
        return Extraction(self.engine, self.feature_precision)

    def varied(self, kind: TaskKind, label_fraction: float) -> tuple[str, ...]:  # noqa: ARG002 (the interface)
        """Return what differs between repetitions: the subset alone."""
        return () if label_fraction == 1 else ("label subset",)

    def shares_work(self, kind: TaskKind) -> bool:  # noqa: ARG002 (the interface)
        """Return True: all trials of a bench read the same features and similarities."""
        return True

    def decoded_side(self, kind: TaskKind, own_size: int) -> int:
        """Return the side at which images are kept, for a source model of its own image size."""
        return cache_side(kind, self.image_size or own_size)

    def fit(self, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
        """Yield the transfer of each request, in order.

        Raises:
            TrialError: If features are not finite, validation cannot choose, or a subset has fewer cases
                than every k.
            UsageError: If the task is a segmentation, or the model cannot take images of that size.
        """
        from medtransfer.protocols.fit_knn import fit_knn

        return fit_normalised(self, bench, lambda changed: fit_knn(self, changed, requests))
