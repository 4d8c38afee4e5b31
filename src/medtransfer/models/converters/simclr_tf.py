"""Published SimCLR checkpoints of TensorFlow: a ResNet-50 numbered in the order its layers were made.

Both versions call the layers ``conv2d``, ``conv2d_1``, … and ``batch_normalization``, … inside one scope; a
block makes its shortcut first. Every shape is compared with the layer's. Strided convolutions of TensorFlow
pad on the other side than torch does, so the numbers of the original are approached, not met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from medtransfer.models.converters.raw_tensors import Converted, RawTensor
from medtransfer.models.converters.resnet50_layers import layer_tensors, resnet50_layers
from medtransfer.models.converters.tf_bundle import Entry, read_index, read_tensor

SCOPE = "base_model/"
"""Scope of the encoder; the heads lie in scopes of their own."""

NORM_ENTRIES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
"""Entry of a batch normalisation to its name in TensorFlow."""


def convert(streams: Sequence[IO[bytes]], _request: Mapping[str, Any]) -> Converted:
    """Return the encoder of a SimCLR checkpoint by torchvision's names.

    Args:
        streams: The open index and the open data files, in order.
        _request: Not read; every converter is called alike.

    Raises:
        ValueError: If the files are no such checkpoint, or one of another network.
    """
    entries, shards = read_index(streams[0].read())
    if shards != len(streams) - 1:
        raise ValueError(f"expected the {shards} data files beside the index, got {len(streams) - 1}")
    places = [layer_names(number) for number in range(len(resnet50_layers()))]
    used = {name for names in places for name in names.values()}
    left = tuple(name for name in entries if name not in used)
    more = [name for name in left if name.startswith(SCOPE) and name.endswith("/kernel")]
    if more:
        raise ValueError(f"expected the {len(places)} convolutions of a ResNet-50, got also {more[0]!r}")
    tensors: dict[str, RawTensor] = {}
    for layer, names in zip(resnet50_layers(), places, strict=True):
        found = {part: _tensor(entries, name, streams[1:]) for part, name in names.items()}
        tensors |= layer_tensors(layer, found.pop("kernel"), found)
    return Converted(tensors, left)


def layer_names(number: int) -> dict[str, str]:
    """Return where the kernel and the four normalisation entries of a layer lie.

    Example:
        >>> layer_names(0)["kernel"], layer_names(3)["running_var"]
        ('base_model/conv2d/kernel', 'base_model/batch_normalization_3/moving_variance')
    """
    end = f"_{number}" if number else ""
    norm = {part: f"{SCOPE}batch_normalization{end}/{name}" for part, name in NORM_ENTRIES.items()}
    return {"kernel": f"{SCOPE}conv2d{end}/kernel", **norm}


def _tensor(entries: Mapping[str, Entry], name: str, shards: Sequence[IO[bytes]]) -> RawTensor:
    tensor = read_tensor(entries[name], shards) if name in entries else None
    if tensor is None:
        raise ValueError(f"expected the numbers of {name!r} of a ResNet-50, got none")
    return tensor
