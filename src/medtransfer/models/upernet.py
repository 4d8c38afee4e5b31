"""The second segmentation network: UPerNet, whose decoder has one width for every encoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from medtransfer.core.errors import UsageError
from medtransfer.models.heads import decoded, require_maps
from medtransfer.models.network import Encoder
from medtransfer.models.pyramid import PyramidLevel
from medtransfer.models.seeded_initialisation import seeded_initialisation

UPERNET_CHANNELS = 104
"""Width of the decoder: that of a ResNet-50 then costs what its U-Net costs, see :mod:`.decoders`."""

FINEST_STRIDE = 3.0
"""Maps of smaller strides are not read where two others exist, as in the published network."""


class UPerNet(nn.Module):
    """An encoder with a UPerNet decoder: pooled context of the coarsest map, then a feature pyramid.

    Logits have the resolution of the finest map that is read, usually a quarter of the image, and are
    enlarged by bilinear interpolation.

    Args:
        encoder: Gives feature maps of at least two resolutions.
        outputs: Number of logits per pixel.
        image_size: Side in pixels of the images, to refuse ones that are too small for the encoder.
        decoder_channels: The one width of the decoder.
        seed: Seed of the decoder's weights.

    Raises:
        UsageError: If the encoder has fewer maps, if there is more than one width, or if the images
            are too small.

    Reference:
        Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018.
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
        widths = tuple(decoder_channels or (UPERNET_CHANNELS,))
        if len(widths) != 1:
            raise UsageError(
                f"model {encoder.name!r}: expected one decoder width for 'upernet', got {widths!r}. "
                "Give 'decoder_channels' one number."
            )
        self.encoder = encoder
        with seeded_initialisation(seed):
            self.decoder = UPerNetDecoder(encoder, widths[0])
            self.head = nn.Conv2d(widths[0], outputs, kernel_size=1)
            _initialise(self.decoder, self.head)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits per pixel.

        Args:
            images: uint8 of shape (N, 1 or 3, H, W).

        Returns:
            Logits, shape (N, outputs, H, W).
        """
        return decoded(self.decoder, self.head, [images, *self.encoder.pyramid(images)])


class UPerNetDecoder(nn.Module):
    """From the image and the maps of a pyramid, finest first, to one map of a given width.

    Args:
        encoder: Whose maps are read.
        width: Channels of every layer.

    Raises:
        UsageError: If the encoder has fewer than two maps.
    """

    def __init__(self, encoder: Encoder, width: int) -> None:
        super().__init__()
        from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder as Layers

        levels = levels_read(encoder.levels)
        if len(levels) < 2:
            raise UsageError(
                f"model {encoder.name!r}: expected feature maps of at least two resolutions for 'upernet', "
                f"got {len(levels)}. Use the decoder 'unet'."
            )
        self.count = len(levels)
        channels = [level.channels for level in levels]
        self.layers = Layers(
            encoder_channels=[0, 0, *channels], encoder_depth=len(channels) + 1, decoder_channels=width
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return a map (N, width, h, w) of the image, which is not read, and of all maps."""
        image = features[0]
        maps: Tensor = self.layers([image, image, *features[-self.count :]])
        return maps


def levels_read(levels: Sequence[PyramidLevel]) -> tuple[PyramidLevel, ...]:
    """Return the levels a UPerNet reads: those of strides of about 4 and more, or all of fewer than three.

    Args:
        levels: Of an encoder, finest first.
    """
    coarse = tuple(level for level in levels if level.stride >= FINEST_STRIDE)
    return coarse if len(coarse) >= 2 else tuple(levels)


def _initialise(decoder: nn.Module, head: nn.Module) -> None:
    from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head

    initialize_decoder(decoder)
    initialize_head(head)
