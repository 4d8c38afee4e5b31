"""Segmentation networks by the name of their decoder; torch is imported when one is built.

Every encoder gets the same decoder budget: a U-Net with blocks of 128, 64, 32, 24 and 16 channels from
the coarsest map on, one per resolution, or a UPerNet of 104 channels. Only the layers that read the
encoder's maps depend on how many channels those have: at 224 pixels a U-Net adds 4.2 million parameters
and 2.0 billion multiply-adds to a ResNet-50, 1.8 and 1.3 to a ConvNeXt-T, Swin-T or Hiera-T, 1.5 and 1.5 to
a ViT-S/16; a UPerNet 4.0 and 1.9, 2.2 and 1.7, 1.7 and 1.8. The pyramids of transformers have no weights of
their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from medtransfer.models.heads import UNet
    from medtransfer.models.network import Encoder
    from medtransfer.models.upernet import UPerNet

Decoder = Literal["unet", "upernet"]
"""``unet``: a U-Net over all feature maps. ``upernet``: pooled context and a feature pyramid of one width."""


def check_widths(decoder: Decoder, channels: Sequence[int] | None) -> None:
    """Refuse widths below 1, and several for a decoder that has one, before a trial is started.

    Raises:
        ValueError: If there are such.
    """
    if channels is not None and min(channels, default=1) < 1:
        raise ValueError(f"decoder_channels: expected widths of at least 1, got {list(channels)!r}")
    if decoder == "upernet" and channels is not None and len(channels) != 1:
        raise ValueError(f"decoder_channels: expected one width for 'upernet', got {list(channels)!r}")


def build_segmenter(
    decoder: Decoder,
    encoder: Encoder,
    outputs: int,
    *,
    image_size: int,
    decoder_channels: Sequence[int] | None = None,
    seed: int,
) -> UNet | UPerNet:
    """Return an encoder with a decoder over its feature maps.

    Args:
        decoder: Which decoder.
        encoder: Gives feature maps of several resolutions.
        outputs: Number of logits per pixel.
        image_size: Side in pixels of the images.
        decoder_channels: Channels of a U-Net's blocks, coarsest first, or the one width of a UPerNet;
            None for the budget above.
        seed: Seed of the decoder's weights.

    Raises:
        UsageError: If the encoder has no such maps, or the channels do not fit the decoder.
    """
    from medtransfer.models.heads import UNet
    from medtransfer.models.upernet import UPerNet

    network = UNet if decoder == "unet" else UPerNet
    return network(encoder, outputs, image_size=image_size, decoder_channels=decoder_channels, seed=seed)
