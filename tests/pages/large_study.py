"""Evidence of 5,000 trials, made in seconds: what a report of many months of work is made from."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pandas as pd

from medtransfer.core.seeds import generator
from medtransfer.core.task_kind import TaskKind
from medtransfer.metrics.declared_metrics import compute_metrics
from medtransfer.metrics.predictions import Predictions
from medtransfer.reports.evidence import Evidence
from medtransfer.store.records import Outcome, Record, State

FRACTIONS = (1.0, 0.5, 0.25, 0.1, 0.05)


class LargeStudy:
    """Trials of one protocol over tasks, models, label fractions and repetitions; predictions on request."""

    def __init__(
        self, synthetic: ModuleType, tasks: int = 20, models: int = 10, repetitions: int = 5
    ) -> None:
        self.synthetic = synthetic
        self.tasks = {
            name: synthetic.MadeTask(name, TaskKind.BINARY, ("finding", "none"), ("auc",), cases=60)
            for name in (f"task-{number:02d}" for number in range(1, tasks + 1))
        }
        self.models = [f"model{number:02d}.sup_in1k" for number in range(1, models + 1)]
        self.records = [
            self._record(task, model, fraction, repetition)
            for task in self.tasks.values()
            for model in self.models
            for fraction in FRACTIONS
            for repetition in range(repetitions)
        ]

    def evidence(self) -> Evidence:
        """Return what a report is made from."""
        return Evidence("a large study", self.records, self._frame, source="name: a large study\n")

    def _record(self, task: Any, model: str, fraction: float, repetition: int) -> Record:
        place = (task, model, "finetune", fraction, repetition)
        settings = {"epochs": 12, "image_size": 96}
        description = self.synthetic.describe(place, ("training",), settings, {"data_hash": task.name * 4})
        found = self._predictions(task, model, fraction, description.fingerprint)
        metrics = {name: value.as_json() for name, value in compute_metrics(task.metrics, found).items()}
        rng = generator("curve", description.fingerprint)
        outcome = Outcome(
            metrics={"test": metrics},
            train_cases=int(100 * fraction),
            curve=self.synthetic.curve(rng, 0.7),
            duration_s=10.0,
            provenance={"versions": {"python": "3.11.13"}, "device": "cpu"},
        )
        return Record(description, State.DONE, outcome, attempts=1, finished_at="2026-05-04T10:00:00Z")

    def _predictions(self, task: Any, model: str, fraction: float, fingerprint: str) -> Predictions:
        level = 0.4 + 0.05 * self.models.index(model) + 0.3 * fraction**0.4
        return self.synthetic.predictions(task, "test", level, generator("predictions", fingerprint))

    def _frame(self, record: Record) -> pd.DataFrame:
        d = record.description
        found = self._predictions(self.tasks[d.task], d.model, d.label_fraction, d.fingerprint)
        return found.to_frame().assign(checkpoint="best", split="test")
