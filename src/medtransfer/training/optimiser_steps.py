"""The optimiser steps of a training: forward, backward, a look at the loss, the step, the average."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medtransfer.training.learning_rate import LearningRate
from medtransfer.training.losses import Loss
from medtransfer.training.moving_average import MovingAverage
from medtransfer.training.step_losses import StepLosses
from medtransfer.training.training_data import TensorBatch


class OptimiserSteps:
    """Takes optimiser steps and counts them.

    Args:
        fabric: Device and precision.
        forward: The network as it trains.
        optimiser: Over its parameters.
        rate: Learning rate of every step.
        loss: Mean loss of a batch.
        losses: Looks at the losses.
        micro_batch: Most cases in the network at once; None for no limit.
        average: Follows the weights; None for nobody.
    """

    def __init__(
        self,
        fabric: Fabric,
        forward: nn.Module,
        optimiser: Any,
        rate: LearningRate,
        loss: Loss,
        *,
        losses: StepLosses,
        micro_batch: int | None = None,
        average: MovingAverage | None = None,
    ) -> None:
        self._fabric = fabric
        self._forward = forward
        self._optimiser = optimiser
        self._loss = loss
        self._losses = losses
        self._micro_batch = micro_batch
        self._average = average
        self.rate = rate
        self.count = 0
        self.cases = 0
        self.last_rate = 0.0

    def run_epoch(self, epoch: int, batches: Iterator[TensorBatch]) -> float:
        """Take one step per batch and return the mean loss over cases.

        Raises:
            TrialError: ``non_finite_loss`` if a loss or a gradient is NaN or infinite.
        """
        self._forward.train()
        for step, batch in enumerate(batches):
            self._set_rate(self.rate.at(epoch, step))
            self._step(batch, f"step {self.count} (epoch {epoch})")
        mean, cases = self._losses.end_epoch()
        self.cases += cases
        return mean

    def _step(self, batch: TensorBatch, where: str) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        loss = self._backward(batch)
        groups = self._optimiser.param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        self._losses.add(loss, gradients, len(batch.rows), where)
        self._optimiser.step()
        if self._average is not None:
            self._average.update()
        self.count += 1

    def _backward(self, batch: TensorBatch) -> Tensor:
        """Add up the gradients of a batch and return its mean loss."""
        cases = len(batch.rows)
        if self._micro_batch is None or cases <= self._micro_batch:
            loss = self._loss(self._forward(batch.inputs), batch.targets)
            self._fabric.backward(loss)
            return loss.detach()
        total = torch.zeros((), device=self._fabric.device)
        of_batch: list[Tensor | None] = []
        for part in parts_of(batch, self._micro_batch):
            means = self._loss.means(self._forward(part.inputs), part.targets)
            of_batch = of_batch or self._loss.counts(batch.targets)  # means check the settings of the loss
            shares = [
                len(part.rows) / cases if whole is None or count is None else _share(count, whole)
                for count, whole in zip(self._loss.counts(part.targets), of_batch, strict=True)
            ]
            loss = self._loss.summed([mean * share for mean, share in zip(means, shares, strict=True)])
            self._fabric.backward(loss)
            total += loss.detach().float()
        return total

    def _set_rate(self, rate: float) -> None:
        self.last_rate = rate
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["rate_factor"]


def _share(count: Tensor, whole: Tensor) -> Tensor:
    """Return the share of a part in what a mean over the whole batch divides by; 0 of nothing is 0."""
    return torch.where(whole > 0, count / whole, 0.0)


def parts_of(batch: TensorBatch, most: int) -> Iterator[TensorBatch]:
    """Yield a batch in parts of about equal size, each of at most ``most`` cases.

    Batch normalisation may not be able to learn from a single case, so that no part has one unless ``most`` is 1:
    with ``most`` 2, one part of an odd batch has 3 cases.
    """
    cases = len(batch.rows)
    count = math.ceil(cases / most) if most == 1 else max(1, min(math.ceil(cases / most), cases // 2))
    places = np.array_split(np.arange(cases), count)
    for place in places:
        window = slice(int(place[0]), int(place[-1]) + 1)
        inputs = (
            batch.inputs[window]
            if isinstance(batch.inputs, Tensor)
            else [tensor[window] for tensor in batch.inputs]
        )
        yield TensorBatch(inputs, batch.targets[window], batch.rows[window])
