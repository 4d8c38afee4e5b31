"""The training loop: the one place where weights change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from torch import Tensor, nn

from medtransfer.core.errors import TrialError
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.seeds import seed_from
from medtransfer.training.best_weights import BestWeights, State, copy_state
from medtransfer.training.determinism import reproducible
from medtransfer.training.learning_rate import LearningRate
from medtransfer.training.losses import Loss
from medtransfer.training.moving_average import MovingAverage
from medtransfer.training.optimisers import NO_FACTORS, RateFactors, build_optimiser
from medtransfer.training.recipe import Precision, TrainingRecipe
from medtransfer.training.training_data import IndexArray, TensorBatch, TrainingData, steps_per_epoch

_FABRIC_PRECISION: Mapping[Precision, Literal["32-true", "bf16-mixed"]] = {
    "fp32": "32-true",
    "bf16-mixed": "bf16-mixed",
}


class ValidationMetric(Protocol):
    """Collects the logits of one validation pass and returns the metric of the pass."""

    def add(self, logits: Tensor, rows: IndexArray) -> None:
        """Take the logits of some cases."""

    def value(self) -> float | None:
        """Return the metric of all cases taken; None where it is undefined."""


@dataclass(frozen=True)
class Goal:
    """What training lowers and what validation measures."""

    loss: Loss
    """Mean loss of a batch."""
    start_metric: Callable[[], ValidationMetric]
    """Returns an empty metric for one validation pass."""
    higher_is_better: bool = True
    """Direction of the metric."""


@dataclass(frozen=True)
class FitResult:
    """Weights at two moments and what happened between them."""

    best_state: State
    """State of the epoch with the best selected value; the first of equal ones."""
    last_state: State
    """State after the last epoch."""
    best_epoch: int
    """Number of the best epoch, from 0."""
    curve: tuple[Mapping[str, float | None], ...]
    """Per epoch: epoch, train_loss, val_loss, val_metric, learning_rate (of its last step)."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Steps, cases seen and whether training stopped early; JSON values."""


def fit_network(
    network: nn.Module,
    data: TrainingData,
    recipe: TrainingRecipe,
    goal: Goal,
    *,
    seed: int,
    device: str = "cpu",
    progress: Progress = no_progress,
    rate_factors: RateFactors = NO_FACTORS,
) -> FitResult:
    """Train a network in place and return its best and last weights.

    The same arguments give the same numbers, bit for bit on the CPU; torch's random state is the same
    before and after.

    Args:
        network: Takes a batch's inputs and returns logits; trained where ``requires_grad``.
        data: Training and validation cases.
        recipe: How to train.
        goal: Loss and metric.
        seed: Seed of dropout and the like; order and views have the data's own seed.
        device: Where to train, such as ``cpu`` or ``cuda:0``.
        progress: Told about the epochs.
        rate_factors: What the learning rate of single parameters is multiplied by.

    Raises:
        TrialError: ``non_finite_loss`` when a loss or a gradient is NaN or infinite,
            ``undefined_metric`` when selection is on a metric that validation cannot define.
    """
    place = torch.device(device)
    fabric = Fabric(strategy=SingleDeviceStrategy(place), precision=_FABRIC_PRECISION[recipe.precision])
    network.to(place)
    forward, optimiser = fabric.setup(network, build_optimiser(network, recipe, rate_factors))
    steps = _Steps(fabric, forward, optimiser, LearningRate(recipe, steps_per_epoch(data)), goal.loss)
    steps.micro_batch = recipe.micro_batch
    steps.average = None if recipe.average_decay is None else MovingAverage(network, recipe.average_decay)
    scored = network if steps.average is None else steps.average.network
    best = BestWeights(recipe.select_on, higher_is_better=goal.higher_is_better)
    curve: list[Mapping[str, float | None]] = []
    with reproducible(seed_from("training", seed), place):
        for epoch in range(recipe.epochs):
            train_loss = steps.run_epoch(epoch, data.training(epoch))
            val_loss, val_metric = validate(scored, data.validation(), goal, place, epoch)
            curve.append(_point(epoch, train_loss, val_loss, val_metric, steps.last_rate))
            steps.rate.end_epoch(epoch, val_loss)
            best.offer(epoch, scored, val_loss, val_metric)
            progress("training epochs", epoch + 1, recipe.epochs)
            if best.epochs_without_improvement > recipe.patience:
                break
    facts = {
        "epochs": len(curve),
        "steps": steps.count,
        "cases_seen": steps.cases,
        "stopped_early": len(curve) < recipe.epochs,
    }
    return FitResult(best.state, copy_state(scored), best.epoch, tuple(curve), facts)


def validate(
    network: nn.Module, batches: Iterator[TensorBatch], goal: Goal, device: torch.device, epoch: int
) -> tuple[float, float | None]:
    """Return loss (mean over cases) and metric of a pass in evaluation mode and in full precision.

    Raises:
        TrialError: If the loss is NaN or infinite, or there are no cases.
    """
    network.eval()
    metric = goal.start_metric()
    total, cases = 0.0, 0
    with torch.inference_mode():
        for batch in batches:
            logits = network(on_device(batch.inputs, device))
            total += float(goal.loss(logits, batch.targets.to(device))) * len(batch.rows)
            cases += len(batch.rows)
            metric.add(logits, batch.rows)
    if cases == 0:
        raise TrialError("no_validation_cases", "training: expected validation cases to select on, got none.")
    loss = total / cases
    if not math.isfinite(loss):
        raise _non_finite("validation loss", loss, f"the end of epoch {epoch}")
    return loss, metric.value()


def on_device(inputs: Tensor | list[Tensor], device: torch.device) -> Tensor | list[Tensor]:
    """Return a tensor, or each of a list, on a device."""
    if isinstance(inputs, Tensor):
        return inputs.to(device, non_blocking=True)
    return [tensor.to(device, non_blocking=True) for tensor in inputs]


def parts_of(batch: TensorBatch, most: int) -> Iterator[TensorBatch]:
    """Yield a batch in parts of about equal size, each of at most ``most`` cases.

    Equal sizes keep batch normalisation from meeting a single case at the end.
    """
    places = np.array_split(np.arange(len(batch.rows)), math.ceil(len(batch.rows) / most))
    for place in places:
        window = slice(int(place[0]), int(place[-1]) + 1)
        inputs = (
            batch.inputs[window]
            if isinstance(batch.inputs, Tensor)
            else [tensor[window] for tensor in batch.inputs]
        )
        yield TensorBatch(inputs, batch.targets[window], batch.rows[window])


class _Steps:
    """The optimiser steps of a fit, counted."""

    def __init__(
        self, fabric: Fabric, forward: nn.Module, optimiser: Any, rate: LearningRate, loss: Loss
    ) -> None:
        self.fabric = fabric
        self.forward = forward
        self.optimiser = optimiser
        self.rate = rate
        self.loss = loss
        self.count = 0
        self.cases = 0
        self.last_rate = 0.0
        self.micro_batch: int | None = None
        self.average: MovingAverage | None = None

    def run_epoch(self, epoch: int, batches: Iterator[TensorBatch]) -> float:
        """Take one step per batch and return the mean loss over cases."""
        self.forward.train()
        total, cases = 0.0, 0
        for step, batch in enumerate(batches):
            self._set_rate(self.rate.at(epoch, step))
            total += self._step(batch, f"step {self.count} (epoch {epoch})") * len(batch.rows)
            cases += len(batch.rows)
        self.cases += cases
        return total / cases

    def _step(self, batch: TensorBatch, where: str) -> float:
        self.optimiser.zero_grad(set_to_none=True)
        value = self._finite_loss(self._backward(batch), where)
        self.optimiser.step()
        if self.average is not None:
            self.average.update()
        self.count += 1
        return value

    def _backward(self, batch: TensorBatch) -> Tensor:
        """Add up the gradients of a batch and return its mean loss."""
        device, cases = self.fabric.device, len(batch.rows)
        if self.micro_batch is None or cases <= self.micro_batch:
            loss = self.loss(self.forward(on_device(batch.inputs, device)), batch.targets.to(device))
            self.fabric.backward(loss)
            return loss.detach()
        total = torch.zeros((), device=device)
        for part in parts_of(batch, self.micro_batch):
            share = len(part.rows) / cases
            loss = self.loss(self.forward(on_device(part.inputs, device)), part.targets.to(device)) * share
            self.fabric.backward(loss)
            total += loss.detach().float()
        return total

    def _set_rate(self, rate: float) -> None:
        self.last_rate = rate
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["rate_factor"]

    def _finite_loss(self, loss: Tensor, where: str) -> float:
        """Return the loss as a number, after a look at it and at every gradient."""
        groups = self.optimiser.param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        value, gradient = torch.stack([loss.float(), norm.float()]).tolist()
        if not math.isfinite(value):
            raise _non_finite("loss", value, where)
        if not math.isfinite(gradient):
            largest = float(torch.nn.utils.get_total_norm(gradients, math.inf))
            if not math.isfinite(largest):
                raise _non_finite("gradient", largest, where)
        return float(value)


def _non_finite(what: str, number: float, where: str) -> TrialError:
    return TrialError(
        "non_finite_loss",
        f"training: expected a finite {what}, got {number} at {where}. Lower the learning rate.",
    )


def _point(
    epoch: int, train_loss: float, val_loss: float, val_metric: float | None, rate: float
) -> Mapping[str, float | None]:
    return {
        "epoch": epoch,
        "train_loss": train_loss,
        "val_loss": val_loss,
        "val_metric": val_metric,
        "learning_rate": rate,
    }
