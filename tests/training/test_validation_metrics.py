"""The metric of a validation pass is the task's metric on the validation cases."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.decoding import resize_mask
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.validation_metrics import build_goal

RECIPE = TrainingRecipe()


def test_labels(drawn: ModuleType) -> None:
    cases = drawn.drawn_labels(40)
    rows = cases.indices("val")
    logits = torch.linspace(-1, 1, len(rows)).roll(2)[:, None]
    goal = build_goal(cases, "auc", RECIPE, masks=None, validate=rows)
    for _ in range(2):
        metric = goal.start_metric()
        metric.add(logits[:4], rows[:4])
        metric.add(logits[4:], rows[4:])
        assert metric.value() == pytest.approx(roc_auc_score(cases.labels()[rows], logits[:, 0].numpy()))
    assert goal.higher_is_better


def test_undefined_metric_is_none(drawn: ModuleType) -> None:
    cases = drawn.drawn_labels(40)
    rows = np.flatnonzero(cases.labels() == 1)[:3]
    metric = build_goal(cases, "auc", RECIPE, masks=None, validate=rows).start_metric()
    metric.add(torch.zeros(3, 1), rows)
    assert metric.value() is None


@pytest.mark.parametrize(("name", "in_view"), [("dice", False), ("dice-fov", True)])
def test_masks_in_the_network_s_resolution(drawn: ModuleType, name: str, in_view: bool) -> None:
    cases = drawn.drawn_masks(10, view=True)
    rows = cases.indices("val")
    masks = np.stack([resize_mask(cases.source.arrays[f"m{n}"], 16) for n in range(10)])
    logits = torch.randn(len(rows), 1, 16, 16, generator=torch.Generator().manual_seed(0))
    goal = build_goal(cases, name, RECIPE, masks=masks, validate=rows)
    metric = goal.start_metric()
    metric.add(logits, rows)
    values = []
    for row, values_of_case in zip(rows, logits[:, 0].numpy() > 0, strict=True):
        view = resize_mask(cases.source.arrays[f"v{row}"], 16) > 0 if in_view else np.ones((16, 16), bool)
        truth, predicted = masks[row][view] > 0, values_of_case[view]
        values.append(2 * (truth & predicted).sum() / (truth.sum() + predicted.sum()))
    assert metric.value() == pytest.approx(np.mean(values))


def test_loss_is_that_of_the_kind(drawn: ModuleType) -> None:
    goal = build_goal(drawn.drawn_labels(9), "auc", RECIPE, masks=None, validate=np.arange(3))
    value = goal.loss(torch.zeros(4, 1), torch.tensor([0, 1, 1, 0]))
    assert value.item() == pytest.approx(np.log(2))
    assert goal.loss(torch.tensor([[9.0]]), torch.tensor([1])).item() < 1e-3
    assert drawn.drawn_labels(9).kind is TaskKind.BINARY
