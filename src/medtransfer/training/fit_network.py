"""The training loop: the one place where weights change."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins import Precision as FabricPrecision
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from torch import nn

from medtransfer.core.kept_memory import HUGE_PAGES_FROM_PASSES, kept_memory
from medtransfer.core.progress import Progress, no_progress
from medtransfer.core.seeds import seed_from
from medtransfer.training.best_weights import BestWeights, State, copy_state
from medtransfer.training.determinism import reproducible
from medtransfer.training.execution import Execution
from medtransfer.training.goal import Goal
from medtransfer.training.learning_rate import LearningRate
from medtransfer.training.moving_average import MovingAverage
from medtransfer.training.optimiser_steps import OptimiserSteps
from medtransfer.training.optimisers import NO_FACTORS, RateFactors, build_optimiser
from medtransfer.training.recipe import Precision, TrainingRecipe
from medtransfer.training.step_losses import StepLosses
from medtransfer.training.training_data import TrainingData, steps_per_epoch
from medtransfer.training.validation_pass import validate

_ACCELERATORS = frozenset({"cpu", "cuda", "mps"})


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
    """Steps, cases seen, whether training stopped early and, off the plain path, ``execution``; JSON values."""


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
    before and after. How a device works is decided by its
    :class:`~medtransfer.training.device_policy.DevicePolicy`.

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
            ``undefined_metric`` when selection is on a metric that validation cannot define,
            ``cannot_compile`` when the policy asks for compiled steps and the network cannot be compiled.
        UsageError: If the environment variable of the policy cannot be understood.
    """
    execution = Execution.plan(network, data, recipe, device)
    average = None if recipe.average_decay is None else MovingAverage(network, recipe.average_decay)
    scored = network if average is None else average.network
    steps = _build_steps(network, recipe, goal, execution, average, rate_factors)
    best = BestWeights(recipe.select_on, higher_is_better=goal.higher_is_better)
    curve: list[Mapping[str, float | None]] = []
    with (
        _memory(execution, recipe.epochs * steps_per_epoch(execution.data)),
        reproducible(seed_from("training", seed), execution.place),
    ):
        for epoch in range(recipe.epochs):
            with execution.training_steps():
                train_loss = steps.run_epoch(epoch, execution.data.training(epoch))
            val_loss, val_metric = validate(scored, execution.data.validation(), goal, execution.place, epoch)
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
        **execution.facts(),
    }
    return FitResult(best.state, copy_state(scored), best.epoch, tuple(curve), facts)


def _memory(execution: Execution, steps: int) -> AbstractContextManager[None]:
    if execution.place.type != "cpu":
        return nullcontext()
    return kept_memory(huge_pages=steps >= HUGE_PAGES_FROM_PASSES)


def _build_steps(
    network: nn.Module,
    recipe: TrainingRecipe,
    goal: Goal,
    execution: Execution,
    average: MovingAverage | None,
    rate_factors: RateFactors,
) -> OptimiserSteps:
    kind = execution.place.type
    fabric = Fabric(
        # Named, because left to choose Fabric takes the machine's GPU and then refuses to train on the CPU.
        accelerator=kind if kind in _ACCELERATORS else "auto",
        strategy=SingleDeviceStrategy(execution.place),
        plugins=_number_format(recipe.precision, kind),
    )
    optimiser = build_optimiser(network, recipe, rate_factors)
    forward, wrapped = fabric.setup(execution.as_trained(network), optimiser)
    return OptimiserSteps(
        fabric,
        forward,
        wrapped,
        LearningRate(recipe, steps_per_epoch(execution.data)),
        goal.loss,
        losses=StepLosses(execution.policy.steps_per_look),
        micro_batch=recipe.micro_batch,
        average=average,
    )


def _number_format(precision: Precision, kind: str) -> FabricPrecision:
    # As a plugin rather than by name, because Fabric prints a line for some names at every training.
    return FabricPrecision() if precision == "fp32" else MixedPrecision(precision, kind)


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
