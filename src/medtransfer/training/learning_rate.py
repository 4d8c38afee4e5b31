"""The learning rate of every optimiser step, as a function of where training is."""

from __future__ import annotations

import math

from medtransfer.training.recipe import TrainingRecipe

WARMUP_START = 1 / 20
"""Share of the rate the warm-up begins with; at 0 the first steps would be lost."""


class LearningRate:
    """Warm-up, then cosine, plateau, exponential or constant; never 0.

    Args:
        recipe: Rate, schedule and numbers of epochs.
        steps_per_epoch: Optimiser steps in an epoch, at least 1.

    Reference:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, eq. 5.
    """

    def __init__(self, recipe: TrainingRecipe, steps_per_epoch: int) -> None:
        self._recipe = recipe
        self._steps_per_epoch = steps_per_epoch
        self._plateau_share = 1.0
        self._best = math.inf
        self._stalled = 0

    def at(self, epoch: int, step: int) -> float:
        """Return the rate of a step, both numbers counted from 0."""
        recipe = self._recipe
        if epoch < recipe.warmup_epochs:
            done = (epoch * self._steps_per_epoch + step) / (recipe.warmup_epochs * self._steps_per_epoch)
            return recipe.learning_rate * (WARMUP_START + (1 - WARMUP_START) * done)
        if recipe.schedule == "cosine":
            span = recipe.learning_rate - recipe.least_rate
            return recipe.least_rate + span * self._cosine_share(epoch, step)
        if recipe.schedule == "exponential":
            return float(recipe.learning_rate * recipe.epoch_factor ** (epoch - recipe.warmup_epochs))
        return recipe.learning_rate * self._plateau_share

    def end_epoch(self, epoch: int, validation_loss: float) -> None:
        """Lower the rate of ``plateau`` when the loss has stalled for too long; ignored in warm-up."""
        recipe = self._recipe
        if recipe.schedule != "plateau" or epoch < recipe.warmup_epochs:
            return
        if validation_loss < self._best * (1 - recipe.plateau_threshold):
            self._best, self._stalled = validation_loss, 0
            return
        self._stalled += 1
        if self._stalled > recipe.plateau_patience:
            self._plateau_share *= recipe.plateau_factor
            self._stalled = 0

    def _cosine_share(self, epoch: int, step: int) -> float:
        recipe = self._recipe
        passed = float(epoch - recipe.warmup_epochs)
        if recipe.cosine_step == "iteration":
            passed += step / self._steps_per_epoch
        return (1 + math.cos(math.pi * passed / (recipe.epochs - recipe.warmup_epochs))) / 2
