"""Measurements as lines of a table and as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.side_by_side import Measurement
from medtransfer.core.atomic import write_atomically

HEADINGS = ("bar", "contest", "ratio", "min – max", "goal", "result")


def outcome(found: Measurement) -> str:
    """Return what came out in a few words; an invalid measurement meets nothing."""
    if not found.equal:
        return "not met: results differ"
    if not found.valid:
        return "invalid" if found.repeats > 1 else "runs"
    if found.goal is None:
        return "for information"
    return "met" if found.met else "not met"


def table_lines(found: Sequence[Measurement]) -> list[str]:
    """Return a Markdown table, padded so that it reads well in a terminal too."""
    rows = [HEADINGS, *(_cells(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["| " + " | ".join(_padded(row, widths)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def write_json(path: Path, machine: Mapping[str, Any], found: Sequence[Measurement]) -> None:
    """Write machine and measurements as one JSON document."""
    document = {"machine": dict(machine), "measurements": [one.as_json() for one in found]}
    write_atomically(path, json.dumps(document, indent=1) + "\n")


def _cells(found: Measurement) -> tuple[str, ...]:
    ratio = found.ratio
    return (
        found.bar,
        found.contest,
        _number(ratio.median),
        f"{_number(ratio.low)} – {_number(ratio.high)}",
        found.goal or "",
        outcome(found),
    )


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
