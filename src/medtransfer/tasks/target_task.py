"""The record of a target task; reading it opens no image and imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable

Purpose = Literal["target", "control", "pretraining"]


@dataclass(frozen=True)
class TaskPage:
    """What a person must know before using a data set; the page of the task is made from it."""

    about: str
    """What the data set is and what is predicted, in a few sentences."""
    access: str
    """Where to register, what to accept, and what it costs."""
    layout: str
    """Files and folders below the task's folder, as a tree in plain text."""
    split: str
    """Which cases are training, validation and test, and who decided."""
    traps: tuple[str, ...] = ()
    """What goes wrong with this data set elsewhere, and what is done about it here."""


@dataclass(frozen=True)
class TargetTask:
    """A data set with a label definition, a split rule and metrics."""

    name: str
    """Registry name in kebab-case."""
    revision: int
    """Raised when the same files would give other cases, labels or splits."""
    title: str
    """One line for people."""
    kind: TaskKind
    """What is predicted."""
    classes: tuple[str, ...]
    """Class names in label order."""
    metrics: tuple[str, ...]
    """Names of the metrics to compute; the first is primary: it selects and is shown first."""
    open: Callable[[Path], CaseTable]
    """From the data set's folder (or file) to its case table; reads no pixels where it can."""
    folders: tuple[str, ...]
    """Where the data set lies below the data folder, tried in order; each a relative path or file."""
    licence: str
    """Licence or terms of the data."""
    citation: str
    """Who to cite."""
    url: str = ""
    """Where to get it."""
    expected: ExpectedCounts | None = None
    """Official counts, checked on load."""
    image_sets: tuple[str, ...] = ()
    """Identifiers of the image collections it draws from; they decide overlap with pretraining."""
    caution: str = ""
    """What every report must say about results on it."""
    phantom: bool = False
    """Whether its images are generated."""
    page: TaskPage | None = None
    """What a person must know; None for own data."""
    family: str = ""
    """Data set the task belongs to; tasks of one family share a page. Empty: the task's name."""
    purpose: Purpose = "target"
    """Whether it is a medical target, a natural control, or mostly a source of pretraining."""
    write_sample: Callable[[Path], None] | None = None
    """Writes a small synthetic copy of the data set in its official layout into a folder (or file)."""
    equivalence_margin: float | None = None
    """Difference of the primary metric that is called equivalent, in metric units, set before results."""

    @property
    def primary_metric(self) -> str:
        """The metric that selects on validation and is shown first."""
        return self.metrics[0]
