"""Study C's runs by cell: which metric of which task, what its codes mean, and the runs in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from medtransfer.reports.published.records import MeasuredCurve, MeasuredRun

INITIALIZATIONS: Final[Mapping[str, str]] = {
    "Scratch": "random weights",
    "I1k": "SimCLR on ImageNet",
    "R": "SimCLR on 1.28 million CT slices",
    "RF": "SimCLR on 12 million CT slices",
    "IxRS": "SimCLR on ImageNet, then on CT slices",
    "IxRM": "SimCLR on ImageNet and CT slices together",
}
"""What the study's codes for pretraining mean, in its order."""
_SUFFIX: Final = re.compile(r"_lineval|_noise.*")
_PRIMARY: Final[tuple[tuple[str, str, str], ...]] = (
    (r"R.*|I1.*", "accuracy", "accuracy"),
    (r"CX8.*", "auc_avg_overall", "mean AUC"),
    (r"LiTS.*", "dice_avg_class_1", "Dice, liver"),
    (r"LiTS.*", "dice_avg_class_2", "Dice, lesion"),
    (r"BraTS.*", "dice_avg_class_1", "Dice, enhancing tumour"),
    (r"BraTS.*", "dice_avg_class_2", "Dice, whole tumour"),
    (r"BraTS.*", "dice_avg_class_3", "Dice, tumour core"),
)
"""Tasks, column of the log and name of the metrics that are compared; class numbers are those of the logs."""


@dataclass(frozen=True)
class Score:
    """A task with a metric: what a row of study C's tables is about."""

    experiment: str
    """Group of runs, such as ``E1``."""
    task: str
    """Task in the study's code."""
    metric: str
    """Column of the log."""
    metric_name: str
    """Name for people."""

    @property
    def label(self) -> str:
        """Task and metric for people."""
        return f"{self.task}, {self.metric_name}"


@dataclass(frozen=True)
class RunCell:
    """The runs of one model under one score."""

    score: Score
    """What was measured."""
    initialization: str
    """What training started from."""
    runs: Mapping[int, float]
    """Value by number of the run; a fraction of 1."""
    doubts: tuple[str, ...] = ()
    """What must be known of these runs, each once."""

    @property
    def values(self) -> tuple[float, ...]:
        """Values in the order of the runs."""
        return tuple(self.runs[run] for run in sorted(self.runs))


def primary_metrics(task: str) -> dict[str, str]:
    """Return the columns of the log that are compared for a task, with their names.

    Example:
        >>> primary_metrics("LiTS_lineval")
        {'dice_avg_class_1': 'Dice, liver', 'dice_avg_class_2': 'Dice, lesion'}
    """
    base = _SUFFIX.sub("", task)
    return {metric: name for pattern, metric, name in _PRIMARY if re.fullmatch(pattern, base)}


def scores(runs: Iterable[MeasuredRun | MeasuredCurve], experiment: str) -> list[Score]:
    """Return the scores of an experiment, tasks in the order in which they come."""
    tasks = list(dict.fromkeys(run.task for run in runs if run.experiment == experiment))
    return [
        Score(experiment, task, metric, name)
        for task in tasks
        for metric, name in primary_metrics(task).items()
    ]


def run_cells(runs: Iterable[MeasuredRun], wanted: Iterable[Score]) -> dict[Score, dict[str, RunCell]]:
    """Return the cells of scores by initialization, in the study's order; cells without runs are absent."""
    by_place: dict[tuple[str, str, str], list[MeasuredRun]] = {}
    for run in runs:
        by_place.setdefault((run.experiment, run.task, run.metric), []).append(run)
    return {
        score: _by_initialization(score, by_place.get((score.experiment, score.task, score.metric), []))
        for score in wanted
    }


def _by_initialization(score: Score, runs: list[MeasuredRun]) -> dict[str, RunCell]:
    found: dict[str, RunCell] = {}
    for name in INITIALIZATIONS:
        own = [run for run in runs if run.initialization == name]
        if own:
            notes = tuple(dict.fromkeys(run.note for run in own if "doubtful" in run.flags and run.note))
            found[name] = RunCell(score, name, {run.run: run.value for run in own}, notes)
    return found
