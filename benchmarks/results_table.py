"""Measurements as lines of a table and as a JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.profiles import Profile
from benchmarks.side_by_side import Finding, Measurement, Unmeasured
from medtransfer.core.atomic import write_atomically

HEADINGS = ("bar", "contest", "ratio", "min – max", "goal", "result")


def table_lines(found: Sequence[Finding]) -> list[str]:
    """Return a Markdown table, padded so that it reads well in a terminal too."""
    rows = [HEADINGS, *(_cells(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["| " + " | ".join(_padded(row, widths)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def as_document(
    machine: Mapping[str, Any], found: Sequence[Finding], profiles: Sequence[Profile] = ()
) -> dict[str, Any]:
    """Return machine, measurements, what could not be measured, and profiles, as JSON values."""
    return {
        "machine": dict(machine),
        "measurements": [one.as_json() for one in found if isinstance(one, Measurement)],
        "not_measured": [one.as_json() for one in found if isinstance(one, Unmeasured)],
        "profiles": [one.as_json() for one in profiles],
    }


def write_json(path: Path | None, document: Mapping[str, Any]) -> None:
    """Write a document to a file, or to standard output without one."""
    text = json.dumps(document, indent=1)
    if path is None:
        print(text)
    else:
        write_atomically(path, text + "\n")


def _cells(found: Finding) -> tuple[str, ...]:
    if isinstance(found, Unmeasured):
        return (found.bar, found.contest, "", "", found.goal, found.outcome)
    ratio = found.ratio
    return (
        found.bar,
        found.contest,
        _number(ratio.median),
        f"{_number(ratio.low)} – {_number(ratio.high)}",
        found.goal or "",
        found.outcome,
    )


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
