"""The moving average of weights against its recursion written out."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

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


def test_without_a_warm_up_it_is_torch_s_own_average() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    ours = MovingAverage(network, 0.09)  # the warm-up begins at a tenth
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.09), use_buffers=True)
    for step in range(4):
        network.train()(torch.randn(8, 3, generator=torch.Generator().manual_seed(step)))
        with torch.no_grad():
            network[0].weight.mul_(1.5)
        ours.update()
        theirs.update_parameters(network)
    expected = theirs.module.state_dict()
    for name, tensor in ours.network.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, expected[name])
