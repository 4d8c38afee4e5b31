"""Published numbers that can stand beside own ones: shipped, computed from published runs, and imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from medtransfer.reports.phrases import number
from medtransfer.reports.published.names import STUDY_C, our_model_in_study_c
from medtransfer.reports.published.records import MeasuredRun, PublishedResult
from medtransfer.reports.published.results_file import result_key, same_numbers
from medtransfer.reports.published.shipped import measured_runs, published_results
from medtransfer.stats.summaries import summarise_runs

_STUDY_C_METRICS: Final = {("E1", "CX8", "auc_avg_overall"): ("chestxray14-15", "auc")}
"""Cells of study C that mean the same as one of our tasks and metrics: same test list, same classes."""


def comparable_levels(imported: Sequence[PublishedResult] = ()) -> tuple[PublishedResult, ...]:
    """Return all published levels: shipped ones, study C's cells, and imported ones that say something else.

    An imported number that equals the shipped one under the same key is the same number. One that
    differs stands beside it and is flagged, for one of the two must be wrong.
    """
    shipped = (*published_results(), *study_c_levels(measured_runs()))
    known = {result_key(level): level for level in shipped}
    others = [level for level in imported if not _same(level, known.get(result_key(level)))]
    flagged = [
        _contradicting(level, known[result_key(level)]) if result_key(level) in known else level
        for level in others
    ]
    return (*shipped, *flagged)


def study_c_levels(runs: Iterable[MeasuredRun]) -> tuple[PublishedResult, ...]:
    """Return mean and sample standard deviation of those cells of study C that we measure the same way."""
    cells: dict[tuple[str, str, str, str], list[MeasuredRun]] = {}
    for run in runs:
        if (run.experiment, run.task, run.metric) in _STUDY_C_METRICS:
            cells.setdefault((run.experiment, run.task, run.metric, run.initialization), []).append(run)
    return tuple(_study_c_level(key, found) for key, found in cells.items())


def _study_c_level(key: tuple[str, str, str, str], runs: Sequence[MeasuredRun]) -> PublishedResult:
    experiment, task, metric, initialization = key
    target, name = _STUDY_C_METRICS[experiment, task, metric]
    summary = summarise_runs([run.value for run in runs])
    return PublishedResult(
        source=STUDY_C,
        table=f"{experiment}, mean over its runs",
        task=task,
        metric=metric,
        initialization=initialization,
        architecture="ResNet-50",
        mean=summary.mean,
        std=summary.std,
        n=summary.n,
        unit="fraction",
        flags=frozenset(flag for run in runs for flag in run.flags),
        note="Computed from its runs; the last epoch was tested.",
        target_task=target,
        metric_name=name,
        source_model=our_model_in_study_c(initialization),
    )


def _same(level: PublishedResult, other: PublishedResult | None) -> bool:
    return other is not None and same_numbers(level, other)


def _contradicting(level: PublishedResult, shipped: PublishedResult) -> PublishedResult:
    note = f"{level.note} The number shipped under the same key is {published_text(shipped)}.".strip()
    return replace(level, flags=level.flags | {"doubtful"}, note=note)


def published_text(level: PublishedResult) -> str:
    """Return mean and spread as printed, in the unit of the source.

    Example:
        >>> published_text(published_results()[0])
        '80.31 ± 0.10'
    """
    digits = 3 if level.unit == "fraction" else 2
    mean = number(level.mean, digits)
    return mean if level.std is None else f"{mean} ± {number(level.std, digits)}"


def to_fraction(level: PublishedResult) -> float:
    """Return what turns a number of a result into a fraction of the metric."""
    return 1.0 if level.unit == "fraction" else 0.01
