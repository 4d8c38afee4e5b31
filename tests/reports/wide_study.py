"""A made-up study over many tasks, with costs of training, for what looks over tasks or at costs."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

from medtransfer.core.task_kind import TaskKind

MODELS = ("resnet20.random", "mobilenetv1_100.sup_in1k", "squeezenet1_1.sup_in1k", "resnet50.sup_radimagenet")
SECONDS = {"resnet20.random": 10.0, "mobilenetv1_100.sup_in1k": 20.0, "squeezenet1_1.sup_in1k": 30.0}
"""CPU seconds of a run; the last model takes 40."""


def wide_study(synthetic: ModuleType, *, tasks: int = 8, runs: int = 3, cases: int = 40) -> Any:
    """Return a study of binary tasks, every image another patient, fine-tuned with costs and linear without."""
    maker = synthetic.StudyMaker("wide")
    for number in range(tasks):
        task = synthetic.MadeTask(
            f"task-{number}", TaskKind.BINARY, ("no", "yes"), ("auc",), cases=cases, images_per_patient=1
        )
        for place, model in enumerate(MODELS):
            maker.add(task, model, "linear", varied=(), settings={"strengths": [1.0]})
            for repetition in range(runs):
                maker.add(task, model, "finetune", repetition=repetition, settings={"epochs": 3})
                _add_costs(maker, model, place, repetition)
    return maker


def _add_costs(maker: Any, model: str, place: int, repetition: int) -> None:
    outcome = maker.records[-1].outcome
    details = {
        "cases_seen": 300,
        "parameters": (place + 2) * 1_000_000,
        "trained_parameters": (place + 1) * 1_000_000,
    }
    costs = {"cpu_s": SECONDS.get(model, 40.0) + repetition, "duration_s": 2.0 + place}
    maker.records[-1] = replace(maker.records[-1], outcome=replace(outcome, details=details, **costs))
