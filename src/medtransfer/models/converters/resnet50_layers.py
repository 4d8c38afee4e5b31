"""The convolutions of torchvision's ResNet-50 in the order of its definition, with their normalisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medtransfer.models.converters.raw_tensors import RawTensor

BLOCKS = (3, 4, 6, 3)
OIHW = (3, 2, 0, 1)
"""Axes of a kernel stored as height, width, input, output, in the order torch wants."""


@dataclass(frozen=True)
class ConvLayer:
    """One convolution and the batch normalisation after it."""

    kernel: str
    """Name of the convolution, without ``.weight``."""
    norm: str
    """Name of its batch normalisation."""
    shape: tuple[int, int, int, int]
    """Output channels, input channels, height, width."""


def resnet50_layers() -> tuple[ConvLayer, ...]:
    """Return the 53 convolutions: the stem, then block by block the shortcut, if any, before the three others.

    Example:
        >>> layers = resnet50_layers()
        >>> len(layers), layers[1].kernel, layers[-1].shape
        (53, 'layer1.0.downsample.0', (2048, 512, 1, 1))
    """
    layers = [ConvLayer("conv1", "bn1", (64, 3, 7, 7))]
    channels = 64
    for group, blocks in enumerate(BLOCKS):
        width = 64 << group
        for block in range(blocks):
            layers += _block(f"layer{group + 1}.{block}", channels, width, shortcut=block == 0)
            channels = 4 * width
    return tuple(layers)


def _block(name: str, channels: int, width: int, *, shortcut: bool) -> list[ConvLayer]:
    first = [ConvLayer(f"{name}.downsample.0", f"{name}.downsample.1", (4 * width, channels, 1, 1))]
    return [
        *(first if shortcut else []),
        ConvLayer(f"{name}.conv1", f"{name}.bn1", (width, channels, 1, 1)),
        ConvLayer(f"{name}.conv2", f"{name}.bn2", (width, width, 3, 3)),
        ConvLayer(f"{name}.conv3", f"{name}.bn3", (4 * width, width, 1, 1)),
    ]


def layer_tensors(layer: ConvLayer, kernel: RawTensor, norm: Mapping[str, RawTensor]) -> dict[str, RawTensor]:
    """Return a layer's tensors by their torch names.

    Args:
        layer: Which layer.
        kernel: Its kernel as height, width, input, output.
        norm: ``weight``, ``bias``, ``running_mean`` and ``running_var``, of any shape with as many numbers
            as the layer has output channels.

    Raises:
        ValueError: If a shape is not the layer's: the file is of another depth or width.
    """
    wanted = tuple(layer.shape[axis] for axis in (2, 3, 1, 0))
    if kernel.shape != wanted:
        raise ValueError(f"expected {wanted} for {layer.kernel!r} of a ResNet-50, got {kernel.shape}")
    channels = layer.shape[0]
    for name, tensor in norm.items():
        if tensor.values.size != channels:
            raise ValueError(
                f"expected {channels} numbers for {layer.norm}.{name} of a ResNet-50, got {tensor.shape}"
            )
    flat = {f"{layer.norm}.{name}": tensor.reshaped((channels,)) for name, tensor in norm.items()}
    return {f"{layer.kernel}.weight": kernel.permuted(OIHW), **flat}
