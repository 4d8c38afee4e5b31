"""Published results as records; a measured run and a derived population are different types on purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Flag = Literal["digitised", "difference", "doubtful", "rerun"]
"""``digitised``: read off a figure; ``difference``: points between two models, not a level; ``doubtful``: see
the note, sources conflict or a cell is known to be wrong; ``rerun``: by somebody else than the authors."""
Unit = Literal["percent", "points", "fraction"]


@dataclass(frozen=True)
class PrintedTest:
    """What a publication prints about a comparison of one result with another; a quotation."""

    against: str
    """What was compared with, as the source names it."""
    p: str
    """As printed: ``0.19``, ``< 0.05`` or ``n.s.``."""
    above: bool | None = None
    """Whether the result lies above the other one; null where the label does not say."""

    @property
    def p_value(self) -> float | None:
        """The printed number; null where only a bound or ``n.s.`` is printed."""
        return None if self.p == "n.s." or self.p.startswith("<") else float(self.p)


@dataclass(frozen=True)
class PublishedResult:
    """One number of a publication, as printed or as read off a figure; a summary, not runs."""

    source: str
    """Who published it: first author, year and identifier."""
    table: str
    """Which table or figure of the source."""
    task: str
    """Task as the source names it, such as ``DXC14`` or ``ChestX-ray14@25%``."""
    metric: str
    """Metric as the source names it, such as ``AUC%``."""
    initialization: str
    """What training started from, as the source names it."""
    architecture: str
    """Network as the source names it."""
    mean: float
    """In ``unit``."""
    std: float | None
    """In ``unit``; null where the source shows none."""
    n: int | None
    """Runs per cell; null where the source does not say, and then nothing can be tested."""
    unit: Unit
    """``percent`` of the metric's range, or ``points`` between two models."""
    flags: frozenset[Flag] = frozenset()
    """What a reader must know of the number; without flags it was printed."""
    note: str = ""
    """Reading accuracy, printed significance, conflicts."""
    target_task: str | None = None
    """Our task on the same images with the same labels; null where there is none."""
    label_fraction: float = 1.0
    """Share of the training labels."""
    metric_name: str | None = None
    """Our metric that means the same; null where there is none."""
    source_model: str | None = None
    """Our source model with the same weights and network; null where there is none."""
    reading_error: float | None = None
    """Largest error of a digitised mean, in ``unit``; null for printed numbers."""
    printed_tests: tuple[PrintedTest, ...] = ()
    """Significance as printed; without sidedness and number of runs it is a quotation, no result."""
    mark: Literal["", "bold", "shaded"] = ""
    """Emphasis in print: ``bold`` for the best of a row, ``shaded`` for not separable from it."""
    labelled_images: str = ""
    """Training images with labels as printed, such as ``86K``."""
    conflicts: tuple[str, ...] = ()
    """Keys of the known conflicts this number is part of."""

    @property
    def exact(self) -> bool:
        """Whether the number was printed rather than read off a figure."""
        return "digitised" not in self.flags


@dataclass(frozen=True)
class MeasuredRun:
    """One metric of one training run that somebody else did and published the log of."""

    source: str
    """Whose log."""
    experiment: str
    """Group of runs, such as ``E1``."""
    initialization: str
    """What training started from, in the source's code."""
    task: str
    """Task in the source's code."""
    run: int
    """Number of the run, from 0; in these logs a seed, not a fold."""
    metric: str
    """Column of the log after aliasing."""
    value: float
    """As logged; a fraction of 1 except for losses."""
    flags: frozenset[Flag] = frozenset()
    """What a reader must know of the number."""
    note: str = ""
    """Why it is flagged."""
    logged_as: str = ""
    """Column as it stands in the log, where that differs; it tells code versions apart."""


@dataclass(frozen=True)
class MeasuredCurve:
    """One metric of one run of somebody else over its epochs."""

    source: str
    """Whose log."""
    experiment: str
    """Group of runs, such as ``E1``."""
    initialization: str
    """What training started from, in the source's code."""
    task: str
    """Task in the source's code."""
    run: int
    """Number of the run, from 0."""
    metric: str
    """Column of the log after aliasing."""
    epochs: tuple[int, ...]
    """Numbers of the epochs as logged, strictly rising; from 0 in validation logs, from 1 in training logs."""
    values: tuple[float | None, ...]
    """One per epoch; null where the log says ``nan``."""
    logged_as: str = ""
    """Column as it stands in the log, where that differs."""


@dataclass(frozen=True)
class PretrainingLog:
    """The loss of somebody else's pretraining, as logged; restarts are kept, not smoothed away."""

    source: str
    """Whose log."""
    name: str
    """Name of the pretraining run."""
    epochs: tuple[int, ...]
    """Epoch of each entry; goes back where training was restarted."""
    steps: tuple[int, ...]
    """Step of each entry within its epoch."""
    losses: tuple[float | None, ...]
    """Training loss; null where the log says ``nan``."""
    restarts: tuple[int, ...]
    """Positions at which the epoch goes back, from 0."""
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Further columns as logged, such as ``datetime``."""


@dataclass(frozen=True)
class DerivedPopulation:
    """Values that were computed from other results and never measured; no test accepts them.

    A comparison with one of these is a statement about a formula. It is shown under its own name,
    beside the measured runs, and what a publication computed from it is repeated as a quotation.
    """

    name: str
    """What it stands for, such as ``RadNet, upper bound of the effective size``."""
    values: tuple[float, ...]
    """Synthetic values, in the order of the runs they were shaped after."""
    formula: str
    """How they were computed, in one sentence."""
    parents: tuple[str, ...] = field(default=())
    """Measured cells that went in."""
