"""Means over what is known: neither the order of cases nor the parts they come in may change a loss."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medtransfer.core.errors import TrialError
from medtransfer.core.task_kind import TaskKind
from medtransfer.training.goal import Goal
from medtransfer.training.learning_rate import LearningRate
from medtransfer.training.losses import Loss, build_loss
from medtransfer.training.optimiser_steps import OptimiserSteps
from medtransfer.training.optimisers import build_optimiser
from medtransfer.training.recipe import TrainingRecipe
from medtransfer.training.step_losses import StepLosses
from medtransfer.training.training_data import TensorBatch
from medtransfer.training.validation_pass import validate

CASES = 12
CPU = torch.device("cpu")


class NoMetric:
    def add(self, logits: Tensor, rows: object) -> None: ...

    def value(self) -> None: ...


def findings(known: float = 0.4) -> tuple[Tensor, Tensor, nn.Module]:
    """Return inputs, labels of three findings, of which the last cases know few, and a network."""
    random = torch.Generator().manual_seed(0)
    labels = (torch.rand(CASES, 3, generator=random) < 0.5).float()
    labels[torch.rand(CASES, 3, generator=random) > known] = torch.nan
    labels[6:, :2] = torch.nan
    return torch.randn(CASES, 4, generator=random), labels, nn.Linear(4, 3)


def masks(classes: int) -> tuple[Tensor, Tensor, nn.Module]:
    """Return inputs, masks whose objects lie in the first cases, and a network."""
    random = torch.Generator().manual_seed(1)
    truth = torch.randint(0, classes + 1, (CASES, 6, 6), generator=random, dtype=torch.uint8)
    truth[5:] *= (torch.rand(CASES - 5, 6, 6, generator=random) < 0.05).to(torch.uint8)
    outputs = 1 if classes == 1 else classes + 1
    return torch.randn(CASES, 2, 6, 6, generator=random), truth, nn.Conv2d(2, outputs, 1)


def recipe(**settings: Any) -> TrainingRecipe:
    return TrainingRecipe(epochs=1, warmup_epochs=0, **settings)


WORKS: dict[str, tuple[Loss, tuple[Tensor, Tensor, nn.Module]]] = {
    "unknown labels": (build_loss(TaskKind.MULTI_LABEL, recipe(), unknown_labels=True), findings()),
    "unknown weighted labels": (
        build_loss(TaskKind.MULTI_LABEL, recipe(), class_weights=(1.0, 2.0, 9.0), unknown_labels=True),
        findings(),
    ),
    "known labels": (
        build_loss(TaskKind.MULTI_LABEL, recipe()),
        (*[part.nan_to_num(1.0) for part in findings()[:2]], nn.Linear(4, 3)),
    ),
    "pixels of one class": (
        build_loss(TaskKind.SEGMENTATION, recipe(mask_loss="bce", pixel_weights=(0.01, 1.0))),
        masks(1),
    ),
    "pixels of two classes": (
        build_loss(TaskKind.SEGMENTATION, recipe(mask_loss="bce", pixel_weights=(1.0, 3.0, 10.0))),
        masks(2),
    ),
    "pixels and overlap": (
        build_loss(TaskKind.SEGMENTATION, recipe(mask_loss="bce+dice", pixel_weights=(1.0, 20.0))),
        masks(1),
    ),
}


@pytest.fixture(params=list(WORKS))
def work(request: pytest.FixtureRequest) -> tuple[Loss, tuple[Tensor, Tensor, nn.Module]]:
    return WORKS[request.param]


def batches(inputs: Tensor, targets: Tensor, order: Tensor, size: int) -> Iterator[TensorBatch]:
    for rows in order.split(size):
        yield TensorBatch(inputs[rows], targets[rows], rows.numpy())


def validation_loss(
    loss: Loss, data: tuple[Tensor, Tensor, nn.Module], *, size: int, order: Tensor | None = None
) -> float:
    inputs, targets, network = data
    order = torch.arange(CASES) if order is None else order
    goal = Goal(loss, NoMetric)
    return validate(network, batches(inputs, targets, order, size), goal, CPU, 0)[0]


def test_validation_does_not_depend_on_batches(work: tuple[Loss, tuple[Tensor, Tensor, nn.Module]]) -> None:
    loss, (inputs, targets, network) = work
    with torch.no_grad():
        whole = float(loss(network(inputs), targets))
    turned = torch.from_numpy(np.random.default_rng(0).permutation(CASES))
    for size in (1, 4, 5, CASES):
        for order in (None, turned):
            found = validation_loss(loss, (inputs, targets, network), size=size, order=order)
            assert found == pytest.approx(whole, rel=1e-5)


def test_validation_over_nothing_known_is_no_success() -> None:
    inputs, labels, network = findings()
    loss = build_loss(TaskKind.MULTI_LABEL, recipe(), unknown_labels=True)
    with pytest.raises(TrialError, match="known labels among the 12 validation cases") as caught:
        validation_loss(loss, (inputs, torch.full_like(labels, torch.nan), network), size=4)
    assert caught.value.reason == "no_validation_labels"


def step(
    loss: Loss, data: tuple[Tensor, Tensor, nn.Module], micro_batch: int | None
) -> tuple[list[Tensor], float]:
    """Take one step over all cases; return its gradients and the loss it told."""
    inputs, targets, network = data
    optimiser = build_optimiser(network, recipe(learning_rate=1e-12))
    steps = OptimiserSteps(
        SimpleNamespace(device=CPU, backward=lambda loss: loss.backward()),  # type: ignore[arg-type]
        network,
        optimiser,
        LearningRate(recipe(learning_rate=1e-12), 1),
        loss,
        losses=StepLosses(1),
        micro_batch=micro_batch,
    )
    told = steps.run_epoch(0, batches(inputs, targets, torch.arange(CASES), CASES))
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None], told


@pytest.mark.parametrize("most", [1, 5])
def test_parts_of_a_batch_give_its_gradient(
    work: tuple[Loss, tuple[Tensor, Tensor, nn.Module]], most: int
) -> None:
    loss, data = work
    whole, loss_of_whole = step(loss, data, None)
    parts, loss_of_parts = step(loss, data, most)
    assert loss_of_parts == pytest.approx(loss_of_whole, rel=1e-5)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)


def test_a_batch_without_a_known_label_gives_no_gradient() -> None:
    inputs, labels, network = findings()
    loss = build_loss(TaskKind.MULTI_LABEL, recipe(), unknown_labels=True)
    gradients, told = step(loss, (inputs, torch.full_like(labels, torch.nan), network), 4)
    assert told == 0
    assert all(not gradient.any() for gradient in gradients)
