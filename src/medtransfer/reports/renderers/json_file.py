"""The report as one JSON document, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from medtransfer.reports.cells import Cell
from medtransfer.reports.disclosure import hide_places
from medtransfer.reports.estimates import Estimate, Slot
from medtransfer.reports.evidence import model_key, settings_hash, task_key
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.provenance import differences, origins, trial_counts
from medtransfer.reports.tables.tasks import count_test_evaluations, task_cautions
from medtransfer.stats.wording import describe_tie_group

FORMAT = 1
"""Raised when a field changes its meaning or goes away."""


def render_json(reading: StudyReading, command: str = "") -> str:
    """Return the report as JSON text with sorted keys; no number is NaN or infinite."""
    return "".join(json_parts(reading, command))


def json_parts(reading: StudyReading, command: str = "") -> Iterator[str]:
    """Yield the text of :func:`render_json`; members of its lists are made one by one."""
    opening = "{"
    for name, member in sorted(_members(reading, command).items()):
        yield f"{opening}\n {json.dumps(name)}: "
        if isinstance(member, Iterator):
            yield from _array(member)
        else:
            yield _text(member, 1)
        opening = ","
    yield "\n}\n"


def report_object(reading: StudyReading, command: str = "") -> dict[str, Any]:
    """Return the report as a JSON object."""
    members = _members(reading, command)
    return {name: list(value) if isinstance(value, Iterator) else value for name, value in members.items()}


def _members(reading: StudyReading, command: str) -> dict[str, Any]:
    """Return the members of the report's JSON object, those that grow with the study as iterators."""
    return {
        "format": FORMAT,
        "study": reading.study,
        "trials": trial_counts(reading)
        | {"total": len(reading.records), "superseded": reading.evidence.superseded},
        "tasks": (_task(reading, task) for task in reading.tasks.values()),
        "models": (
            {"name": model.label, "key": model.key, **model.facts} for model in reading.models.values()
        ),
        "results": (
            _result(reading, panel.block.label, row) for panel in reading.panels for row in panel.rows
        ),
        "failures": _failures(reading),
        "provenance": {
            "command": hide_places(command),
            "differences": list(differences(reading)),
            "trials": [
                {"what": what, "value": value, "trials": n} for (what, value), n in origins(reading).items()
            ],
        },
    }


def _array(members: Iterator[Any]) -> Iterator[str]:
    opening = "["
    for member in members:
        yield f"{opening}\n  {_text(member, 2)}"
        opening = ","
    yield "[]" if opening == "[" else "\n ]"


def _text(value: Any, depth: int) -> str:
    """Return JSON text with sorted keys as it stands at a depth; texts in it hold no line ends."""
    text = json.dumps(value, sort_keys=True, indent=1, allow_nan=False)
    return text.replace("\n", "\n" + " " * depth)


def _task(reading: StudyReading, task: ReportTask) -> dict[str, Any]:
    return {
        "name": task.name,
        "key": task.key,
        "label": task.label,
        **task.facts,
        "cautions": task_cautions(task),
        "test_evaluations": count_test_evaluations(reading, task),
    }


def _result(reading: StudyReading, block: str, row: RowReading) -> dict[str, Any]:
    task = reading.tasks[row.row.task]
    first = next(iter(row.cells.values()))
    return {
        "block": block,
        "protocol": first.records[0].description.protocol,
        "settings_hash": first.settings_hash,
        "label_fraction": row.row.fraction,
        "task": task.label,
        "task_key": task.key,
        "primary_metric": task.primary.name,
        "cells": [_cell(reading, row, cell) for cell in row.cells.values()],
        "comparison": _comparison(row),
    }


def _cell(reading: StudyReading, row: RowReading, cell: Cell) -> dict[str, Any]:
    label = reading.models[cell.place.model].label
    return {
        "model": label,
        "model_key": cell.place.model,
        "overlap": cell.overlap,
        "overlap_reason": cell.overlap_reason,
        "planned": len(cell.records),
        "failed": cell.failed,
        "waiting": cell.waiting,
        "varied": list(cell.varied),
        "standing": row.ties.standing(label) if row.ties and label in row.ties.family else None,
        "estimates": [_estimate(slot, estimate) for slot, estimate in cell.estimates.items()],
    }


def _estimate(slot: Slot, estimate: Estimate) -> dict[str, Any]:
    return {
        "metric": slot.metric,
        "checkpoint": slot.checkpoint,
        "split": slot.split,
        "n": estimate.n,
        "undefined": estimate.undefined,
        "mean": estimate.mean,
        "std": estimate.std,
        "low": estimate.low,
        "high": estimate.high,
        "interval": estimate.over,
        "patients": estimate.patients,
        "draws": estimate.draws,
        "crossed": None if estimate.crossed is None else asdict(estimate.crossed),
        "remarks": list(estimate.remarks),
        "runs": [{"repetition": repetition, "value": value} for repetition, value in estimate.runs],
    }


def _comparison(row: RowReading) -> dict[str, Any] | None:
    if row.ties is None:
        return None
    return asdict(row.ties) | {"sentence": describe_tie_group(row.ties)}


def _failures(reading: StudyReading) -> Iterator[dict[str, Any]]:
    for record in reading.failures:
        d = record.description
        yield {
            "fingerprint": d.fingerprint,
            "task": reading.tasks[task_key(record)].label,
            "model": reading.models[model_key(record)].label,
            "protocol": d.protocol,
            "settings_hash": settings_hash(record),
            "label_fraction": d.label_fraction,
            "repetition": d.repetition,
            "reason": record.reason,
            "message": hide_places(record.message or ""),
        }
