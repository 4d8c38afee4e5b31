"""What one import brings: records of others, where each was read, what was left out, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from medtransfer.core.errors import DataError
from medtransfer.core.problems import Problem, describe_problems
from medtransfer.reports.published.records import (
    MeasuredCurve,
    MeasuredRun,
    PretrainingLog,
    PublishedResult,
)

_MOST_SHOWN: Final = 20


@dataclass(frozen=True)
class Ignored:
    """One thing that was found and deliberately not imported."""

    where: str
    """File or folder, relative to what was imported."""
    reason: str
    """Why, as one clause."""


@dataclass(frozen=True)
class ImportBatch:
    """Everything read from one path, whole and checked, not stored yet."""

    results: tuple[PublishedResult, ...] = ()
    """Numbers of tables."""
    runs: tuple[MeasuredRun, ...] = ()
    """Test metrics of single runs."""
    curves: tuple[MeasuredCurve, ...] = ()
    """Metrics over epochs."""
    pretrainings: tuple[PretrainingLog, ...] = ()
    """Losses of pretraining."""
    ignored: tuple[Ignored, ...] = ()
    """What was left out on purpose."""
    origins: dict[object, str] = field(default_factory=dict)
    """File and line by natural key; see :mod:`.stored`."""
    notes: dict[object, str] = field(default_factory=dict)
    """Notes of results as they stand in the file, by natural key; a result's own note says more."""

    @property
    def read(self) -> dict[str, int]:
        """How many records of each kind were read."""
        return {
            "results": len(self.results),
            "runs": len({(r.experiment, r.initialization, r.task, r.run) for r in self.runs}),
            "run_metrics": len(self.runs),
            "curves": len(self.curves),
            "pretrainings": len(self.pretrainings),
        }

    @property
    def flagged(self) -> dict[str, int]:
        """How many results and run metrics carry each flag."""
        found = [record.flags for record in self.results] + [record.flags for record in self.runs]
        flags = Counter(flag for flags in found for flag in flags)
        return {str(flag): flags[flag] for flag in sorted(flags)}


class ImportFaultsError(DataError):
    """Files that cannot be imported as they are; every fault is named.

    Args:
        name: What was to be imported.
        problems: At least one.
    """

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        more = len(problems) - _MOST_SHOWN
        super().__init__(
            f"import of {name}: expected files without faults, got {len(problems)}; nothing was imported.\n"
            + describe_problems(problems[:_MOST_SHOWN])
            + (f"\n  - and {more} more" if more > 0 else "")
        )


def raise_faults(name: str, problems: Sequence[Problem]) -> None:
    """Raise what is wrong, if anything is.

    Raises:
        ImportFaultsError: If there is at least one problem.
    """
    if problems:
        raise ImportFaultsError(name, problems)
