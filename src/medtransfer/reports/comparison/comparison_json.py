"""A comparison of two source models as one JSON object, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from medtransfer.reports.comparison.records import ComparedRow, ModelComparison

FORMAT = 1
"""Raised when a field changes its meaning or goes away."""


def comparison_object(comparison: ModelComparison) -> dict[str, Any]:
    """Return every field of a comparison as a JSON object; no number is NaN or infinite."""
    return {
        "format": FORMAT,
        **asdict(comparison),
        "a": asdict(comparison.a) | {"name": comparison.a.name},
        "b": asdict(comparison.b) | {"name": comparison.b.name},
        "rows": [_row(row) for row in comparison.rows],
    }


def _row(row: ComparedRow) -> dict[str, Any]:
    found = asdict(row)
    found["tests"] = {test.source: tested for test, tested in zip(row.tests, found["tests"], strict=True)}
    found["settling"]["more_patients"] = row.settling.more_patients
    if row.exact is not None:
        found["exact"]["reachable"] = row.exact.reachable
    return found
