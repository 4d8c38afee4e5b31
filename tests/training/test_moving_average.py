"""The moving average of weights against its recursion written out."""

from __future__ import annotations

import torch
from torch import nn

from medtransfer.training.moving_average import MovingAverage


def test_follows_the_recursion_with_its_warm_up() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = MovingAverage(network, 0.5)
    values, expected = [1.0, 2.0, 4.0, 8.0, -3.0, 0.0, 5.0, 5.0, 9.0], []
    for step, value in enumerate(values):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update()
        kept = min(0.5, (1 + step) / (10 + step))
        expected.append(value if step == 0 else kept * expected[-1] + (1 - kept) * value)
        found = average.network.weight.item()
        assert abs(found - expected[-1]) < 1e-5, step


def test_statistics_are_averaged_and_counts_copied() -> None:
    network = nn.BatchNorm1d(2)
    average = MovingAverage(network, 0.9)
    network.train()
    for step in range(3):
        network(torch.randn(8, 2, generator=torch.Generator().manual_seed(step)) + step)
        average.update()
    averaged = average.network
    assert int(averaged.num_batches_tracked) == 3
    assert not torch.equal(averaged.running_mean, network.running_mean)
    assert (averaged.running_mean > 0).all()


def test_the_followed_network_is_not_touched() -> None:
    network = nn.Linear(3, 3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    MovingAverage(network, 0.9).update()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
