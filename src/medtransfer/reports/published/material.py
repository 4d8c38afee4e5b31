"""What the re-readings are made from: shipped numbers, and those that were imported into a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medtransfer.reports.published.names import STUDY_C
from medtransfer.reports.published.records import MeasuredCurve, MeasuredRun, PublishedResult
from medtransfer.reports.published.shipped import measured_runs, published_results
from medtransfer.reports.published.stored import stored_curves, stored_runs

if TYPE_CHECKING:
    from medtransfer.store.store import Store


@dataclass(frozen=True)
class Material:
    """Numbers of other people's publications."""

    results: tuple[PublishedResult, ...]
    """Printed and digitised results."""
    runs: tuple[MeasuredRun, ...]
    """Test metrics of study C's runs."""
    curves: tuple[MeasuredCurve, ...] = ()
    """Values per epoch; they come from imported logs only."""
    runs_from: str = "the logs in the study's repository, as shipped with this package"
    """Where the runs come from, for notes."""

    def of_table(self, source: str, *tables: str) -> tuple[PublishedResult, ...]:
        """Return the results of some tables or figures of a source, in their order."""
        return tuple(r for r in self.results if r.source == source and r.table in tables)


def shipped_material() -> Material:
    """Return what comes with the package."""
    return Material(published_results(), measured_runs())


def material_of(store: Store) -> Material:
    """Return what comes with the package, with study C's runs and curves of a store in place of the shipped runs.

    The shipped runs stay where the store has none. Runs of both are never mixed, for they are the same runs.

    Args:
        store: Where logs may have been imported.
    """
    runs = tuple(run for run in stored_runs(store) if run.source == STUDY_C)
    curves = tuple(curve for curve in stored_curves(store) if curve.source == STUDY_C)
    if not runs:
        return Material(published_results(), measured_runs(), curves)
    return Material(published_results(), runs, curves, "the logs that were imported into the store")
