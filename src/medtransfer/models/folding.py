"""Batch normalisation folded into the convolution before it: the same network with fewer passes over its maps."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, fx, nn

from medtransfer.models.convolution_order import UsualOrderConv2d

Network = TypeVar("Network", bound=nn.Module)

_UNTRACEABLE = (
    *(RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError, LookupError, AssertionError),
    fx.proxy.TraceError,
)
"""What a network raises when it asks a traced tensor for what only numbers have."""


def folded_copy(network: Network, part: str = "") -> tuple[Network, int]:
    """Return a copy for evaluation in which convolutions do the normalisation after them, and how many do.

    Only pairs of which the recorded calls of the network prove that they belong together are folded: both
    are called once, the normalisation is called on the convolution's output, and nobody else reads that
    output. The copy runs the network's own ``forward``. A network whose calls cannot be recorded is copied
    as it is. The network given is not changed; the copy shares the tensors that are not folded.

    Args:
        network: Any network; normalisation is folded with its running statistics.
        part: Path of the submodule whose calls are recorded; the network itself if empty.

    Returns:
        The copy, in evaluation mode, and the number of pairs, at least 0.

    Reference:
        Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", CVPR 2018, equation 14.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> folded_copy(network)[1]
        1
    """
    kept = [*network.parameters(), *network.buffers()]
    twin = copy.deepcopy(network, memo={id(tensor): tensor for tensor in kept}).eval()
    traced = twin.get_submodule(part)
    pairs = list(_pairs(traced))
    for convolution, normalisation in pairs:
        _fold(traced, convolution, normalisation)
    return twin.eval(), len(pairs)


def folded_weights(
    weight: Tensor, bias: Tensor | None, normalisation: nn.BatchNorm2d
) -> tuple[Tensor, Tensor]:
    """Return kernels and biases that convolve and normalise at once; factors are computed in float64.

    Args:
        weight: (C_out, C_in / groups, k, k) kernels.
        bias: (C_out,) or None.
        normalisation: Of C_out channels, with running statistics.

    Raises:
        ValueError: If the normalisation has no running statistics.
    """
    mean, variance = normalisation.running_mean, normalisation.running_var
    if mean is None or variance is None:
        raise ValueError("batch normalisation: expected running statistics, got none.")
    scale = (variance.double() + normalisation.eps).rsqrt()
    if normalisation.weight is not None:
        scale = scale * normalisation.weight.double()
    shift = -mean.double() if bias is None else bias.double() - mean.double()
    shift = shift * scale
    if normalisation.bias is not None:
        shift = shift + normalisation.bias.double()
    return weight * scale.to(weight.dtype).view(-1, 1, 1, 1), shift.to(weight.dtype)


class _Tracer(fx.Tracer):
    """Records calls down to the modules that hold no normalisation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        holds = any(isinstance(each, nn.BatchNorm2d) for each in m.modules())
        return not holds or isinstance(m, nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _pairs(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield the paths of convolutions and of the normalisation that can be folded into each."""
    graph = _recorded_calls(network)
    if graph is None:
        return
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    touched = {str(node.target) for node in graph.nodes if node.op == "get_attr"}
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and len(node.args) == 1 else None
        if not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        first, second = str(before.target), str(node.target)
        alone = calls[first] == calls[second] == 1 and len(before.users) == 1 and not node.kwargs
        untouched = not any(name.startswith((f"{first}.", f"{second}.")) for name in touched)
        modules = network.get_submodule(first), network.get_submodule(second)
        if alone and untouched and _can_fold(*modules):
            yield first, second


def _recorded_calls(network: nn.Module) -> fx.Graph | None:
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks of networks about shapes that are recorded as constants
            return _Tracer().trace(network)
    except _UNTRACEABLE:
        return None


def _can_fold(convolution: nn.Module, normalisation: nn.Module) -> bool:
    """Return whether both are of kinds that compute what their parameters say, without hooks."""
    return (
        type(convolution) in {nn.Conv2d, Conv2dSame, UsualOrderConv2d}
        and type(normalisation) in {nn.BatchNorm2d, BatchNormAct2d}
        and isinstance(getattr(normalisation, "drop", nn.Identity()), nn.Identity)
        and normalisation.running_mean is not None
        and not any(_has_hooks(module) for module in (convolution, normalisation))
    )


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _fold(network: nn.Module, convolution: str, normalisation: str) -> None:
    """Put the normalisation's numbers into the convolution, and its activation in its place."""
    into, gone = network.get_submodule(convolution), network.get_submodule(normalisation)
    if not isinstance(into, nn.Conv2d) or not isinstance(gone, nn.BatchNorm2d):
        raise TypeError(f"folding: expected a convolution and a batch normalisation, got {into} and {gone}.")
    with torch.no_grad():
        weight, bias = folded_weights(into.weight, into.bias, gone)
    into.weight = nn.Parameter(weight, requires_grad=False)
    into.bias = nn.Parameter(bias, requires_grad=False)
    after = gone.act if isinstance(gone, BatchNormAct2d) else nn.Identity()
    network.set_submodule(normalisation, after)
