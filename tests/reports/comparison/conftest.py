"""Small made-up stores of two models, and their comparison."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

A, B = "squeezenet1_1.sup_in1k", "mobilenetv1_100.sup_in1k"


@pytest.fixture
def binary_task(synthetic: ModuleType) -> Callable[..., Any]:
    """Make a binary task with one case per patient."""
    from medtransfer.core.task_kind import TaskKind

    def make(name: str = "nodules", cases: int = 60, **facts: Any) -> Any:
        return synthetic.MadeTask(
            name, TaskKind.BINARY, ("benign", "malignant"), ("auc", "accuracy"), facts, cases, 1
        )

    return make


@pytest.fixture
def two_models(synthetic: ModuleType, binary_task: Callable[..., Any]) -> Callable[..., Any]:
    """Make a study of two models on tasks, several runs each."""

    def make(
        tasks: Any = None, *, skills: tuple[float, float] = (0.8, 0.8), runs: int = 3, **more: Any
    ) -> Any:
        maker = synthetic.StudyMaker()
        for task in tasks or [binary_task()]:
            for model, skill in zip((A, B), skills, strict=True):
                for repetition in range(runs):
                    maker.add(task, model, "finetune", repetition=repetition, skill=skill, **more)
        return maker

    return make
