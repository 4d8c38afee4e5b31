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
    """Return loss and metric of a pass in evaluation mode and in full precision.

    Each term of the loss is the mean over what it counts, in the whole pass: cases, known labels, or the weights of
    pixels. Only a Dice of whole batches depends on how cases fall into them.

    Args:
        network: On the device.
        batches: On the device too.
        goal: Loss and metric.
        place: The device.
        epoch: Number of the epoch, for messages.

    Raises:
        TrialError: If the loss is NaN or infinite, there are no cases, or nothing is known of them.
    """
    network.eval()
    metric = goal.start_metric()
    sums, counts, cases = [0.0] * len(goal.loss.terms), [0.0] * len(goal.loss.terms), 0
    with torch.inference_mode():
        for rows, (logits, means, counted) in read_later(_passed(network, batches, goal), place):
            for term, (mean, count) in enumerate(zip(means.tolist(), counted.tolist(), strict=True)):
                sums[term] += mean * count if count else 0.0
                counts[term] += count
            cases += len(rows)
            metric.add(logits, rows)
    if cases == 0:
        raise TrialError("no_validation_cases", "training: expected validation cases to select on, got none.")
    if 0 in counts:
        raise TrialError(
            "no_validation_labels",
            f"training: expected known labels among the {cases} validation cases to select on, got none.",
        )
    mean = sum(total / count for total, count in zip(sums, counts, strict=True))
    if not math.isfinite(mean):
        raise non_finite("validation loss", mean, f"the end of epoch {epoch}")
    return mean, metric.value()


def _passed(
    network: nn.Module, batches: Iterator[TensorBatch], goal: Goal
) -> Iterator[tuple[IndexArray, tuple[Tensor, ...]]]:
    for batch in batches:
        logits = network(batch.inputs)
        means = torch.stack(goal.loss.means(logits, batch.targets))
        counts = [
            torch.full_like(mean, len(batch.rows)) if count is None else count.to(mean.dtype)
            for mean, count in zip(means, goal.loss.counts(batch.targets), strict=True)
        ]
        yield batch.rows, (logits, means, torch.stack(counts))
