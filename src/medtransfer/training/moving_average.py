"""An exponential moving average of a network's weights, kept beside the training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage:
    """A copy of a network that follows it slowly; counts and other whole numbers are copied.

    Args:
        network: What is trained; the copy starts as it is after the first step.
        decay: Share of the average that a step keeps, in (0, 1); (1 + t) / (10 + t) at step t where that is
            smaller, so that a short training is not averaged with its start.

    Reference:
        Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on
        Control and Optimization 30, 1992, in its exponential form.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._followed = network
        self._decay = decay
        self._averaged = AveragedModel(network, multi_avg_fn=self._follow, use_buffers=True)

    @property
    def network(self) -> nn.Module:
        """The network with averaged weights and statistics."""
        module: nn.Module = self._averaged.module
        return module

    def update(self) -> None:
        """Take one step towards the followed network."""
        self._averaged.update_parameters(self._followed)

    def _follow(self, averaged: Sequence[Tensor], current: Sequence[Tensor], steps: Any) -> None:
        taken = float(steps)
        kept = min(self._decay, (1 + taken) / (10 + taken))
        with torch.no_grad():
            if averaged[0].is_floating_point():
                torch._foreach_lerp_(list(averaged), list(current), 1 - kept)
            else:
                torch._foreach_copy_(list(averaged), list(current))
