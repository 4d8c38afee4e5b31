"""The table of target tasks: what was predicted, on which split, and what to be careful about."""

from __future__ import annotations

from collections.abc import Iterator

from medtransfer.core.problems import Problem
from medtransfer.reports.phrases import count, listed, short_hash
from medtransfer.reports.study_reading import StudyReading
from medtransfer.reports.subjects import ReportTask
from medtransfer.reports.tables.table import Column, Table, TableCell

SPLIT_SOURCES = {
    "official": "official split",
    "published-list": "published list of cases",
    "ours": "drawn by medtransfer (ours): not the split of published results",
    "user": "given by the user",
}
"""What a report says about where a split comes from."""

_COLUMNS = (
    Column("Task"),
    Column("Predicts"),
    Column("Metrics", "primary first"),
    Column("Cases", "training / validation / test", numeric=True),
    Column("Patients", numeric=True),
    Column("Split"),
    Column("Test evaluations", "in this report", numeric=True),
    Column("Data"),
)


def tasks_table(reading: StudyReading) -> Table:
    """Return what every task is; notes carry cautions, accepted problems and the count of looks at test."""
    rows = tuple(_row(reading, task) for task in reading.tasks.values())
    return Table("tasks", "What was predicted, on which cases", _COLUMNS, rows, notes=tuple(_notes(reading)))


def task_cautions(task: ReportTask) -> list[str]:
    """Return what must stand beside every result on a task."""
    cautions = []
    if task.phantom and not task.facts.get("caution"):
        cautions.append(
            f"{task.label}: phantom result, the images are generated and say nothing about patients."
        )
    if task.facts.get("caution"):
        cautions.append(f"{task.label}: {task.facts['caution']}")
    accepted = accepted_problems(task)
    cautions.extend(f"{task.label}: accepted problem: {problem.sentence()}" for problem in accepted)
    if not task.facts.get("patients_known", True):
        cautions.append(
            f"{task.label}: patients are not known, every case counts as its own; intervals over patients "
            "may be "
            "too narrow, and a patient may be in two splits."
        )
    return cautions


def accepted_problems(task: ReportTask) -> list[Problem]:
    """Return the problems with the data that the study accepted by name."""
    return [Problem(**problem) for problem in task.facts.get("accepted", [])]


def count_test_evaluations(reading: StudyReading, task: ReportTask) -> int:
    """Return how often finished trials of this report were scored on a task's test cases."""
    return sum(
        place.partition("/")[0] == "test"
        for _, row in reading.rows_of(task)
        for cell in row.cells.values()
        for record in cell.finished
        if record.outcome
        for place in record.outcome.metrics
    )


def _row(reading: StudyReading, task: ReportTask) -> tuple[TableCell, ...]:
    facts = task.facts
    counts = facts.get("split_counts", {})
    cases = " / ".join(f"{int(counts.get(split, 0)):,}" for split in ("train", "val", "test"))
    patients = (
        f"{int(facts['patients']):,}"
        if facts.get("patients_known", True) and "patients" in facts
        else "unknown"
    )
    source = str(facts.get("split_source", "unknown"))
    return (
        TableCell(task.label, (str(facts["title"]),) if facts.get("title") else ()),
        TableCell(str(task.kind), (listed([str(name) for name in task.classes], most=6),)),
        TableCell("; ".join(metric.title for metric in task.metrics)),
        TableCell(cases, _volumes(task)),
        TableCell(patients),
        TableCell(SPLIT_SOURCES.get(source, source)),
        TableCell(f"{count_test_evaluations(reading, task):,}"),
        TableCell(short_hash(task.data_hash) or "unknown", _terms(task)),
    )


def _volumes(task: ReportTask) -> tuple[str, ...]:
    volumes = task.facts.get("volumes")
    return () if volumes is None else (f"slices of {count(int(volumes), 'volume')}",)


def _terms(task: ReportTask) -> tuple[str, ...]:
    return tuple(str(task.facts[name]) for name in ("licence", "citation") if task.facts.get(name))


def _notes(reading: StudyReading) -> Iterator[str]:
    for task in reading.tasks.values():
        yield from task_cautions(task)
    looks = [count_test_evaluations(reading, task) for task in reading.tasks.values()]
    if looks:
        yield (
            f"Test evaluations: {count(sum(looks), 'result')} of this report were scored on test cases. "
            "Models and "
            "checkpoints are selected on validation; the best test score of several models still tends to "
            "be higher "
            "than what that model would reach on new cases."
        )
