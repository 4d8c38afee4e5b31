"""What a comparison of two source models holds: compared rows, missing rows, and what must be said about both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medtransfer.stats.comparison_record import Better
from medtransfer.stats.settling import Settling
from medtransfer.stats.verdict import Source, SourceTests, Verdict


@dataclass(frozen=True)
class Contender:
    """One of the two source models."""

    label: str
    """Name for people, with its weights where one name has several."""
    weights_hash: str
    """Digest of its weights, or ``random``."""
    study: str
    """Study its trials are from, or what stands for all of them."""
    place: str = ""
    """Store its trials are from, as the user named it; empty when both are from one."""

    @property
    def name(self) -> str:
        """Name in sentences."""
        return f"{self.label} ({self.place})" if self.place else self.label


@dataclass(frozen=True)
class RowPlace:
    """What a row is about."""

    task: str
    """Label of the task."""
    protocol: str
    """Label of the protocol: its name, with the settings that tell it from others."""
    settings_hash: str
    """Digest of its settings; those of A where the two differ."""
    label_fraction: float
    """Share of the training labels."""


@dataclass(frozen=True)
class RunScores:
    """The runs of one model in one row."""

    runs: tuple[tuple[int, float], ...]
    """Repetition and value of every run that has one; a deterministic result is one run."""
    mean: float
    """Mean over these runs."""
    std: float | None
    """Sample standard deviation (ddof 1); null for one run."""
    failed: int
    """Trials that failed."""
    waiting: int
    """Trials that are not finished."""
    undefined: int
    """Finished runs in which the metric is undefined."""


@dataclass(frozen=True)
class ExactFloor:
    """The smallest p-value that a test without any distribution could give with so few runs."""

    test: str
    """Name of the exact test."""
    p: float
    """Its p-value here."""
    floor: float
    """Its smallest possible p-value."""
    adjusted_floor: float
    """The same after correction over the family."""
    alpha: float
    """Error rate."""

    @property
    def reachable(self) -> bool:
        """Whether any data of this size could be significant by it."""
        return self.adjusted_floor < self.alpha


@dataclass(frozen=True)
class ComparedRow:
    """Both models on one task under one protocol at one label fraction."""

    number: int
    """Number in tables and notes, from 1."""
    place: RowPlace
    """What it is about."""
    metric: str
    """Registry name of the metric."""
    metric_title: str
    """Name of the metric for people."""
    better: Better
    """Direction of the metric."""
    margin: float
    """Difference that counts as equivalent, in metric units."""
    a: RunScores
    """Runs of A."""
    b: RunScores
    """Runs of B."""
    patients: int
    """Test patients."""
    patients_known: bool
    """Whether cases are known to be of the same patient."""
    draws: int
    """Draws of patients."""
    tests: tuple[SourceTests, ...]
    """One entry per source of variation that applies; deterministic results have patients only."""
    identical: bool
    """Whether every repetition has the same value in both, up to rounding: nothing changed."""
    outperforms: float | None
    """Chance that a run of A is better than a run of B, ties counting half; null where runs cannot tell."""
    exact: ExactFloor | None
    """Exact test over runs; null where it does not apply or runs are many."""
    verdict: Verdict
    """What may be said."""
    settling: Settling
    """What it takes to find a difference as large as the margin."""
    sentence: str
    """Verdict in words, with the names of the models; where it is open, with what would settle it."""
    short_sentence: str
    """The same with A and B for the names."""
    remarks: tuple[str, ...] = ()
    """What a reader must know of this row."""


@dataclass(frozen=True)
class MissingRow:
    """What cannot be compared."""

    place: RowPlace
    """What it is about."""
    reason_a: str | None
    """Why A has no number; null when it has one."""
    reason_b: str | None
    """Why B has no number; null when it has one."""


@dataclass(frozen=True)
class ModelComparison:
    """Two source models compared."""

    a: Contender
    """First model."""
    b: Contender
    """Second model; differences are A - B."""
    rows: tuple[ComparedRow, ...]
    """What was compared."""
    missing: tuple[MissingRow, ...]
    """What could not be."""
    warnings: tuple[str, ...]
    """What differs between the two besides the model, and may explain a difference."""
    notes: tuple[str, ...]
    """What must be read with every row."""
    alpha: float
    """Error rate of the family."""
    power: float
    """Chance of finding a difference that is called detectable."""
    families: Mapping[Source, int]
    """Number of tests corrected for, by source of variation that applies to some row."""
    correction: str
    """Method of correction."""
