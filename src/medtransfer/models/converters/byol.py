"""Published BYOL experiments: pickled Haiku parameters of a ResNet-50 to torchvision's names.

The file holds the parameters and the running state of the online network, those of the target network and
the optimiser. Only the online encoder is taken; the projector, the predictor, the classifier and all else are
left out. Layers are found by name, since the dictionary's order puts the first layer last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import IO, Any

from medtransfer.models.converters.raw_tensors import Converted, RawTensor
from medtransfer.models.converters.resnet50_layers import layer_tensors, resnet50_layers
from medtransfer.models.converters.stand_ins import Record, entries_of, tensor_of
from medtransfer.models.converters.torch_file import read_pickle

STATE_FIELDS = ("online_params", "target_params", "online_state", "target_state", "opt_state")
"""Fields of the pickled experiment state, in order."""

NORM_ENTRIES = {
    "weight": ("", "scale"),
    "bias": ("", "offset"),
    "running_mean": ("/~/mean_ema", "average"),
    "running_var": ("/~/var_ema", "average"),
}
"""Entry of a batch normalisation to the end of its Haiku module and the entry there."""

_TORCH_NAME = re.compile(r"layer(\d)\.(\d+)\.(?:(?:conv|bn)(\d)|downsample\.\d)")


def convert(streams: Sequence[IO[bytes]], request: Mapping[str, Any]) -> Converted:
    """Return the online encoder of a BYOL experiment by torchvision's names.

    Args:
        streams: The one open file.
        request: ``admits``, patterns of class names kept as plain data.

    Raises:
        ValueError: If the file is no such experiment, or one of another network.
    """
    content, asked = read_pickle(streams[0], request["admits"])
    params, state = _online(content)
    stem = [name for name in params if name.endswith("/initial_conv") or name == "initial_conv"]
    if len(stem) != 1:
        raise ValueError(f"expected one first layer 'initial_conv', got {stem[:5]!r}")
    root = stem[0].removesuffix("initial_conv")
    tensors: dict[str, RawTensor] = {}
    used = set()
    for layer in resnet50_layers():
        kernel, norm = haiku_module(layer.kernel), haiku_module(layer.norm)
        entries = {
            name: _entry(params if not end else state, root + norm + end, entry)
            for name, (end, entry) in NORM_ENTRIES.items()
        }
        tensors |= layer_tensors(layer, _entry(params, root + kernel, "w"), entries)
        used |= {root + kernel, root + norm}
    _refuse_more_blocks(root, [name for name in params if name not in used])
    return Converted(tensors, tuple(name for name in params if name not in used), asked)


def haiku_module(torch_name: str) -> str:
    """Return the Haiku module below the network's own that a torch module was.

    Example:
        >>> haiku_module("layer2.0.conv3"), haiku_module("layer1.0.downsample.1"), haiku_module("bn1")
        ('block_group_1/~/block_0/~/conv_2', 'block_group_0/~/block_0/~/shortcut_batchnorm', 'initial_batchnorm')
    """
    if torch_name in {"conv1", "bn1"}:
        return "initial_conv" if torch_name == "conv1" else "initial_batchnorm"
    found = _TORCH_NAME.fullmatch(torch_name)
    assert found is not None, torch_name
    group, block, number = found.groups()
    kind = "conv" if "conv" in torch_name or torch_name.endswith("downsample.0") else "batchnorm"
    last = f"shortcut_{kind}" if number is None else f"{kind}_{int(number) - 1}"
    return f"block_group_{int(group) - 1}/~/block_{block}/~/{last}"


def _online(content: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the online network's parameters and running state, each by module."""
    experiment = (entries_of(content) or {}).get("experiment_state")
    parts: dict[str, Any] = {}
    if isinstance(experiment, Record):
        names = getattr(experiment, "fields", STATE_FIELDS)
        parts = dict(zip(names, experiment.arguments, strict=False))
    found = [entries_of(parts.get(name)) for name in ("online_params", "online_state")]
    if found[0] is None or found[1] is None or not all(isinstance(name, str) for name in found[0]):
        raise ValueError(
            "expected 'experiment_state' with online_params and online_state, got something else"
        )
    return found[0], found[1]


def _entry(modules: Mapping[str, Any], module: str, entry: str) -> RawTensor:
    tensor = tensor_of((entries_of(modules.get(module)) or {}).get(entry))
    if tensor is None:
        raise ValueError(f"expected the array {entry!r} of {module!r} of a ResNet-50, got none")
    return tensor


def _refuse_more_blocks(root: str, others: Sequence[str]) -> None:
    more = [name for name in others if name.startswith(f"{root}block_group_")]
    if more:
        raise ValueError(f"expected the blocks of a ResNet-50, got further ones such as {more[0]!r}")
