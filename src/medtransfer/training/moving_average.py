"""An exponential moving average of a network's weights, kept beside the training."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import chain

import torch
from torch import Tensor, nn


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
        self.network = deepcopy(network)
        """The network with averaged weights and statistics."""
        self._followed = network
        self._decay = decay
        self._taken = 0

    def update(self) -> None:
        """Take one step towards the followed network; steps are counted here, so no device is waited for."""
        kept = min(self._decay, (1 + self._taken) / (10 + self._taken))
        with torch.no_grad():
            for averaged, current in self._pairs_by_type():
                if self._taken > 0 and averaged[0].is_floating_point():
                    torch._foreach_lerp_(averaged, current, 1 - kept)
                else:
                    torch._foreach_copy_(averaged, current)
        self._taken += 1

    def _pairs_by_type(self) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
        """Yield the averaged and the followed tensors of each number format."""
        found: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
        for averaged, current in zip(_tensors(self.network), _tensors(self._followed), strict=True):
            pair = found.setdefault(averaged.dtype, ([], []))
            pair[0].append(averaged)
            pair[1].append(current)
        yield from found.values()


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    return (tensor.detach() for tensor in chain(network.parameters(), network.buffers()))
