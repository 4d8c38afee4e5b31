"""Which weights of a training to keep: those of the best epoch so far, on validation."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from medtransfer.core.errors import TrialError

State = dict[str, Tensor]


class BestWeights:
    """The state of the best epoch, and how long ago it was.

    Args:
        select_on: Whether the validation loss or the validation metric is compared.
        higher_is_better: Direction of the metric; a loss is always better when lower.
    """

    def __init__(self, select_on: Literal["loss", "metric"], *, higher_is_better: bool = True) -> None:
        self._select_on = select_on
        self._sign = 1.0 if select_on == "metric" and higher_is_better else -1.0
        self._score = -math.inf
        self.state: State = {}
        self.epoch = -1
        self.epochs_without_improvement = 0

    def offer(self, epoch: int, network: nn.Module, loss: float, metric: float | None) -> None:
        """Keep the weights of an epoch if they are better than all before; of equal ones the first stay.

        Raises:
            TrialError: If the metric decides and is undefined or not finite.
        """
        value = loss if self._select_on == "loss" else metric
        if value is None or not math.isfinite(value):
            raise TrialError(
                "undefined_metric",
                f"training: expected a validation {self._select_on} to select on, got {value} after epoch "
                f"{epoch}. Set select_on to 'loss', or use more validation cases.",
            )
        if self._sign * value > self._score:
            self._score, self.epoch = self._sign * value, epoch
            self.state = copy_state(network)
            self.epochs_without_improvement = 0
        else:
            self.epochs_without_improvement += 1


def copy_state(network: nn.Module) -> State:
    """Return a copy of a network's parameters and buffers that later training does not change."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
