"""From decoded images to an embedding matrix, with a network that is only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt
import torch

from medtransfer.core.errors import TrialError, UsageError
from medtransfer.core.kept_memory import HUGE_PAGES_FROM_PASSES, kept_memory
from medtransfer.core.progress import Progress, no_progress
from medtransfer.data.batches import Batch, evaluation_batches
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.data.device_copies import DeviceCopies, read_later
from medtransfer.features.extraction import Engine
from medtransfer.features.folded_encoder import folded_encoder
from medtransfer.models.channel_products import Products, choose_products
from medtransfer.models.convolution_order import order_convolutions
from medtransfer.models.network import Encoder

EMBEDDING_BATCH = 64
"""Cases per forward pass; fixed, because the last digits of a convolution can depend on it."""
AGREEMENT_CASES = 8
"""Cases on which another engine is compared with torch before it is used."""
FOLD_FROM_CASES = 512
"""Fewest cases for which normalisation is folded on a CPU: folding and comparing cost as much as it saves on
about 200 cases of a ResNet-18 at 128 pixels."""
FOLDED_CASES = 2
"""Cases on which a folded network is compared with the network; few, for its structure is proof already."""


def extract_embeddings(
    encoder: Encoder,
    cache: DecodedCache,
    *,
    size: int,
    device: str = "cpu",
    batch_size: int = EMBEDDING_BATCH,
    memory_format: torch.memory_format = torch.contiguous_format,
    products: Products = "library",
    engine: Engine = "torch",
    progress: Progress = no_progress,
) -> npt.NDArray[np.float32]:
    """Return the embeddings of all cases, each seen once as its centre view.

    The encoder is put into evaluation mode; its parameters and batch normalisation statistics stay
    byte for byte what they were. On the CPU a copy with folded batch normalisation computes the embeddings
    of many cases in its place where both agree on the first ones, see :mod:`~medtransfer.features.folded_encoder`.

    Args:
        encoder: The network; it is moved to the device and the memory format.
        cache: Decoded images of all N cases.
        size: Side of the views in pixels, at most the cache's.
        device: Where to compute.
        batch_size: Cases per forward pass, at least 1.
        memory_format: Order of the axes of images and kernels in memory.
        products: Who computes products of channels on the CPU.
        engine: What runs the network; ``openvino`` on the CPU only.
        progress: Told about the cases done.

    Returns:
        (N, F), in the row order of the cache.

    Raises:
        TrialError: If a feature is NaN or infinite, or the engine does not agree with torch.
        UsageError: If the engine is not installed or not for this device.
        ShapeError: If the size does not fit the cache.
    """
    place = torch.device(device)
    encoder.to(place).to(memory_format=memory_format).eval()
    embeddings = np.empty((len(cache), encoder.embedding_size), dtype=np.float32)
    rows = np.arange(len(cache), dtype=np.int64)
    batches = evaluation_batches(cache, None, rows, batch_size=batch_size, size=size)
    huge_pages = len(cache) >= HUGE_PAGES_FROM_PASSES * batch_size
    with kept_memory(huge_pages=huge_pages) if place.type == "cpu" else nullcontext():
        parts: Iterator[tuple[IndexArray, FloatArray]]
        if engine == "openvino" and len(cache):
            embed = _openvino_engine(encoder, cache, size, place)
            parts = ((batch.indices, embed(batch.images)) for batch in batches)
        else:
            if place.type == "cpu" and len(cache):
                encoder = _fast_on_cpu(encoder, cache, size, memory_format, products)
            parts = _torch_parts(encoder, batches, place, memory_format)
        for part, features in parts:
            embeddings[part] = features
            progress("embedding", int(part[-1]) + 1, len(cache))
    _require_finite(embeddings, encoder.name)
    return embeddings


FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]
Embed = Callable[[npt.NDArray[np.uint8]], FloatArray]
"""From uint8 images (B, H, W, C) to embeddings (B, F)."""


def _fast_on_cpu(
    encoder: Encoder, cache: DecodedCache, size: int, memory_format: torch.memory_format, products: Products
) -> Encoder:
    """Return an encoder with the same embeddings but for the last digits, sooner."""
    first = _as_seen(_first_images(cache, size, FOLDED_CASES), memory_format)
    if len(cache) >= FOLD_FROM_CASES:
        encoder = folded_encoder(encoder, first)
    if memory_format is torch.channels_last:
        order_convolutions(encoder, lambda: encoder(first[:1]))
    choose_products(encoder, products)
    return encoder


def _as_seen(images: torch.Tensor, memory_format: torch.memory_format) -> torch.Tensor:
    """Return images (B, H, W, C) as (B, C, H, W) in the memory format."""
    return images.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)


def _torch_parts(
    encoder: Encoder, batches: Iterator[Batch], place: torch.device, memory_format: torch.memory_format
) -> Iterator[tuple[IndexArray, FloatArray]]:
    """Yield rows and embeddings of each batch, read while the device computes the next."""
    copies = DeviceCopies(place)

    def computed() -> Iterator[tuple[IndexArray, tuple[torch.Tensor]]]:
        for batch in batches:
            images = copies.put(batch.images)
            with torch.inference_mode():
                features = encoder(_as_seen(images, memory_format)).float()
            copies.pace()
            yield batch.indices, (features,)

    for rows, (features,) in read_later(computed(), place):
        yield rows, np.asarray(features.numpy(), dtype=np.float32)


def _openvino_engine(encoder: Encoder, cache: DecodedCache, size: int, place: torch.device) -> Embed:
    from medtransfer.features.openvino_encoder import compile_encoder

    if place.type != "cpu":
        raise UsageError(
            f"engine 'openvino': expected the device 'cpu', got {place.type!r}. Use the engine 'torch'."
        )
    first = _first_images(cache, size, AGREEMENT_CASES).permute(0, 3, 1, 2)
    run = compile_encoder(encoder, np.ascontiguousarray(first.numpy()))
    return lambda images: run(images.transpose(0, 3, 1, 2))


def _first_images(cache: DecodedCache, size: int, most: int) -> torch.Tensor:
    """Return the first uint8 views (B, H, W, C), on which networks are compared."""
    some = np.arange(min(len(cache), most), dtype=np.int64)
    (first,) = evaluation_batches(cache, None, some, batch_size=most, size=size)
    return torch.from_numpy(np.ascontiguousarray(first.images))


def _require_finite(embeddings: npt.NDArray[np.float32], name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise TrialError(
            "non_finite_features",
            f"model {name!r}: expected finite features, got NaN or infinity in {len(bad)} of "
            f"{len(embeddings)} cases, first in row {bad[0]}. The weights do not suit these images.",
        )
