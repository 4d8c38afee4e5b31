"""Whether images fit a network's own batch statistics, and whether they would under another contract.

Batch normalisation remembers the spread of every activation over the training. Images whose range is another
than in training move all of them, so the remembered spreads tell a wrong range from a right one. They tell
little about polarity and the order of channels of medical images, and nothing in networks without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.problems import Problem
from medtransfer.models.source_model import HALF, IMAGENET_MEAN, IMAGENET_STD, InputContract

if TYPE_CHECKING:
    from torch import Tensor

    from medtransfer.models.network import Encoder

CLEARLY: Final = 0.6
"""Another contract is named when its distance is below this share of the declared one's.

Measured on chest X-rays, CT slices, ultrasound, MR slices and fundus photographs: under the right contract
no other came below 0.79 for MobileNet and ResNet-20. With mean and std forgotten, the right one came to
0.24-0.40 for ResNet-20, which is found, and to 0.63-0.90 for MobileNet, which is not.
"""
MOST_IMAGES: Final = 32
FEWEST_LAYERS: Final = 5


@dataclass(frozen=True)
class StatisticsFit:
    """How far activations are from the remembered ones, under the declared contract and under others."""

    declared: float
    """Mean absolute logarithm of the ratio of variances under the declared contract; 0 is a perfect fit."""
    others: dict[str, float]
    """The same under other contracts, by what they are."""

    @property
    def better(self) -> str | None:
        """The other contract that fits clearly better; None when there is none."""
        if not self.others:
            return None
        best = min(self.others, key=lambda name: self.others[name])
        return best if self.others[best] < CLEARLY * self.declared else None

    def problem(self, model: str) -> Problem:
        """Return the better contract as a problem."""
        best = str(self.better)
        return Problem(
            "contract-does-not-fit",
            model,
            "images in the range the network was trained with",
            f"batch statistics that fit {best} better (distance {self.others.get(best, 0.0):.2f}, declared "
            f"{self.declared:.2f})",
            "Check mean, std and value range of the model with whoever trained it.",
        )


def other_contracts(contract: InputContract) -> dict[str, InputContract]:
    """Return contracts people confuse with the declared one, by what they are."""
    grey = contract.channels == 1
    known = {
        "ImageNet mean and std": (IMAGENET_MEAN, IMAGENET_STD),
        "mean and std of one half": (HALF, HALF),
        "the range 0 to 1 alone": ((0.0,) * 3, (1.0,) * 3),
        "the range 0 to 255": ((0.0,) * 3, (1 / 255,) * 3),
    }
    found = {
        name: replace(
            contract,
            mean=(float(np.mean(mean)),) if grey else mean,
            std=(float(np.mean(std)),) if grey else std,
            value_range="unit",
        )
        for name, (mean, std) in known.items()
    }
    wide = replace(
        contract,
        mean=(0.0,) * contract.channels,
        std=(1.0,) * contract.channels,
        value_range="hounsfield-like",
    )
    found["the range -1024 to 1024"] = wide
    return {name: other for name, other in found.items() if not _same(other, contract)}


def statistics_fit(encoder: Encoder, images: Sequence[npt.NDArray[np.uint8]]) -> StatisticsFit | None:
    """Return how well images fit a network's batch statistics.

    Args:
        encoder: In evaluation mode, on the CPU.
        images: At the network's size, each (S, S) or (S, S, 3); up to 32 are used.

    Returns:
        None when the network has fewer than five layers of batch normalisation.
    """
    import torch
    from torch import nn

    from medtransfer.models.input_transform import InputTransform

    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    if len(norms) < FEWEST_LAYERS:
        return None
    pixels = torch.from_numpy(np.stack([_three_channels(image) for image in images[:MOST_IMAGES]]))
    distances = {}
    for name, contract in {"declared": encoder.input, **other_contracts(encoder.input)}.items():
        distances[name] = _distance(encoder, InputTransform(contract)(pixels))
    return StatisticsFit(distances.pop("declared"), distances)


def _distance(encoder: Encoder, inputs: Tensor) -> float:
    import torch
    from torch import nn

    gaps: list[float] = []

    def compare(norm: nn.Module, values: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG001 (the interface)
        assert isinstance(norm, nn.BatchNorm2d)
        if norm.running_var is not None:
            spread = values[0].var((0, 2, 3), unbiased=False)
            ratio = (spread + norm.eps) / (norm.running_var + norm.eps)
            gaps.append(ratio.log().abs().mean().item())

    hooks = [
        norm.register_forward_hook(compare) for norm in encoder.modules() if isinstance(norm, nn.BatchNorm2d)
    ]
    try:
        with torch.no_grad():
            encoder(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return float(np.mean(gaps))


def _three_channels(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(colour.transpose(2, 0, 1))


def _same(one: InputContract, other: InputContract) -> bool:
    return one.value_range == other.value_range and (one.mean, one.std) == (other.mean, other.std)
