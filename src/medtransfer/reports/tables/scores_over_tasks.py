"""The results of one panel over its tasks as arrays: complete tasks, normalised runs, and what fell out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medtransfer.core.seeds import seed_from
from medtransfer.reports.estimates import Slot
from medtransfer.reports.rows import RowReading
from medtransfer.reports.study_reading import Panel, StudyReading
from medtransfer.reports.subjects import ReportModel, ReportTask
from medtransfer.stats.patients import FloatArray


@dataclass(frozen=True)
class ScoresOverTasks:
    """What can be compared over tasks: models that have a value, on tasks where all of them have one."""

    models: tuple[ReportModel, ...]
    """k models with a value on at least one task."""
    tasks: tuple[ReportTask, ...]
    """N complete tasks."""
    rows: tuple[RowReading, ...]
    """Their rows."""
    values: FloatArray
    """(N, k) mean of the primary metric, turned so that higher is better."""
    fell_out: Mapping[str, tuple[str, ...]]
    """Task label to the labels of the models that have no value on it."""
    without_value: tuple[str, ...]
    """Models of the panel that have no value on any task."""

    @property
    def comparable(self) -> bool:
        """Whether there are two models and a task to compare them on."""
        return len(self.models) > 1 and len(self.tasks) > 0

    @property
    def seed(self) -> int:
        """Seed of every draw over these tasks; depends on their data only."""
        return seed_from("tasks", *sorted(task.data_hash for task in self.tasks))

    @property
    def alike(self) -> tuple[str, ...]:
        """Complete tasks on which all models have one mean, so that nothing can be normalised."""
        return tuple(
            task.label for task, values in zip(self.tasks, self.values, strict=True) if np.ptp(values) == 0
        )

    def normalised_runs(self, model: ReportModel) -> list[FloatArray]:
        """Return the runs of a model on each task where models differ: 1 the best mean, 0 the worst."""
        found = []
        for task, row, values in zip(self.tasks, self.rows, self.values, strict=True):
            if np.ptp(values) > 0:
                estimate = row.cells[model.key].estimates[Slot(task.primary.name)]
                runs = task.primary.sign * np.asarray(estimate.numbers)
                found.append((runs - values.min()) / np.ptp(values))
        return found


def scores_over_tasks(reading: StudyReading, panel: Panel) -> ScoresOverTasks:
    """Return the results of a panel as far as they can be compared over its tasks."""
    means = {(row.row.task, key): _mean(reading, row, key) for row in panel.rows for key in row.cells}
    valued = {model for (_, model), mean in means.items() if mean is not None}
    models = [model for model in reading.models_of(panel) if model.key in valued]
    missing = {
        row.row.task: tuple(m.label for m in models if means.get((row.row.task, m.key)) is None)
        for row in panel.rows
    }
    rows = [row for row in panel.rows if models and not missing[row.row.task]]
    table = [[means[row.row.task, model.key] for model in models] for row in rows]
    return ScoresOverTasks(
        models=tuple(models),
        tasks=tuple(reading.tasks[row.row.task] for row in rows),
        rows=tuple(rows),
        values=np.array(table, dtype=np.float64).reshape(len(rows), len(models)),
        fell_out={reading.tasks[task].label: labels for task, labels in missing.items() if labels},
        without_value=tuple(m.label for m in reading.models_of(panel) if m not in models),
    )


def _mean(reading: StudyReading, row: RowReading, model: str) -> float | None:
    """Return a cell's mean of the primary metric, turned so that higher is better."""
    metric = reading.tasks[row.row.task].primary
    estimate = row.cells[model].estimates.get(Slot(metric.name))
    return None if estimate is None or estimate.mean is None else metric.sign * estimate.mean
