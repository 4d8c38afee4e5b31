"""An encoder's parameters in groups from the stem to the last layer: what depth means for each architecture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from medtransfer.core.errors import UsageError
from medtransfer.models.network import Encoder

STEM = "stem"
SHARE_OF_NAME = 0.6
"""A group is called after the deepest module that holds at least this share of its parameters."""

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class LayerGroup:
    """Parameters of one depth: the stem, a residual or dense block, a transformer block, or what comes last."""

    name: str
    """``stem``, or the path of the block, such as ``layer3.5`` or ``blocks.11``."""
    parameters: tuple[str, ...]
    """Names as in ``encoder.named_parameters()``."""
    size: int
    """Number of trainable numbers."""


def layer_groups(encoder: Encoder) -> tuple[LayerGroup, ...]:
    """Return the groups of an encoder from the stem to the last layer; each parameter is in exactly one.

    Networks of timm are cut as timm says, the others by their structure: containers of blocks are opened,
    blocks never; what precedes the first block is the stem, and single layers between two blocks belong
    to the second.
    """
    network = encoder.backbone
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    found = [
        LayerGroup(
            name if depth else STEM,
            tuple(f"backbone.{parameter}" for parameter in parameters),
            sum(sizes[parameter] for parameter in parameters),
        )
        for depth, (name, parameters) in enumerate(_groups_of_timm(network) or _groups_by_structure(network))
    ]
    return _with_own_names(found)


def rate_factors(groups: Sequence[LayerGroup], decay: float) -> Mapping[str, float]:
    """Return what the learning rate of each parameter is multiplied by, for layer-wise decay.

    Args:
        groups: From the stem to the last layer.
        decay: Factor from a layer to the one before it, in (0, 1]; the task's head, which is in no
            group, has factor 1, and the last group has ``decay``.

    Raises:
        UsageError: If the decay is outside its range.

    Example:
        >>> groups = [LayerGroup("stem", ("a",), 1), LayerGroup("blocks.0", ("b", "c"), 2)]
        >>> rate_factors(groups, 0.5)
        {'a': 0.25, 'b': 0.5, 'c': 0.5}
    """
    if not 0 < decay <= 1:
        raise UsageError(f"layer decay: expected a factor in (0, 1], got {decay!r}.")
    depth = len(groups)
    return {
        name: decay ** (depth - number) for number, group in enumerate(groups) for name in group.parameters
    }


def train_last(encoder: Encoder, count: int) -> tuple[LayerGroup, ...]:
    """Freeze all but the last groups of an encoder, in place, and return those that are trained.

    Frozen batch normalisation stays in evaluation mode; see :meth:`Encoder.train`.

    Args:
        encoder: What is partly frozen.
        count: Number of groups to train, from 0 (the encoder is frozen) to all of them.

    Raises:
        UsageError: If the encoder has fewer groups.
    """
    groups = layer_groups(encoder)
    if not 0 <= count <= len(groups):
        raise UsageError(
            f"model {encoder.name!r}: expected to train between 0 and {len(groups)} layer groups, got {count!r}."
        )
    trained = groups[len(groups) - count :]
    names = {name for group in trained for name in group.parameters}
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name in names)
    encoder.train(encoder.training)
    return trained


_Group = tuple[str, list[str]]
"""Name of a group, and its parameters as in ``network.named_parameters()``."""


def _groups_of_timm(network: Any) -> list[_Group]:
    """Return the groups timm defines for its networks; empty for the others."""
    if not hasattr(network, "group_matcher"):
        return []
    from timm.models import group_parameters

    groups: Mapping[int, list[str]] = group_parameters(network, network.group_matcher(coarse=False))
    return [(_shared_path(groups[depth]), list(groups[depth])) for depth in sorted(groups)]


@dataclass(frozen=True)
class _Unit:
    """A block, a single layer, or parameters that lie directly in a container."""

    path: str
    """Where it is."""
    parameters: tuple[str, ...]
    """Their names."""
    is_block: bool
    """Whether it is made of several layers and lies in a container of blocks."""
    has_kernel: bool
    """Whether it holds more than scales and shifts."""


def _groups_by_structure(network: nn.Module) -> list[_Group]:
    units = list(_units(network, "", at_root=True))
    if not any(unit.is_block for unit in units):
        return _one_per_kernel(units)
    groups: list[_Group] = []
    waiting: list[str] = []
    for unit in units:
        if unit.is_block and not groups and waiting:
            groups.append((STEM, waiting))
            waiting = []
        waiting = [*waiting, *unit.parameters]
        if unit.is_block:
            groups.append((unit.path, waiting))
            waiting = []
    return [*groups, (units[-1].path, waiting)] if waiting else groups


def _one_per_kernel(units: Sequence[_Unit]) -> list[_Group]:
    groups: list[_Group] = []
    for unit in units:
        if unit.has_kernel or not groups:
            groups.append((unit.path, []))
        groups[-1][1].extend(unit.parameters)
    return groups


def _units(module: nn.Module, path: str, *, at_root: bool) -> Iterator[_Unit]:
    """Yield what a container holds, in the order of its definition."""
    own = tuple(path + name for name, _ in module.named_parameters(recurse=False))
    if own:
        yield _Unit(own[0], own, is_block=False, has_kernel=False)
    for name, child in module.named_children():
        parameters = dict(child.named_parameters(prefix=path + name))
        if not parameters:
            continue
        if _is_opened(child) or (at_root and isinstance(child, _CONTAINERS)):
            yield from _units(child, f"{path}{name}.", at_root=False)
        else:
            kernel = any(parameter.ndim > 1 for parameter in parameters.values())
            block = not at_root and _has_layers(child)
            yield _Unit(path + name, tuple(parameters), is_block=block, has_kernel=kernel)


def _is_opened(module: nn.Module) -> bool:
    """Whether a module holds blocks, itself or as the child that libraries call so."""
    if isinstance(module, _CONTAINERS):
        return any(_has_layers(child) for child in module.children())
    inner = [child for name, child in module.named_children() if name in {"blocks", "layers"}]
    return any(isinstance(child, _CONTAINERS) and _is_opened(child) for child in inner)


def _has_layers(module: nn.Module) -> bool:
    """Whether a module consists of two or more layers with parameters."""
    layers = (part for part in module.modules() if next(part.parameters(recurse=False), None) is not None)
    return next(layers, None) is not None and next(layers, None) is not None


def _shared_path(names: Sequence[str]) -> str:
    """Return the path of the block that holds most of some parameters.

    Example:
        >>> _shared_path(["blocks.1.norm.weight", "blocks.1.mlp.weight", "blocks.1.mlp.bias"])
        'blocks.1'
    """
    found: list[str] = []
    while True:
        starts = Counter(tuple(parts[: len(found) + 1]) for parts in (name.split(".")[:-1] for name in names))
        best, count = starts.most_common(1)[0]
        if len(best) <= len(found) or count < SHARE_OF_NAME * len(names):
            break
        found = list(best)
    numbers = [place for place, part in enumerate(found) if part.isdigit()]
    return ".".join(found[: numbers[-1] + 1] if numbers else found) or names[0]


def _with_own_names(groups: Sequence[LayerGroup]) -> tuple[LayerGroup, ...]:
    """Return the groups with names that differ: those that do not get their number."""
    count = Counter(group.name for group in groups)
    return tuple(
        group if count[group.name] == 1 else replace(group, name=f"{group.name}#{depth}")
        for depth, group in enumerate(groups)
    )
