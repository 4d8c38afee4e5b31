"""From decoded images to an embedding matrix, with a network that is only read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from medtransfer.core.errors import TrialError
from medtransfer.core.progress import Progress, no_progress
from medtransfer.data.batches import evaluation_batches
from medtransfer.data.decoded_cache import DecodedCache
from medtransfer.models.network import Encoder

EMBEDDING_BATCH = 64
"""Cases per forward pass; fixed, because the last digits of a convolution can depend on it."""


def extract_embeddings(
    encoder: Encoder,
    cache: DecodedCache,
    *,
    size: int,
    device: str = "cpu",
    batch_size: int = EMBEDDING_BATCH,
    memory_format: torch.memory_format = torch.contiguous_format,
    progress: Progress = no_progress,
) -> npt.NDArray[np.float32]:
    """Return the embeddings of all cases, each seen once as its centre view.

    The encoder is put into evaluation mode; its parameters and batch normalisation statistics stay
    byte for byte what they were.

    Args:
        encoder: The network; it is moved to the device and the memory format.
        cache: Decoded images of all N cases.
        size: Side of the views in pixels, at most the cache's.
        device: Where to compute.
        batch_size: Cases per forward pass, at least 1.
        memory_format: Order of the axes of images and kernels in memory.
        progress: Told about the cases done.

    Returns:
        (N, F), in the row order of the cache.

    Raises:
        TrialError: If a feature is NaN or infinite.
        ShapeError: If the size does not fit the cache.
    """
    place = torch.device(device)
    encoder.to(place).to(memory_format=memory_format).eval()
    embeddings = np.empty((len(cache), encoder.embedding_size), dtype=np.float32)
    rows = np.arange(len(cache), dtype=np.int64)
    for batch in evaluation_batches(cache, None, rows, batch_size=batch_size, size=size):
        with torch.inference_mode():
            images = torch.from_numpy(batch.images).permute(0, 3, 1, 2)
            features = encoder(images.to(place).contiguous(memory_format=memory_format))
        embeddings[batch.indices] = features.float().cpu().numpy()
        progress("embedding", int(batch.indices[-1]) + 1, len(cache))
    _require_finite(embeddings, encoder.name)
    return embeddings


def _require_finite(embeddings: npt.NDArray[np.float32], name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise TrialError(
            "non_finite_features",
            f"model {name!r}: expected finite features, got NaN or infinity in {len(bad)} of "
            f"{len(embeddings)} cases, first in row {bad[0]}. The weights do not suit these images.",
        )
