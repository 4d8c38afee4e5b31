"""Feature pyramids of any convolutional network, found by watching one forward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import log2
from typing import Any

import torch
from torch import Tensor, nn

MOST_LEVELS = 5
"""Levels of a pyramid: what decoders have a budget for. Of more, the finest are left out."""


@dataclass(frozen=True)
class PyramidLevel:
    """Where in the network the feature map of one resolution is found."""

    module: str
    """Path of the module whose output it is."""
    call: int
    """Which call of that module within one forward pass, from 0."""
    channels: int
    """Number of feature channels."""
    stride: float
    """Side of the image divided by the side of the map."""
    channels_last: bool = False
    """Whether the module gives (N, h, w, C), as some transformers do."""


@dataclass(frozen=True)
class _Output:
    """One module output seen in the watched pass."""

    module: str
    call: int
    dimensions: int
    side: int
    side_before: int
    channels: int
    channels_last: bool


def find_pyramid(network: nn.Module, images: Tensor) -> tuple[PyramidLevel, ...]:
    """Return the levels of a network's feature pyramid, finest first.

    A level is the last output of one resolution that leaves a whole stage: modules are looked into only
    where they shrink the map more than once, so that the inside of a block never stands for the stage
    before it. Side branches that pool and come back (squeeze-and-excitation) are no levels. Maps that
    convolutions without padding made a little smaller count as one resolution, whose last map is taken.

    Args:
        network: Network in evaluation mode.
        images: One square image, shape (1, C, S, S), large enough that the coarsest map has several
            pixels.

    Returns:
        At most five levels with strides of 2 and more, strictly growing; empty for a network whose last
        features are no map, such as a plain vision transformer.
    """
    size = images.shape[-1]
    outputs = _watch(network, images)
    if _ends_in_tokens(outputs):
        return ()
    main = _without_side_branches(_within_parents([output for output in outputs if output.dimensions == 4]))
    units = [output for output in _units(main) if 1 < output.side < size]
    last = {round(log2(size / output.side)): output for output in units}
    levels = tuple(
        PyramidLevel(output.module, output.call, output.channels, size / output.side, output.channels_last)
        for _, output in sorted(last.items())
    )
    return levels[-MOST_LEVELS:]


@contextmanager
def captured_maps(network: nn.Module, levels: Sequence[PyramidLevel]) -> Iterator[list[Tensor]]:
    """Collect the feature maps of the levels while the network runs inside the block.

    Yields:
        List that holds, once the network has run, one tensor (N, C, h, w) per level in their order.
    """
    maps: dict[tuple[str, int], Tensor] = {}
    collected: list[Tensor] = []
    calls: Counter[str] = Counter()
    wanted = {(level.module, level.call) for level in levels}

    def hook_for(name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ARG001 (torch calls it so)
            if (name, calls[name]) in wanted:
                maps[name, calls[name]] = output
            calls[name] += 1

        return keep

    names = dict.fromkeys(level.module for level in levels)
    hooks = [network.get_submodule(name).register_forward_hook(hook_for(name)) for name in names]
    try:
        yield collected
    finally:
        for hook in hooks:
            hook.remove()
    for level in levels:
        found = maps[level.module, level.call]
        collected.append(found.permute(0, 3, 1, 2) if level.channels_last else found)


def _watch(network: nn.Module, images: Tensor) -> list[_Output]:
    seen: list[_Output] = []
    calls: Counter[str] = Counter()

    def hook_for(name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001
            call, calls[name] = calls[name], calls[name] + 1
            if isinstance(output, Tensor) and output.shape[:1] == images.shape[:1]:
                seen.append(_described(name, call, inputs, output))

        return note

    hooks = [module.register_forward_hook(hook_for(name)) for name, module in network.named_modules() if name]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [output for output in seen if output.dimensions == 3 or output.side]


def _described(name: str, call: int, inputs: tuple[Any, ...], output: Tensor) -> _Output:
    side, last = _square_side(output)
    first = inputs[0] if inputs and isinstance(inputs[0], Tensor) else output
    before = _square_side(first)[0] or side
    channels = output.shape[-1 if last else 1] if output.ndim == 4 else 0
    return _Output(name, call, output.ndim, side, before, channels, last)


def _square_side(tensor: Tensor) -> tuple[int, bool]:
    """Return the side of a square map and whether channels come last; 0 for what is no square map."""
    if tensor.ndim != 4:
        return 0, False
    if tensor.shape[2] == tensor.shape[3]:
        return tensor.shape[2], False
    return (tensor.shape[1], True) if tensor.shape[1] == tensor.shape[2] else (0, False)


def _ends_in_tokens(outputs: Sequence[_Output]) -> bool:
    """Whether the last output with an extent in space is a sequence (N, tokens, C)."""
    spatial = [output for output in outputs if output.dimensions == 3 or output.side > 1]
    return not spatial or spatial[-1].dimensions == 3


def _within_parents(outputs: Sequence[_Output]) -> list[_Output]:
    """Return the outputs whose side lies between those before and after every module around them.

    What lies outside is no map of the image, such as the weights of an attention window.
    """
    limits: dict[str, tuple[int, int]] = {}
    for output in outputs:
        low, high = limits.get(output.module, (output.side, output.side))
        limits[output.module] = (
            min(low, output.side, output.side_before),
            max(high, output.side, output.side_before),
        )
    return [
        output
        for output in outputs
        if all(
            limits[parent][0] <= output.side <= limits[parent][1]
            for parent in _parents(output.module)
            if parent in limits
        )
    ]


def _without_side_branches(outputs: Sequence[_Output]) -> list[_Output]:
    """Return the outputs that no larger one follows."""
    kept: list[_Output] = []
    largest = 0
    for output in reversed(outputs):
        largest = max(largest, output.side)
        if output.side == largest:
            kept.append(output)
    return kept[::-1]


def _units(outputs: Sequence[_Output]) -> list[_Output]:
    """Return the outputs of the outermost modules that shrink the map at most once."""
    sides: dict[str, set[int]] = {}
    for output in outputs:
        sides.setdefault(output.module, set()).update((output.side_before, output.side))
        for parent in _parents(output.module):
            sides.setdefault(parent, set()).add(output.side)
    whole = {name for name, found in sides.items() if len(found) <= 2}
    return [o for o in outputs if o.module in whole and whole.isdisjoint(_parents(o.module))]


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]
