"""Schedules against torch's own, step by step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, ReduceLROnPlateau

from medtransfer.training.learning_rate import LearningRate
from medtransfer.training.recipe import TrainingRecipe


def recipe(**fields: Any) -> TrainingRecipe:
    return TrainingRecipe(**({"learning_rate": 0.5, "warmup_epochs": 0} | fields))


def torch_rates(steps: int, make: Any) -> list[float]:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = make(optimiser)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return rates


def ours(rate: LearningRate, epochs: int, steps: int) -> list[float]:
    return [rate.at(epoch, step) for epoch in range(epochs) for step in range(steps)]


def test_cosine_falls_with_every_step() -> None:
    expected = torch_rates(12, lambda optimiser: CosineAnnealingLR(optimiser, 12))
    found = ours(LearningRate(recipe(schedule="cosine", epochs=4), 3), 4, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_cosine_falls_to_the_least_rate() -> None:
    expected = torch_rates(12, lambda optimiser: CosineAnnealingLR(optimiser, 12, eta_min=0.1))
    found = ours(LearningRate(recipe(schedule="cosine", epochs=4, least_rate=0.1), 3), 4, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    warm = LearningRate(recipe(schedule="cosine", epochs=6, warmup_epochs=2, least_rate=0.1), 3)
    assert warm.at(0, 0) == pytest.approx(0.5 / 20)
    np.testing.assert_allclose(ours(warm, 6, 3)[6:], expected, rtol=1e-6)


def test_cosine_of_whole_epochs_stays_within_one() -> None:
    expected = torch_rates(4, lambda optimiser: CosineAnnealingLR(optimiser, 4))
    found = ours(LearningRate(recipe(schedule="cosine", epochs=4, cosine_step="epoch"), 3), 4, 3)
    np.testing.assert_allclose(found, np.repeat(expected, 3), rtol=1e-6)


@pytest.mark.parametrize("schedule", ["cosine", "plateau", "constant"])
def test_warm_up_rises_linearly_from_a_twentieth(schedule: str) -> None:
    expected = torch_rates(7, lambda optimiser: LinearLR(optimiser, 1 / 20, 1.0, total_iters=6))
    found = ours(LearningRate(recipe(schedule=schedule, epochs=10, warmup_epochs=2), 3), 3, 3)
    np.testing.assert_allclose(found[:7], expected, rtol=1e-6)
    assert found[0] == pytest.approx(0.5 / 20)


@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0), (1, 1), (5, 2), (200, 20)])
@pytest.mark.parametrize("step", ["iteration", "epoch"])
def test_no_step_has_a_rate_of_zero(epochs: int, warmup: int, step: str) -> None:
    rate = LearningRate(
        recipe(schedule="cosine", epochs=epochs, warmup_epochs=warmup, cosine_step=step), steps_per_epoch=4
    )
    rates = ours(rate, epochs, 4)
    assert min(rates) > 0
    assert max(rates) <= 0.5


def test_plateau_lowers_as_torch_does() -> None:
    losses = [
        1.0,
        0.9,
        0.90001,
        0.9,
        0.91,
        0.92,
        0.89999,
        0.89995,
        0.9,
        0.9,
        0.9,
        0.9,
        0.5,
        0.6,
        0.6,
        0.6,
        0.7,
    ]
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = ReduceLROnPlateau(optimiser, factor=0.5, patience=2, threshold=1e-4)
    rate = LearningRate(recipe(schedule="plateau", plateau_patience=2, epochs=50), 3)
    found, expected = [], []
    for epoch, loss in enumerate(losses):
        found.append(rate.at(epoch, 1))
        expected.append(optimiser.param_groups[0]["lr"])
        rate.end_epoch(epoch, loss)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schedule.step(loss)
    assert found == expected
    assert len(set(found)) == 5


def test_constant_stays() -> None:
    rate = LearningRate(recipe(schedule="constant"), 2)
    rate.end_epoch(0, 1.0)
    assert {rate.at(epoch, step) for epoch in range(20) for step in range(2)} == {0.5}


def test_exponential_multiplies_after_every_epoch() -> None:
    recipe = TrainingRecipe(
        schedule="exponential", epoch_factor=0.9, learning_rate=2.0, warmup_epochs=1, epochs=4
    )
    rate = LearningRate(recipe, 5)
    assert [rate.at(epoch, step) for epoch in (1, 2, 3) for step in (0, 4)] == pytest.approx(
        [2.0, 2.0, 1.8, 1.8, 1.62, 1.62]
    )
    assert rate.at(0, 0) == pytest.approx(0.1)
