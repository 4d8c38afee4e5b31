"""One pass over the validation cases: their loss and the task's metric."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from medtransfer.core.errors import TrialError
from medtransfer.data.device_copies import read_later
from medtransfer.training.goal import Goal
from medtransfer.training.step_losses import non_finite
from medtransfer.training.training_data import IndexArray, TensorBatch


def validate(
    network: nn.Module, batches: Iterator[TensorBatch], goal: Goal, place: torch.device, epoch: int
) -> tuple[float, float | None]:
    """Return loss (mean over cases) and metric of a pass in evaluation mode and in full precision.

    Args:
        network: On the device.
        batches: On the device too.
        goal: Loss and metric.
        place: The device.
        epoch: Number of the epoch, for messages.

    Raises:
        TrialError: If the loss is NaN or infinite, or there are no cases.
    """
    network.eval()
    metric = goal.start_metric()
    total, cases = 0.0, 0
    with torch.inference_mode():
        for rows, (logits, loss) in read_later(_passed(network, batches, goal), place):
            total += float(loss) * len(rows)
            cases += len(rows)
            metric.add(logits, rows)
    if cases == 0:
        raise TrialError("no_validation_cases", "training: expected validation cases to select on, got none.")
    mean = total / cases
    if not math.isfinite(mean):
        raise non_finite("validation loss", mean, f"the end of epoch {epoch}")
    return mean, metric.value()


def _passed(
    network: nn.Module, batches: Iterator[TensorBatch], goal: Goal
) -> Iterator[tuple[IndexArray, tuple[Tensor, ...]]]:
    for batch in batches:
        logits = network(batch.inputs)
        yield batch.rows, (logits, goal.loss(logits, batch.targets))
