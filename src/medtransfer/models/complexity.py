"""How large and how fast an encoder is: parameters, multiply-adds, embedding size, images per second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from medtransfer.core.errors import UsageError
from medtransfer.models.network import Encoder

BATCH_SIZE = 16
"""Images per forward pass when speed is measured."""

LEAST_REPEATS = 5
"""Timed forward passes whose median counts."""


@dataclass(frozen=True)
class Complexity:
    """What an encoder costs and gives."""

    parameters: int
    """Number of parameters."""
    multiply_adds: int
    """Multiplications with an addition for one image, in convolutions, matrix products and attention."""
    embedding_size: int
    """Number of features."""


def measure_complexity(encoder: Encoder, image_size: int | None = None) -> Complexity:
    """Return the size of an encoder; the multiply-adds are counted in a forward pass of one image.

    Args:
        encoder: Any encoder; nothing of it changes.
        image_size: Side of the image in pixels; None for the size the encoder was built for.

    Raises:
        UsageError: If the encoder cannot take such images.
    """
    images = _images(encoder, 1, image_size or encoder.image_size)
    with _evaluating(encoder), FlopCounterMode(display=False) as counter:
        _run(encoder, images)
    return Complexity(
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        embedding_size=encoder.embedding_size,
    )


def measure_throughput(
    encoder: Encoder,
    device: str | torch.device,
    *,
    image_size: int | None = None,
    batch_size: int = BATCH_SIZE,
    duration_s: float = 1.0,
) -> float:
    """Return how many images per second an encoder embeds, with as many threads as torch has.

    The time is that of the median forward pass after one to warm up, from uint8 images that are on the
    device already.

    Args:
        encoder: Any encoder; it returns to its device and mode afterwards.
        device: Where to measure, such as ``cpu`` or ``cuda:0``.
        image_size: Side of the images in pixels; None for the size the encoder was built for.
        batch_size: Images per forward pass.
        duration_s: Least time in seconds to spend, after five passes at least.

    Raises:
        UsageError: If the encoder cannot take such images.
    """
    place, home = torch.device(device), next(encoder.parameters()).device
    try:
        encoder.to(place)
        images = _images(encoder, batch_size, image_size or encoder.image_size)
        with _evaluating(encoder):
            _run(encoder, images)
            times = _times(encoder, images, duration_s)
    finally:
        encoder.to(home)
    return batch_size / statistics.median(times)


def _times(encoder: Encoder, images: Tensor, duration_s: float) -> list[float]:
    times: list[float] = []
    while len(times) < LEAST_REPEATS or sum(times) < duration_s:
        start = time.perf_counter()
        _run(encoder, images)
        times.append(time.perf_counter() - start)
    return times


def _run(encoder: Encoder, images: Tensor) -> None:
    """Embed images and wait until the device has done so."""
    try:
        encoder(images)
        if images.device.type != "cpu":
            torch.accelerator.synchronize(images.device)
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UsageError(
            f"model {encoder.name!r}: expected to take images of {images.shape[-1]} pixels, got: {error}."
        ) from error


def _images(encoder: Encoder, count: int, side: int) -> Tensor:
    device = next(encoder.parameters()).device
    noise = torch.Generator().manual_seed(0)
    shape = (count, encoder.input.channels, side, side)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=noise).to(device)


@contextmanager
def _evaluating(encoder: nn.Module) -> Iterator[None]:
    """Run a block in evaluation mode, without gradients and without torch's fused attention layer.

    The fused layer would hide its products from the count, and no training step has it.
    """
    training, fused = encoder.training, torch.backends.mha.get_fastpath_enabled()
    encoder.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        encoder.train(training)
