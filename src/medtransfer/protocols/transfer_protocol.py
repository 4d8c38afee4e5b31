"""What a protocol gets and gives: a bench shared by trials, a request per trial, a transfer back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.metrics.predictions import Predictions
from medtransfer.models.source_model import SourceModel

if TYPE_CHECKING:
    from medtransfer.data.case_digests import CaseDigests
    from medtransfer.data.decoded_cache import DecodedCache


@dataclass(frozen=True)
class Bench:
    """Everything the trials of one (task, source model) share."""

    task: str
    """Name of the target task; part of every seed."""
    cases: CaseTable
    """All cases with their splits."""
    model: SourceModel
    """Where to start from."""
    weights_folder: Path | None
    """Where weights files lie."""
    cache_folder: Path
    """Root of decoded images and features."""
    selection_metric: str
    """Name of the metric that selects on validation."""
    device: str = "cpu"
    """Device for the network."""
    progress: Progress = no_progress
    """Told about long steps."""
    digests: CaseDigests | None = None
    """What the files of the cases hold, where that was just looked up."""

    def open_decoded_cache(self, side: int) -> DecodedCache:
        """Return the decoded pixels of all cases; see :func:`~medtransfer.data.decoded_cache.open_decoded_cache`."""
        from medtransfer.data.decoded_cache import open_decoded_cache

        return open_decoded_cache(
            self.cases, side, self.cache_folder, digests=self.digests, progress=self.progress
        )


@dataclass(frozen=True)
class TransferRequest:
    """What differs between the trials of one bench."""

    label_fraction: float
    """Share of the training split that was used, in (0, 1]."""
    repetition: int
    """Number of the repetition, from 0."""
    train: npt.NDArray[np.int64]
    """Row numbers of the training cases, after the fraction."""
    seed: int
    """Seed of everything random in this trial except the choice of the training cases."""


@dataclass(frozen=True)
class Transfer:
    """What came out of one trial."""

    predictions: Mapping[str, Mapping[str, Predictions]]
    """Checkpoint (``best``, ``last``; only ``best`` when there is one) to split (``val``, ``test``)."""
    train_cases: int
    """Number of training cases that were really used."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """What was chosen on validation: strength, k, epoch; JSON values."""
    curve: Sequence[Mapping[str, float | None]] = ()
    """One mapping per epoch: epoch, train_loss, val_loss, val_metric, learning_rate."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Facts for the record: parameter counts, image size, optimiser steps; JSON values."""


class TransferProtocol(Protocol):
    """A way to transfer, with frozen parameters; implementations are frozen pydantic models."""

    name: ClassVar[str]
    """Registry name."""
    revision: ClassVar[int]
    """Raised whenever the same settings would give other numbers; part of the fingerprint."""

    def supports(self, kind: TaskKind) -> bool:
        """Return whether these settings can be used for a kind of task."""

    def settings(self, kind: TaskKind) -> dict[str, Any]:
        """Return the resolved parameters for a kind of task, as JSON values, for the fingerprint."""

    def varied(self, kind: TaskKind, label_fraction: float) -> tuple[str, ...]:
        """Return the sources of variation between repetitions; empty when no seed can change a number."""

    def shares_work(self, kind: TaskKind) -> bool:
        """Return whether the trials of one bench should be one job."""

    def decoded_side(self, kind: TaskKind, own_size: int) -> int:
        """Return the side in pixels at which decoded images are kept.

        Args:
            kind: Kind of the task.
            own_size: Side of the images the source model expects.
        """

    def fit(self, bench: Bench, requests: Sequence[TransferRequest]) -> Iterator[Transfer]:
        """Yield the transfer of each request, in order; numbers never depend on the other requests.

        Raises:
            TrialError: If a trial ends without a valid result.
        """
