"""A block in which torch's random numbers and algorithms depend on a seed only, and nothing leaks out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic as uninitialised_memory

from medtransfer.training.device_memory import cuda_index


@contextmanager
def reproducible(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside the block, use deterministic algorithms, and restore both afterwards.

    On the CPU an operation without a deterministic algorithm is an error. On other devices it warns,
    because the gradients of a few layers that segmentation needs have none there: numbers repeat on
    the CPU and may differ in the last digits on a GPU. Products of fp32 numbers are computed in fp32.

    Args:
        seed: Integer in [0, 2**63); dropout and everything else that asks torch draws from it.
        device: Where the network is.
    """
    cuda = [cuda_index(device)] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), _deterministic_algorithms(device), fp32_products(device):
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            with torch.cuda.device(index):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def fp32_products(device: torch.device, *, tf32: bool = False) -> Iterator[None]:
    """Compute products of fp32 numbers in fp32 inside the block, or round their factors to TF32.

    torch itself would round the factors of convolutions on recent GPUs, and not those of matrix products.

    Args:
        device: Where the network is; nothing but CUDA devices has the choice.
        tf32: Whether factors may be rounded, to 10 bits of mantissa in place of 23.
    """
    if device.type != "cuda":
        yield
        return
    products, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    # The precision of single operations is read, for the summary flag cannot be read where somebody set them apart.
    before = (products.fp32_precision == "tf32", cudnn.conv.fp32_precision == "tf32")  # type: ignore[attr-defined]
    products.allow_tf32, cudnn.allow_tf32 = tf32, tf32
    try:
        yield
    finally:
        products.allow_tf32, cudnn.allow_tf32 = before


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
