"""The margin of equivalence own data may declare: what it may be, where it goes, and what it must not change."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtransfer.core.errors import UsageError
from medtransfer.models.catalogue import resolve_model
from medtransfer.study.plan import Trial, plan_trials
from medtransfer.study.preparation import PreparedModel, PreparedTask, TaskLocation
from medtransfer.study.study import Study
from medtransfer.tasks.own_data import open_own_data
from medtransfer.tasks.own_data_declaration import parse_own_data


def trials(root: Path, **declared: Any) -> list[Trial]:
    """Plan a study on the drawn lesions."""
    declaration = {"root": "lesions", "patient_pattern": "^([bm][0-9]+)_", **declared}
    study = Study.parse(
        {
            "name": "own",
            "tasks": [{"lesions": declaration}],
            "models": ["resnet20.random"],
            "protocols": ["linear"],
        }
    )
    task, cases = open_own_data("lesions", declaration, root / "lesions")
    location = TaskLocation("lesions", root / "lesions", declaration)
    prepared = PreparedTask(task, location, cases, cases.content_hash())
    model = PreparedModel(resolve_model("resnet20.random"), "random")
    return plan_trials(study, {"lesions": prepared}, {"resnet20.random": model})


def test_the_margin_is_carried_to_the_facts_and_changes_no_fingerprint(lesions: Path) -> None:
    (plain,), (declared,) = trials(lesions), trials(lesions, equivalence_margin=0.02)
    assert plain.description.facts["equivalence_margin"] is None
    assert declared.description.facts["equivalence_margin"] == 0.02
    assert declared.task.task.equivalence_margin == 0.02
    assert declared.fingerprint == plain.fingerprint
    assert declared.task.data_hash == plain.task.data_hash
    assert declared.seed == plain.seed


@pytest.mark.parametrize("margin", [0, -0.1, math.nan, math.inf, -math.inf, "0.1", True, [0.1]])
def test_a_margin_is_a_positive_number(margin: Any) -> None:
    with pytest.raises(UsageError, match=r"^task 'own': equivalence_margin: expected a "):
        parse_own_data("own", {"root": "x", "equivalence_margin": margin})


def test_a_margin_is_below_the_range_of_a_declared_metric() -> None:
    parse_own_data("own", {"root": "x", "equivalence_margin": 0.99, "metrics": ["auc"]})
    for margin in (1, 1.0, 5):
        with pytest.raises(UsageError, match="less than 1, the range of the primary metric 'accuracy', got"):
            parse_own_data("own", {"root": "x", "equivalence_margin": margin, "metrics": ["accuracy", "auc"]})


def test_a_margin_is_below_the_range_of_the_metric_the_files_decide(lesions: Path) -> None:
    declaration = {"root": "lesions", "equivalence_margin": 2.0}
    parse_own_data("lesions", declaration)
    with pytest.raises(
        UsageError, match=r"task 'lesions': equivalence_margin: .* primary metric 'auc', got 2"
    ):
        open_own_data("lesions", declaration, lesions / "lesions")


def test_a_misspelt_margin_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'equivalence_margin'"):
        parse_own_data("own", {"root": "x", "equivalence_margins": 0.1})


def test_tasks_show_tells_the_margin(
    medtransfer: Any, write_study: Callable[..., Path], lesions: Path
) -> None:
    path = write_study(
        {
            "name": "own",
            "tasks": [{"lesions": {"root": "lesions", "equivalence_margin": 0.03}}],
            "models": ["resnet20.random"],
            "protocols": ["linear"],
        }
    )
    shown = medtransfer("tasks", "show", "lesions", "--study", path, "--data", lesions)
    assert shown.code == 0
    assert "\nequivalence_margin: 0.03\n" in shown.out
    assert medtransfer("tasks", "show", "breastmnist", "--json").json()["equivalence_margin"] == 0.01
    assert medtransfer("tasks", "show", "lesions").code == 2
