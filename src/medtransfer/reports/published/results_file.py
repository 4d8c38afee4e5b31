"""Tables of published results as files: one header for all, one number per row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Final

from medtransfer.core.problems import Problem
from medtransfer.reports.published.delimited_file import CellReader, FileRow, read_rows
from medtransfer.reports.published.doubts import flag_result
from medtransfer.reports.published.import_batch import ImportBatch, raise_faults
from medtransfer.reports.published.names import our_metric, our_model, our_task, printed_task
from medtransfer.reports.published.records import Flag, PublishedResult, Unit
from medtransfer.reports.published.shipped import published_results

RESULT_COLUMNS: Final = (
    "source",
    "table",
    "task",
    "metric",
    "initialization",
    "architecture",
    "mean",
    "std",
    "n",
    "exact",
    "note",
)
"""Header of a file of results; ``mean`` and ``std`` are in percent of the metric, or in points."""
_NAMES: Final = RESULT_COLUMNS[:6]
_TOP: Final = 100.0
ResultKey = tuple[str, str, str, str, str, str]


def read_results_file(text: str, name: str) -> ImportBatch:
    """Return the results of a file.

    Args:
        text: Its content.
        name: Its name, for messages.

    Raises:
        ImportFaultsError: If a row is wrong or a key occurs twice; all such rows are named.
    """
    problems: list[Problem] = []
    results: dict[ResultKey, PublishedResult] = {}
    origins: dict[object, str] = {}
    notes: dict[object, str] = {}
    for row in read_rows(text, name, RESULT_COLUMNS, problems):
        result = _result(row, problems)
        if result is None:
            continue
        key = result_key(result)
        if key in results:
            problems.append(
                Problem(
                    "repeated-key", row.where, "each key once", f"that of {origins[key]}", "Keep one row."
                )
            )
        results[key], origins[key], notes[key] = result, row.where, _note(row)
    raise_faults(name, problems)
    return ImportBatch(results=tuple(results.values()), origins=origins, notes=notes)


def result_key(result: PublishedResult) -> ResultKey:
    """Return what identifies a published number: where it stands and what it is about."""
    r = result
    return r.source, r.table, r.task, r.metric, r.initialization, r.architecture


def imported_result(
    names: dict[str, str], mean: float, std: float | None, n: int | None, *, exact: bool, note: str
) -> PublishedResult:
    """Return a result from the columns of a file, with our names and what is known of it.

    Args:
        names: The first six columns.
        mean: In percent of the metric, or in points.
        std: Spread as printed; None where there is none.
        n: Runs; None where the source does not say.
        exact: Whether it was printed.
        note: As in the file.
    """
    difference = is_difference(names["metric"])
    flags: set[Flag] = set()
    if not exact:
        flags.add("digitised")
    if difference:
        flags.add("difference")
    unit: Unit = "points" if difference else "percent"
    source, task = names["source"], names["task"]
    result = flag_result(
        PublishedResult(
            source=source,
            table=names["table"],
            task=task,
            metric=names["metric"],
            initialization=names["initialization"],
            architecture=names["architecture"],
            mean=mean,
            std=std,
            n=n,
            unit=unit,
            flags=frozenset(flags),
            note=note,
            label_fraction=printed_task(task).label_fraction,
            target_task=our_task(task),
            metric_name=our_metric(source, task, names["metric"]),
            source_model=our_model(source, names["initialization"], names["architecture"]),
        )
    )
    shipped = _shipped().get(result_key(result))
    doubted = shipped is not None and "doubtful" in shipped.flags and same_numbers(result, shipped)
    return replace(result, flags=result.flags | {"doubtful"}) if doubted else result


def same_numbers(a: PublishedResult, b: PublishedResult) -> bool:
    """Return whether two results say the same: mean, spread and number of runs."""
    return (a.mean, a.std, a.n) == (b.mean, b.std, b.n)


def is_difference(metric: str) -> bool:
    """Return whether a printed metric is a difference between two models, in points."""
    return metric.endswith("difference")


@cache
def _shipped() -> Mapping[ResultKey, PublishedResult]:
    return {result_key(result): result for result in published_results()}


def _result(row: FileRow, problems: list[Problem]) -> PublishedResult | None:
    cells = CellReader(row, problems)
    names = {column: cells.text(column) for column in _NAMES}
    lowest = -_TOP if is_difference(names["metric"]) else 0.0
    mean = cells.number("mean", lowest, _TOP)
    std = cells.number("std", 0.0, _TOP) if row.cells["std"].strip() else None
    n = cells.whole_number("n", 1) if row.cells["n"].strip() else None
    exact = cells.choice("exact", ("true", "false")) == "true"
    if not is_difference(names["metric"]) and not names["metric"].endswith("%"):
        cells.refuse("metric", "a metric in percent such as 'AUC%', or one that ends in 'difference'")
    if not 0 < printed_task(names["task"]).label_fraction <= 1:
        cells.refuse("task", "a share of the training labels above 0 and at most 100 %")
    if not cells.ok:
        return None
    return imported_result(names, mean, std, n, exact=exact, note=_note(row))


def _note(row: FileRow) -> str:
    return " ".join(row.cells["note"].split())
