"""Which epoch's weights are kept."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medtransfer.core.errors import TrialError
from medtransfer.training.best_weights import BestWeights


def offered(best: BestWeights, losses: list[float], metrics: list[float | None]) -> BestWeights:
    layer = nn.Linear(1, 1)
    for epoch, (loss, metric) in enumerate(zip(losses, metrics, strict=True)):
        nn.init.constant_(layer.weight, epoch)
        best.offer(epoch, layer, loss, metric)
    nn.init.constant_(layer.weight, -1.0)
    return best


@pytest.mark.parametrize(
    ("best", "epoch", "waited"),
    [
        (BestWeights("loss"), 1, 2),
        (BestWeights("metric"), 2, 1),
        (BestWeights("metric", higher_is_better=False), 0, 3),
    ],
)
def test_best_epoch_and_its_weights(best: BestWeights, epoch: int, waited: int) -> None:
    offered(best, [3.0, 1.0, 2.0, 1.0], [0.5, 0.6, 0.9, 0.9])
    assert (best.epoch, best.epochs_without_improvement) == (epoch, waited)
    torch.testing.assert_close(best.state["weight"], torch.tensor([[float(epoch)]]))


def test_undefined_metric_ends_the_trial_only_when_it_selects() -> None:
    offered(BestWeights("loss"), [1.0], [None])
    with pytest.raises(TrialError, match="select_on") as caught:
        offered(BestWeights("metric"), [1.0], [None])
    assert caught.value.reason == "undefined_metric"
