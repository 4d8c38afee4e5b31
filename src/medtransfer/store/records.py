"""What a store holds: trial descriptions, and records of what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a trial is in its life."""

    PENDING = "pending"
    """Declared by a study, not claimed."""
    RUNNING = "running"
    """Claimed under a lease."""
    DONE = "done"
    """Finished; never run again."""
    FAILED = "failed"
    """Ended with a reason; run again only on request or by policy."""


@dataclass(frozen=True, slots=True)
class TrialDescription:
    """All that determines a trial's result, resolved, plus names for people."""

    fingerprint: str
    """Hash of everything that determines the result; the key of the store."""
    task: str
    """Name of the target task."""
    model: str
    """Name of the source model."""
    protocol: str
    """Registry name of the protocol."""
    settings: Mapping[str, Any]
    """Resolved parameters of the protocol."""
    label_fraction: float
    """Share of the training split."""
    repetition: int
    """Number of the repetition, from 0."""
    varied: Sequence[str]
    """Sources of variation between repetitions: ``label subset``, ``training``; empty when none."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For reports: task kind, classes, metrics and primary metric, split source, split counts, patients,
    overlap and its reason, accepted problems, data and weights hashes, caution, phantom flag, ..."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished trial stores."""

    metrics: Mapping[str, Mapping[str, Any]]
    """``"test"``, ``"val"`` and, with two checkpoints, ``"test/last"``, ``"val/last"``: metric name to
    ``{"value": float | None, "note": str | None, "per_class": {class: float | None}}``."""
    train_cases: int
    """Training cases used."""
    choices: Mapping[str, Any] = field(default_factory=dict)
    """What validation chose."""
    curve: Sequence[Mapping[str, float | None]] = ()
    """One mapping per epoch: epoch, train_loss, val_loss, val_metric, learning_rate."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts of the run."""
    duration_s: float = 0.0
    """Wall-clock seconds by a monotonic clock."""
    cpu_s: float = 0.0
    """CPU seconds."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Versions, hardware, code revision, command."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the store, as read back."""

    description: TrialDescription
    """What the trial is."""
    state: State
    """Where it is."""
    outcome: Outcome | None = None
    """Set when done."""
    reason: str | None = None
    """Reason code when failed."""
    message: str | None = None
    """Message when failed."""
    traceback: str | None = None
    """Traceback when failed."""
    attempts: int = 0
    """How often it was claimed."""
    owner: str | None = None
    """Who holds or held the lease."""
    predictions_file: str | None = None
    """Name of the Parquet file, relative to the store's artifact folder."""
    predictions_sha256: str | None = None
    """Digest of that file."""
    finished_at: str | None = None
    """Time of the final state by the database's clock, ISO 8601 UTC."""


@dataclass(frozen=True)
class Counts:
    """Numbers of trials by state."""

    done: int
    """Finished."""
    running: int
    """Under a lease that has not expired."""
    pending: int
    """Waiting, including those whose lease expired."""
    failed: int
    """Ended with a reason."""

    @property
    def total(self) -> int:
        """All trials."""
        return self.done + self.running + self.pending + self.failed
