"""A block in which torch's random numbers and algorithms depend on a seed only, and nothing leaks out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic as uninitialised_memory


@contextmanager
def reproducible(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside the block, use deterministic algorithms, and restore both afterwards.

    On the CPU an operation without a deterministic algorithm is an error. On other devices it warns,
    because the gradients of a few layers that segmentation needs have none there: numbers repeat on
    the CPU and may differ in the last digits on a GPU.

    Args:
        seed: Integer in [0, 2**63); dropout and everything else that asks torch draws from it.
        device: Where the network is.
    """
    cuda = [_cuda_index(device)] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), _deterministic_algorithms(device):
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            with torch.cuda.device(index):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def _deterministic_algorithms(device: torch.device) -> Iterator[None]:
    mode = torch.get_deterministic_debug_mode()
    fills = uninitialised_memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    convolutions = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    uninitialised_memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        uninitialised_memory.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = convolutions


def _cuda_index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
