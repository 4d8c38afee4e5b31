"""The test cases on which most results of a task are most wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medtransfer.core.errors import DataError
from medtransfer.core.task_kind import TaskKind
from medtransfer.reports.case_errors import CaseErrors, ModelErrors
from medtransfer.reports.disclosure import hide_places
from medtransfer.reports.document import Gallery, Paragraph, Part, Picture
from medtransfer.reports.phrases import NONE, count, listed, number
from medtransfer.reports.printable import one_line
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.table import Column, Table, TableCell

Thumbnails = Callable[[ReportTask, Sequence[str]], Mapping[str, bytes]]
"""From a task and case ids to PNG bytes by case id; a case without a picture is left out."""

MOST_CASES = 12
"""Cases that are shown."""
_MOST_RESULTS = 4


@dataclass(frozen=True)
class Result:
    """One cell on the test cases of a task."""

    name: str
    """Model and protocol."""
    errors: ModelErrors
    """How wrong it is on each case."""


@dataclass(frozen=True)
class WorstCase:
    """A case and what the results say of it."""

    case_id: str
    """Its id, fit to be printed."""
    raw_id: str
    """Its id in the predictions."""
    truth: str
    """What is right."""
    error: float
    """Median error over the results, in [0, 1]."""
    said: tuple[str, ...]
    """What most results say, then what each says."""


def worst_cases(reading: StudyReading, task: ReportTask, thumbnails: Thumbnails | None) -> list[Part]:
    """Return the test cases of a task with the largest median error over all results.

    The results are all models under all protocols at their largest label fraction, runs averaged. The
    median, not the mean: a case enters when at least half of the results are that wrong on it. Equal
    medians go by the mean, then by case id.

    Args:
        reading: The study.
        task: The task.
        thumbnails: Makes small pictures of cases; None where images must not leave their folder.

    Raises:
        DataError: If two results are about other test cases.
    """
    rows = [(panel, row) for panel, row in reading.rows_of(task, most_labels=True) if row.predictions.cases]
    results = [result for panel, row in rows for result in _results(reading, panel, row)]
    if not results:
        return []
    cases = _same_cases(task, [row.predictions.cases for _, row in rows if row.predictions.cases])
    found = [_case(task, cases, results, place) for place in _worst_places(results)]
    parts: list[Part] = [Paragraph(_rule(task, len(results), len(found)))]
    if thumbnails is not None:
        pictures = thumbnails(task, [case.raw_id for case in found])
        groups = tuple((_picture(case, pictures.get(case.raw_id)),) for case in found)
        parts.append(Gallery(f"{task.label}: cases most results get most wrong", groups))
    return [*parts, _table(reading, task, found)]


def _results(reading: StudyReading, panel: Panel, row: RowReading) -> Iterator[Result]:
    assert row.predictions.cases is not None
    for key, errors in row.predictions.cases.by_model.items():
        yield Result(f"{reading.models[key].label}, {panel.block.label}", errors)


def _same_cases(task: ReportTask, found: Sequence[CaseErrors]) -> CaseErrors:
    if any(other.case_ids != found[0].case_ids for other in found):
        raise DataError(
            f"task {task.label!r}: expected the same test cases for every result, got others for two of them. "
            "Check the store with 'medtransfer status'; its predictions do not belong together."
        )
    return found[0]


def _worst_places(results: Sequence[Result]) -> list[int]:
    errors = np.stack([result.errors.error for result in results]).astype(np.float64)
    known = np.flatnonzero(~np.isnan(errors).any(axis=0))
    medians, means = np.median(errors[:, known], axis=0), errors[:, known].mean(axis=0)
    order = np.lexsort((known, -means.round(9), -medians.round(9)))
    return [int(known[place]) for place in order[:MOST_CASES]]


def _case(task: ReportTask, cases: CaseErrors, results: Sequence[Result], place: int) -> WorstCase:
    raw = cases.case_ids[place]
    return WorstCase(
        case_id=one_line(hide_places(raw)),
        raw_id=raw,
        truth=_truth(task, cases, place),
        error=float(np.median([result.errors.error[place] for result in results])),
        said=tuple(_said(task, results, place)),
    )


def _truth(task: ReportTask, cases: CaseErrors, place: int) -> str:
    if cases.truth is None:
        return NONE
    if task.kind is TaskKind.MULTI_LABEL:
        return _labels(task, cases.truth[place])
    return task.classes[int(cases.truth[place])]


def _labels(task: ReportTask, labels: Sequence[float]) -> str:
    """Return which labels a case has, and of which nobody knows."""
    present = [name for name, label in zip(task.classes, labels, strict=True) if label == 1]
    unknown = [name for name, label in zip(task.classes, labels, strict=True) if np.isnan(label)]
    if not unknown:
        return listed(present, most=6) or "none of the labels"
    if len(unknown) == len(task.classes):
        return "not known"
    return f"{listed(present, most=6) or 'none of the known labels'}; {listed(unknown, most=3)} not known"


def _said(task: ReportTask, results: Sequence[Result], place: int) -> Iterator[str]:
    """Yield the most common answer, then the answers of the results, worst first."""
    if task.kind is TaskKind.SEGMENTATION:
        dices = [1 - float(result.errors.error[place]) for result in results]
        yield f"Dice {number(min(dices), 2)} to {number(max(dices), 2)}"
    else:
        names = [_answer(task, result.errors, place) for result in results]
        wrong = sum(bool(result.errors.wrong[place]) for result in results)
        common = Counter(names).most_common(1)[0][0]
        yield f"wrong in {wrong:,} of {count(len(results), 'result')}, mostly: {common}"
    worst = sorted(results, key=lambda result: (-float(result.errors.error[place]), result.name))
    for result in worst[:_MOST_RESULTS]:
        error = float(result.errors.error[place])
        answer = "" if task.kind is TaskKind.SEGMENTATION else f"{_answer(task, result.errors, place)}, "
        yield f"{result.name}: {answer}error {number(error, 2)}"
    if len(worst) > _MOST_RESULTS:
        yield f"and {count(len(worst) - _MOST_RESULTS, 'more result')}"


def _answer(task: ReportTask, errors: ModelErrors, place: int) -> str:
    name = task.classes[int(errors.shown[place])]
    if task.kind is not TaskKind.MULTI_LABEL:
        return name
    return f"{name} {'wrong' if errors.wrong[place] else 'furthest off'}"


def _rule(task: ReportTask, results: int, shown: int) -> str:
    counted = "are known and scored" if task.scored else "are known"
    what = {
        TaskKind.MULTI_LABEL: f"mean distance between label and probability, over the labels that {counted}",
        TaskKind.SEGMENTATION: "one minus the Dice of the case",
    }.get(task.kind, "one minus the probability of the true class")
    return (
        f"The {count(shown, 'test case')} with the largest median error over {count(results, 'result')}: all "
        f"models and protocols at their largest label fraction, runs averaged. Error: {what}. Such cases are "
        "hard, or their label is wrong: look at them before you trust either. Nothing was chosen by them."
    )


def _picture(case: WorstCase, png: bytes | None) -> Picture:
    lines = (case.case_id, f"truth: {case.truth}", f"median error {number(case.error, 2)}", case.said[0])
    return Picture(tuple(line for line in lines if line != f"truth: {NONE}"), png)


def _table(reading: StudyReading, task: ReportTask, found: Sequence[WorstCase]) -> Table:
    masks = task.kind is TaskKind.SEGMENTATION
    columns = (
        Column("Test case"),
        *(() if masks else (Column("Truth"),)),
        Column("Median error", "over results", numeric=True),
        Column("What the results say"),
    )
    rows = tuple(
        (
            TableCell(case.case_id or NONE),
            *(() if masks else (TableCell(case.truth),)),
            TableCell(number(case.error, 2), value=case.error),
            TableCell(case.said[0], case.said[1:]),
        )
        for case in found
    )
    return Table(
        f"worst-cases-{reading.number_of(task)}",
        f"{task.label}: test cases that most results get most wrong",
        columns,
        rows,
    )
