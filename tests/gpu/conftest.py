"""Everything here needs a CUDA device; without one it is skipped and says so."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def needs_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and torch finds none on this machine")


@pytest.fixture
def cuda() -> torch.device:
    return torch.device("cuda")
