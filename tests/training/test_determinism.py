"""Random numbers inside the block depend on the seed; outside nothing is different."""

from __future__ import annotations

import pytest
import torch

from medtransfer.training.determinism import reproducible

CPU = torch.device("cpu")


def test_numbers_inside_depend_on_the_seed_only() -> None:
    drawn = []
    for seed in (3, 3, 4):
        torch.rand(5)
        with reproducible(seed, CPU):
            drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_outside_is_left_as_it_was() -> None:
    state, mode = torch.get_rng_state(), torch.get_deterministic_debug_mode()

    def failing() -> None:
        with reproducible(3, CPU):
            torch.rand(4)
            assert torch.are_deterministic_algorithms_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_deterministic_debug_mode() == mode
    assert torch.utils.deterministic.fill_uninitialized_memory
