"""Losses looked at late are the losses looked at in time, and a step that went wrong keeps its name."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from medtransfer.core.errors import TrialError
from medtransfer.training.step_losses import StepLosses

VALUES = [0.5, 0.1, 3.0, 0.7, 0.1, 1e-3, 2.0]
CASES = [4, 4, 4, 4, 4, 4, 1]
FINE = [torch.ones(3), torch.tensor([-2.0])]


def add(losses: StepLosses, step: int, value: float = 1.0, gradients: list[Tensor] | None = None) -> None:
    losses.add(torch.tensor(value), FINE if gradients is None else gradients, 4, f"step {step}")


@pytest.mark.parametrize("look_every", [1, 2, 3, 7, 100])
def test_the_mean_is_over_cases_however_often_is_looked(look_every: int) -> None:
    losses = StepLosses(look_every)
    for _ in range(2):
        for step, (value, cases) in enumerate(zip(VALUES, CASES, strict=True)):
            losses.add(torch.tensor(value), FINE, cases, f"step {step}")
        mean, cases = losses.end_epoch()
        assert cases == 25
        expected = sum(v * c for v, c in zip(VALUES, CASES, strict=True)) / 25
        assert mean == pytest.approx(expected, rel=1e-6)


def run(losses: StepLosses, bad: float, what: str, taken: list[int]) -> None:
    """Take six steps, the third of which goes wrong."""
    for step in range(6):
        wrong = step == 2
        gradients = [*FINE, torch.tensor([1.0, bad])] if wrong and what == "gradient" else None
        add(losses, step, bad if wrong and what == "loss" else 1.0, gradients)
        taken.append(step)
    losses.end_epoch()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize(("look_every", "steps_taken"), [(1, 2), (4, 3), (100, 6)])
def test_the_step_is_named_when_it_is_found_later(
    bad: float, what: str, look_every: int, steps_taken: int
) -> None:
    taken: list[int] = []
    with pytest.raises(TrialError, match=rf"finite {what}, got (nan|inf) at step 2\.") as caught:
        run(StepLosses(look_every), bad, what, taken)
    assert len(taken) == steps_taken
    assert caught.value.reason == "non_finite_loss"


@pytest.mark.parametrize("look_every", [1, 5])
def test_gradients_whose_squares_overflow_are_fine(look_every: int) -> None:
    losses = StepLosses(look_every)
    add(losses, 0, gradients=[torch.full((4,), 1e30)])
    assert losses.end_epoch() == (1.0, 4)


def test_the_first_of_several_wrong_steps_is_named() -> None:
    losses = StepLosses(10)
    for step in range(4):
        add(losses, step, math.nan if step else 1.0)
    with pytest.raises(TrialError, match="at step 1"):
        losses.end_epoch()
