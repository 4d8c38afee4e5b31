"""Colours, blur and sharpness of a batch on the device that trains; see :mod:`medtransfer.data.looks`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from medtransfer.data.device_copies import DeviceCopies
from medtransfer.data.looks import FloatArray, Looks, blur_sigmas, hue_steps, saturation_factors

_LUMA = (0.299, 0.587, 0.114)
_SECTORS = ((0, 3, 1), (2, 0, 1), (1, 0, 3), (1, 2, 0), (3, 1, 0), (0, 1, 2))
"""Which of value, p, q, t are red, green and blue in each sixth of the colour circle."""


def changed_looks(views: Tensor, numbers: FloatArray, looks: Looks, copies: DeviceCopies) -> Tensor:
    """Return views whose tones are done, changed in the order colours, grey, blur, sharpness.

    Which cases a change is made on is decided where the numbers are, so nobody waits for the device.

    Args:
        views: uint8 (B, C, size, size) on the device, C 1 or 3.
        numbers: (B, ``LOOK_DRAWS``) uniform draws.
        looks: The ranges.
        copies: Takes the parameters to the device.
    """
    values = views.float()
    if views.shape[1] == 3:
        values = _coloured(values, numbers, looks, copies)
    blurred = numbers[:, 8] < looks.blur_probability
    if blurred.any():
        edges = np.exp(-0.5 / blur_sigmas(numbers, looks) ** 2)
        values = _where(
            blurred, _smoothed(values, _per_case(edges / (1 + 2 * edges), copies)), values, copies
        )
    sharpened = numbers[:, 10] < looks.sharpness_probability
    if sharpened.any():
        values = _where(sharpened, _sharpened(values, looks.sharpness), values, copies)
    return values.to(torch.uint8)


def _coloured(values: Tensor, numbers: FloatArray, looks: Looks, copies: DeviceCopies) -> Tensor:
    grey = numbers[:, 7] < looks.grey_probability
    turned = ~grey & (numbers[:, 4] < looks.tone_probability) & bool(looks.saturation or looks.hue)
    found = values
    if turned.any():
        steps = _per_case(hue_steps(numbers, looks), copies)
        factors = _per_case(saturation_factors(numbers, looks), copies)
        found = _where(turned, _turned(values, steps, factors), found, copies)
    if grey.any():
        mixed = sum(share * values[:, k : k + 1] for k, share in enumerate(_LUMA))
        found = _where(grey, torch.as_tensor(mixed).round().expand_as(values), found, copies)
    return found


def _turned(values: Tensor, steps: Tensor, factors: Tensor) -> Tensor:
    """Return colours turned by steps of 1/256 and more or less saturated, in bytes as OpenCV keeps them."""
    red, green, blue = values[:, :1], values[:, 1:2], values[:, 2:]
    value, low = values.amax(1, keepdim=True), values.amin(1, keepdim=True)
    spread = value - low
    saturation = (255 * spread / value.clamp_min(1)).round()
    around = torch.where(
        value == red,
        green - blue,
        torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = (256 * around / (6 * spread).clamp_min(1)).round()
    hue = (hue.remainder(256) + steps).remainder(256)
    saturation = (saturation * factors).round().clamp(0, 255) / 255
    return _from_circle(hue * (6 / 255), saturation, value)


def _from_circle(sixths: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Return red, green and blue of places on the circle in [0, 6], of saturations in [0, 1] and of values."""
    sixths = torch.where(sixths >= 6, sixths - 6, sixths)
    sector = sixths.floor()
    rest = sixths - sector
    mixes = (
        value,
        value * (1 - saturation),
        value * (1 - saturation * rest),
        value * (1 - saturation * (1 - rest)),
    )
    found = torch.cat([mixes[k] for k in _SECTORS[0]], dim=1)
    for number, order in enumerate(_SECTORS[1:], 1):
        found = torch.where(sector == number, torch.cat([mixes[k] for k in order], dim=1), found)
    return found.round().clamp(0, 255)


def _smoothed(values: Tensor, edges: Tensor) -> Tensor:
    """Return values blurred with the weights (edge, 1 - 2 edge, edge) along both axes."""
    wide = functional.pad(values, (1, 1, 1, 1), mode="reflect")
    across = edges * (wide[..., :-2] + wide[..., 2:]) + (1 - 2 * edges) * wide[..., 1:-1]
    down = edges * (across[..., :-2, :] + across[..., 2:, :]) + (1 - 2 * edges) * across[..., 1:-1, :]
    return down.round().clamp(0, 255)


def _sharpened(values: Tensor, factor: float) -> Tensor:
    """Return values moved away from their copy smoothed with the weights 1 and, in the middle, 5."""
    side = values.shape[-1]
    wide = functional.pad(values, (1, 1, 1, 1), mode="reflect")
    total = sum(wide[..., y : y + side, x : x + side] for y in range(3) for x in range(3))
    smooth = (total + 4 * values) / 13
    return (smooth + factor * (values - smooth)).round().clamp(0, 255)


def _where(chosen: npt.NDArray[np.bool_], changed: Tensor, values: Tensor, copies: DeviceCopies) -> Tensor:
    return torch.where(copies.put(chosen)[:, None, None, None], changed, values)


def _per_case(numbers: FloatArray, copies: DeviceCopies) -> Tensor:
    return copies.put(numbers.astype("float32"))[:, None, None, None]
