"""Random numbers inside the block depend on the seed; outside nothing is different."""

from __future__ import annotations

import pytest
import torch

from medtransfer.training.determinism import fp32_products, reproducible

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


def precisions() -> tuple[str, str]:
    backends = torch.backends
    return backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision


def rounds_factors() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def test_factors_are_rounded_on_a_gpu_only_where_it_was_asked_for() -> None:
    cuda, before = torch.device("cuda"), rounds_factors()
    with fp32_products(cuda, tf32=True):
        assert rounds_factors() == (True, True)
        with fp32_products(cuda):
            assert rounds_factors() == (False, False)
            assert "tf32" not in precisions()
        assert rounds_factors() == (True, True)
    assert rounds_factors() == before


def test_the_cpu_leaves_the_precision_of_gpus_alone() -> None:
    before = precisions()
    with fp32_products(CPU, tf32=True):
        assert precisions() == before
