"""The published figures that come with the package, read from its data files; no network."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Final, Literal, cast

from medtransfer.reports.published.doubts import DOUBTFUL_REMARKS, REMARKS, flag_result, flag_runs
from medtransfer.reports.published.names import STUDY_C, our_metric, our_model, our_task, printed_task
from medtransfer.reports.published.records import (
    Flag,
    MeasuredRun,
    PrintedTest,
    PublishedResult,
    Unit,
)

RESULT_FILES: Final = (
    "study-a-domain-adaptation",
    "study-a-self-supervised",
    "study-a-inat",
    "study-b-architectures",
    "study-b-label-budget",
    "study-b-granularity",
    "study-b-self-supervised",
    "study-b-domain-adaptation",
    "sibling-dira",
    "sibling-benchmark-transformers",
    "sibling-ark",
    "independent-rerun",
)
"""Data files of printed and digitised results, by study."""
_PRINTED: Final = frozenset({"printed", "printed-elsewhere"})
_READINGS: Final[Mapping[str, str]] = {
    "printed": "",
    "printed-elsewhere": "Printed in the table of domain adaptation; drawn here.",
    "bar": "Read off a bar chart, to {error} {unit}; the spread to 10 to 20 %.",
    "baseline-line": "Read off the baseline line of a figure, to {error} {unit}.",
    "parallel-line": "Read off a plot of parallel lines, to {error} {unit}.",
    "dot": "Read off a dot plot, to {error} {unit}.",
}
_TEST: Final = re.compile(r"(?P<against>.+?) (?:(?P<sign>[=<]) (?P<p>[\d.e+-]+)|n\.s\.)(?P<above> above)?")


@cache
def published_results() -> tuple[PublishedResult, ...]:
    """Return every shipped result of a publication, in the order of the data files."""
    return tuple(_result(row) for name in RESULT_FILES for row in _rows(name))


@cache
def measured_runs() -> tuple[MeasuredRun, ...]:
    """Return the test metrics of study C's runs, as its repository published them in logs."""
    return flag_runs(tuple(run for row in _rows("study-c-runs") for run in _runs(row)))


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files("medtransfer.reports.published").joinpath(f"data/{name}.csv").read_text("utf-8")
    return csv.DictReader(text.splitlines())


def _result(row: Mapping[str, str]) -> PublishedResult:
    unit: Unit = "points" if row["metric"].endswith("difference") else "percent"
    error = float(row["reading_error"]) if row["reading_error"] else None
    result = PublishedResult(
        source=row["source"],
        table=row["table"],
        task=row["task"],
        metric=row["metric"],
        initialization=row["initialization"],
        architecture=row["architecture"],
        mean=float(row["mean"]),
        std=float(row["std"]) if row["std"] else None,
        n=int(row["n"]) if row["n"] else None,
        unit=unit,
        flags=_flags(row),
        note=_note(row, "points" if error is not None else ""),
        reading_error=error,
        printed_tests=tuple(_test(text) for text in row["printed_p"].split(" | ") if text),
        mark=cast('Literal["", "bold", "shaded"]', row["mark"]),
        labelled_images=row["labelled_images"],
        label_fraction=printed_task(row["task"]).label_fraction,
        target_task=our_task(row["task"]),
        metric_name=our_metric(row["source"], row["task"], row["metric"]),
        source_model=our_model(row["source"], row["initialization"], row["architecture"]),
    )
    return flag_result(result)


def _flags(row: Mapping[str, str]) -> frozenset[Flag]:
    found: list[Flag] = []
    if row["read_from"] not in _PRINTED:
        found.append("digitised")
    if row["metric"].endswith("difference"):
        found.append("difference")
    if DOUBTFUL_REMARKS & set(row["remarks"].split()):
        found.append("doubtful")
    return frozenset(found)


def _note(row: Mapping[str, str], unit: str) -> str:
    reading = _READINGS[row["read_from"]].format(
        error=row["reading_error"] or "an unknown number of", unit=unit or "points"
    )
    tests = [
        f"Printed against {test.against}: {_p_words(test)}."
        for test in map(_test, filter(None, row["printed_p"].split(" | ")))
    ]
    return " ".join(filter(None, [reading, *tests, *(REMARKS[key] for key in row["remarks"].split())]))


def _p_words(test: PrintedTest) -> str:
    if test.p == "n.s.":
        return "n.s."
    return f"p {test.p}" if test.p.startswith("<") else f"p = {test.p}"


def _test(text: str) -> PrintedTest:
    found = _TEST.fullmatch(text)
    if found is None:
        raise ValueError(
            f"printed p {text!r}: expected 'AGAINST = NUMBER', 'AGAINST < NUMBER' or 'AGAINST n.s.'"
        )
    p = "n.s." if found["p"] is None else found["p"] if found["sign"] == "=" else f"< {found['p']}"
    return PrintedTest(found["against"], p, True if found["above"] else None)


def _runs(row: Mapping[str, str]) -> Iterator[MeasuredRun]:
    for run in range(4):
        if row[f"run_{run}"]:
            yield MeasuredRun(
                source=STUDY_C,
                experiment=row["experiment"],
                initialization=row["initialization"],
                task=row["task"],
                run=run,
                metric=row["metric"],
                value=float(row[f"run_{run}"]),
            )
