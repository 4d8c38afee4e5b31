"""One number of a report: its runs, its interval, and what the interval is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from medtransfer.metrics.declared_metrics import Metric
from medtransfer.reports.phrases import count, listed
from medtransfer.stats.crossed_intervals import CrossedInterval
from medtransfer.stats.order_statistics import far_from_the_others
from medtransfer.stats.patients import Interval
from medtransfer.stats.summaries import summarise_runs
from medtransfer.store.records import Record

Over = Literal["training runs", "test patients"]
"""What an interval is over: retrained models on the same cases, or other patients for one result."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Which number of a cell."""

    metric: str
    """Registry name of the metric."""
    checkpoint: str = "best"
    """``best`` on validation, or ``last``."""
    split: str = "test"
    """``test`` or ``val``."""

    @property
    def place(self) -> str:
        """Key of the outcome's metrics."""
        return self.split if self.checkpoint == "best" else f"{self.split}/{self.checkpoint}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric of one cell; nulls stay nulls, so nothing can be read as zero."""

    runs: tuple[tuple[int, float], ...]
    """Repetition and value of every run that has one."""
    undefined: int
    """Finished runs in which the metric is undefined; they are not in n."""
    mean: float | None
    """Mean over runs; null without a run."""
    std: float | None = None
    """Sample standard deviation over runs (ddof 1); null for one run."""
    low: float | None = None
    """Lower end of the 95 % interval."""
    high: float | None = None
    """Upper end of the 95 % interval."""
    over: Over | None = None
    """What the interval is over; null when there is none."""
    patients: int | None = None
    """Patients that were resampled; null for an interval over runs."""
    draws: int | None = None
    """Draws of patients; null for an interval over runs."""
    remarks: tuple[str, ...] = ()
    """What a reader must know of this number."""
    crossed: CrossedInterval | None = None
    """Interval of the mean over other runs and other patients at once; null where it was not computed."""

    @property
    def n(self) -> int:
        """Number of runs in the mean."""
        return len(self.runs)

    @property
    def numbers(self) -> list[float]:
        """The values of the runs, without their repetitions."""
        return [value for _, value in self.runs]


def read_runs(records: Sequence[Record], slot: Slot) -> tuple[tuple[tuple[int, float], ...], int]:
    """Return repetition and value of the finished runs, and in how many the metric is undefined."""
    runs, undefined = [], 0
    for record in records:
        if record.outcome is None:
            continue
        found = record.outcome.metrics.get(slot.place, {}).get(slot.metric)
        if found is None:
            continue
        if found["value"] is None:
            undefined += 1
        else:
            runs.append((record.description.repetition, float(found["value"])))
    return tuple(sorted(runs)), undefined


def metric_remarks(records: Sequence[Record], slot: Slot) -> tuple[str, ...]:
    """Return what the metric itself remarked about these runs, each remark once."""
    notes: dict[str, None] = {}
    for record in records:
        found = (record.outcome.metrics if record.outcome else {}).get(slot.place, {}).get(slot.metric)
        if found and found.get("note"):
            notes[str(found["note"])] = None
    return tuple(notes)


def estimate_over_runs(
    runs: Sequence[tuple[int, float]], undefined: int, metric: Metric, remarks: Sequence[str] = ()
) -> Estimate:
    """Summarise runs that differ by training; one run has neither spread nor interval."""
    said = [*remarks, *_undefined_remark(undefined)]
    if not runs:
        return Estimate((), undefined, None, remarks=tuple(said))
    summary = summarise_runs([value for _, value in runs])
    if summary.leaves(metric.lower, metric.upper):
        said.append(f"the interval goes beyond the range {metric.lower:g} to {metric.upper:g} of the metric")
    far = far_runs(dict(runs))
    if far:
        said.append(
            "far from the other runs (over 5 MAD from the median): repetition "
            f"{listed([str(r) for r in far])}"
        )
    return Estimate(
        runs=tuple(runs),
        undefined=undefined,
        mean=summary.mean,
        std=summary.std,
        low=summary.low,
        high=summary.high,
        over=None if summary.low is None else "training runs",
        remarks=tuple(said),
    )


def estimate_over_patients(
    runs: Sequence[tuple[int, float]], undefined: int, interval: Interval | None, remarks: Sequence[str] = ()
) -> Estimate:
    """Describe a result that no seed can change: one value, with an interval over other patients.

    Args:
        runs: The one run; more than one of a deterministic result carry the same number.
        undefined: Finished runs in which the metric is undefined.
        interval: Bootstrap over patients; None where there is none, as on validation.
        remarks: What the metric remarked.
    """
    said = [*remarks, *_undefined_remark(undefined)]
    if not runs:
        return Estimate((), undefined, None, remarks=tuple(said))
    mean = runs[0][1] if len(runs) == 1 else summarise_runs([value for _, value in runs]).mean
    if interval is None:
        return Estimate(tuple(runs), undefined, mean, remarks=tuple(said))
    if interval.reason:
        said.append(f"no interval: {interval.reason}")
    if "few_patients" in interval.flags:
        said.append(
            f"{count(interval.patients, 'test patient')}: an interval over so few tends to be too narrow"
        )
    if "draws_do_not_differ" in interval.flags:
        said.append("no draw of patients differed: the interval has no width and says little")
    return Estimate(
        runs=tuple(runs),
        undefined=undefined,
        mean=mean,
        low=interval.low,
        high=interval.high,
        over=None if interval.low is None else "test patients",
        patients=interval.patients,
        draws=interval.draws,
        remarks=tuple(said),
    )


def far_runs(values: Mapping[int, float]) -> list[int]:
    """Return the repetitions whose value is more than 5 MAD from the median, of at least four runs.

    The median absolute deviation is scaled by 1.4826, so that it estimates a standard deviation.
    A single collapsed run hides in a standard deviation; it does not hide here.

    Example:
        >>> far_runs({0: .81, 1: .82, 2: .80, 3: .83, 4: .20})
        [4]
    """
    flags = far_from_the_others(list(values.values()))
    return [repetition for repetition, far in zip(values, flags, strict=True) if far]


def _undefined_remark(undefined: int) -> list[str]:
    return (
        [f"undefined in {count(undefined, 'run')}, which {'is' if undefined == 1 else 'are'} not in n"]
        if undefined
        else []
    )
