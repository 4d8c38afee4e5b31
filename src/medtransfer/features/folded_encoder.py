"""An encoder with its batch normalisation folded away, admitted only when it agrees with the encoder itself."""

from __future__ import annotations

import torch
from torch import Tensor

from medtransfer.models.folding import folded_copy
from medtransfer.models.network import Encoder

LARGEST_DIFFERENCE = 1e-5
"""Most by which a folded embedding may differ, as a share of the largest value of the embeddings compared."""


def folded_encoder(encoder: Encoder, images: Tensor) -> Encoder:
    """Return a folded copy of an encoder, or the encoder itself where that is not the same network.

    Which of both depends on the network and the images only, never on a measured time. Networks without
    batch normalisation, and those whose structure cannot be read, are returned as they are.

    Args:
        encoder: In evaluation mode; nothing in it changes.
        images: uint8 (B, C, H, W) to compare on, on the encoder's device; B at least 1.
    """
    folded, pairs = folded_copy(encoder, "backbone")
    return folded if pairs and relative_difference(encoder, folded, images) <= LARGEST_DIFFERENCE else encoder


def relative_difference(encoder: Encoder, other: Encoder, images: Tensor) -> float:
    """Return the largest difference of two encoders' embeddings as a share of the first one's largest value.

    It is NaN where an embedding is not finite.
    """
    with torch.inference_mode():
        expected, found = encoder(images).double(), other(images).double()
    scale = float(expected.abs().max()) or 1.0
    return float((expected - found).abs().max()) / scale
