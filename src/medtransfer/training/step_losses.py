"""The losses of an epoch's steps: that each is finite, and their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from medtransfer.core.errors import TrialError


class StepLosses:
    """Looks at the loss and the gradients of every step, at once or some steps later.

    To look means to wait for the device. Where a look is taken every so many steps, a step that went wrong
    is still found and named; only the steps after it were computed in vain.

    Args:
        steps_per_look: Steps between looks; 1 looks before the optimiser takes the step.
    """

    def __init__(self, steps_per_look: int) -> None:
        self._steps_per_look = steps_per_look
        self._unseen: list[tuple[Tensor, int, str]] = []
        self._total = 0.0
        self._cases = 0

    def add(self, loss: Tensor, gradients: Sequence[Tensor], cases: int, where: str) -> None:
        """Take the mean loss of a step's cases and its gradients.

        Raises:
            TrialError: ``non_finite_loss`` if a look is due and something of a step is NaN or infinite.
        """
        if self._steps_per_look == 1:
            self._count(finite_loss(loss, gradients, where), cases)
            return
        # Finite exactly when every gradient is; the usual norm could overflow and ask for a second look.
        largest = torch.nn.utils.get_total_norm(gradients, math.inf)
        self._unseen.append((torch.stack([loss.float(), largest.float()]), cases, where))
        if len(self._unseen) >= self._steps_per_look:
            self._look()

    def end_epoch(self) -> tuple[float, int]:
        """Return the mean loss over the cases of the epoch and their number, and start the next.

        Raises:
            TrialError: As :meth:`add`, for steps not yet looked at.
        """
        self._look()
        mean, cases = self._total / self._cases, self._cases
        self._total, self._cases = 0.0, 0
        return mean, cases

    def _look(self) -> None:
        if not self._unseen:
            return
        unseen, self._unseen = self._unseen, []
        numbers = torch.stack([pair for pair, _, _ in unseen]).tolist()
        for (value, largest), (_, cases, where) in zip(numbers, unseen, strict=True):
            _require_finite("loss", value, where)
            _require_finite("gradient", largest, where)
            self._count(value, cases)

    def _count(self, value: float, cases: int) -> None:
        self._total += value * cases
        self._cases += cases


def finite_loss(loss: Tensor, gradients: Sequence[Tensor], where: str) -> float:
    """Return a loss as a number, after a look at it and at every gradient.

    Raises:
        TrialError: ``non_finite_loss`` if one is NaN or infinite.
    """
    norm = torch.nn.utils.get_total_norm(gradients)
    value, gradient = torch.stack([loss.float(), norm.float()]).tolist()
    _require_finite("loss", value, where)
    if not math.isfinite(gradient):
        _require_finite("gradient", float(torch.nn.utils.get_total_norm(gradients, math.inf)), where)
    return float(value)


def non_finite(what: str, number: float, where: str) -> TrialError:
    """Return the error of a training that ran away."""
    return TrialError(
        "non_finite_loss",
        f"training: expected a finite {what}, got {number} at {where}. Lower the learning rate.",
    )


def _require_finite(what: str, number: float, where: str) -> None:
    if not math.isfinite(number):
        raise non_finite(what, number, where)
