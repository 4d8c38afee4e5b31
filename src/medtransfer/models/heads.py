"""What is put on an encoder: a linear head for labels, a U-Net decoder for masks; see also :mod:`.upernet`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtransfer.core.errors import UsageError
from medtransfer.models.network import Encoder
from medtransfer.models.seeded_initialisation import seeded_initialisation

HEAD_STD = 0.01
"""Standard deviation of the initial weights of the linear head."""

DECODER_CHANNELS = (128, 64, 32, 24, 16)
"""Channels of the decoder's blocks, from the coarsest map to the finest: the same for every encoder."""


class Classifier(nn.Module):
    """An encoder with a linear head.

    Args:
        encoder: Gives embeddings of shape (N, F).
        outputs: Number of logits.
        seed: Seed of the head's weights, drawn from N(0, 0.01²); biases are 0.
        bias: Whether the head has an intercept.
    """

    def __init__(self, encoder: Encoder, outputs: int, *, seed: int, bias: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        with seeded_initialisation(seed):
            self.head = nn.Linear(encoder.embedding_size, outputs, bias=bias)
            nn.init.normal_(self.head.weight, 0.0, HEAD_STD)
            if bias:
                nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits.

        Args:
            images: uint8 of shape (N, 1 or 3, H, W).

        Returns:
            Logits, shape (N, outputs).
        """
        logits: Tensor = self.head(self.encoder(images))
        return logits


class UNet(nn.Module):
    """An encoder with a U-Net decoder over its feature pyramid.

    Args:
        encoder: Gives feature maps of several resolutions.
        outputs: Number of logits per pixel.
        image_size: Side in pixels of the images, to refuse ones that are too small for the encoder.
        decoder_channels: Channels of the decoder's blocks, from the coarsest map to the finest; one per
            level of the pyramid.
        seed: Seed of the decoder's weights.

    Raises:
        UsageError: If the encoder has no feature pyramid, if the channels are not one per level, or if
            the images are too small.

    Reference:
        Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        MICCAI 2015.
    """

    def __init__(
        self,
        encoder: Encoder,
        outputs: int,
        *,
        image_size: int,
        decoder_channels: Sequence[int] | None = None,
        seed: int,
    ) -> None:
        super().__init__()
        require_maps(encoder, image_size)
        depth = len(encoder.levels)
        channels = tuple(decoder_channels or DECODER_CHANNELS[:depth])
        if len(channels) != depth:
            raise UsageError(
                f"model {encoder.name!r}: expected {depth} decoder channels, one per level of its pyramid, "
                f"got {channels!r}."
            )
        self.encoder = encoder
        self.decoder, self.head = _build_decoder(encoder, channels, outputs, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits per pixel.

        Args:
            images: uint8 of shape (N, 1 or 3, H, W).

        Returns:
            Logits, shape (N, outputs, H, W).
        """
        return decoded(self.decoder, self.head, [images, *self.encoder.pyramid(images)])


def decoded(decoder: nn.Module, head: nn.Module, features: list[Tensor]) -> Tensor:
    """Return logits per pixel of the image.

    Args:
        decoder: From features to one map.
        head: From that map to logits.
        features: The image, of which only the size is used, and the maps of a pyramid, finest first.

    Returns:
        Logits, shape (N, outputs, H, W), enlarged by bilinear interpolation where the decoder ends
        before the resolution of the image.
    """
    logits: Tensor = head(decoder(features))
    size = features[0].shape[2:]
    if logits.shape[2:] != size:
        logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return logits


def _build_decoder(
    encoder: Encoder, channels: tuple[int, ...], outputs: int, seed: int
) -> tuple[nn.Module, nn.Module]:
    from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder

    from medtransfer.models.unet_block import with_our_blocks

    with seeded_initialisation(seed):
        decoder = with_our_blocks(
            UnetDecoder(
                encoder_channels=(encoder.input.channels, *encoder.pyramid_channels),
                decoder_channels=channels,
                n_blocks=len(channels),
            )
        )
        head = nn.Conv2d(channels[-1], outputs, kernel_size=3, padding=1)
        initialize_decoder(decoder)
        initialize_head(head)
    return decoder, head


def require_maps(encoder: Encoder, image_size: int) -> None:
    """Raise unless the encoder makes feature maps of images of that size.

    Raises:
        UsageError: If it has no feature pyramid, or the images are too small for it.
    """
    encoder.require_pyramid()
    images = torch.zeros(1, encoder.input.channels, image_size, image_size)
    training = encoder.training
    device = next(encoder.parameters()).device
    try:
        with torch.no_grad():
            encoder.eval().pyramid(images.to(device))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UsageError(
            f"model {encoder.name!r}: expected images large enough for its {len(encoder.levels)} "
            f"resolutions, got {image_size} pixels ({error}). Raise image_size."
        ) from error
    finally:
        encoder.train(training)
