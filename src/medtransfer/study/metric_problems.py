"""Metrics that a task names and that cannot be computed for it, told before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from medtransfer.core.problems import Problem
from medtransfer.data.case_table import CaseTable
from medtransfer.metrics.declared_metrics import metrics
from medtransfer.tasks.target_task import TargetTask

_MOST_NAMED: Final = 5


def metric_problems(task: TargetTask, cases: CaseTable) -> list[Problem]:
    """Return one problem per metric of a task that is for another kind, or for cases with more than these have."""
    return list(_problems(task, cases))


def _problems(task: TargetTask, cases: CaseTable) -> Iterator[Problem]:
    where = f"task {task.name!r}, metrics"
    fitting = [m.name for m in metrics if task.kind in m.kinds and cases.offers(m.needs)]
    next_step = f"Name metrics among {', '.join(fitting[:_MOST_NAMED])}."
    for name in task.metrics:
        metric = metrics.get(name)
        if task.kind not in metric.kinds:
            expected = f"metrics of a {task.kind} task"
            yield Problem("unfit-metric", where, expected, repr(name), next_step)
        elif not cases.offers(metric.needs):
            expected = f"{metric.needs.replace('-', ' ')} for {name!r}"
            yield Problem("unfit-metric", where, expected, "cases without them", next_step)
