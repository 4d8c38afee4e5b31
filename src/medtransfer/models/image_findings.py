"""Faults of images and of input contracts that show in values: proven ones, and those one can only suspect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.problems import Problem
from medtransfer.models.source_model import IMAGENET_MEAN, InputContract

if TYPE_CHECKING:
    from medtransfer.models.input_check import ChannelFacts

MOST_NAMED: Final = 5
"""Images a finding names."""
DARK: Final = 32
"""Images whose largest byte is below this are black to a network."""
ENDS: Final = 8
"""Negative numbers stored as bytes wrap round, so normalised values fill this much of both ends."""
BLUE_EXCESS: Final = 0.1
"""How far blue is above red, as a share of the range, when their order is suspected to be swapped."""
BRIGHT_CORNER: Final = 0.6
"""Corners brighter than this share of the range, and than the image, suggest an inverted image."""
FEW: Final = 0.25
"""Below this share of the images, dark ones are to look at: the last slices of a volume are."""
MOST: Final = 0.75
"""Share of the images that makes a suspicion one of the folder."""
FAR: Final = 2.0
"""Means further from zero than this, in units of the contract's standard deviation, are worth a look."""


@dataclass(frozen=True)
class StoredValues:
    """The values of an image file before they became bytes."""

    kind: str
    """Type, such as ``uint8`` or ``float32``."""
    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    mean: float
    """Mean."""
    std: float
    """Standard deviation."""
    wrapped: bool = False
    """Whether they are bytes that look like negative numbers stored as bytes."""


@dataclass(frozen=True)
class FolderImage:
    """An image as a study would read it."""

    name: str
    """What to call it."""
    pixels: npt.NDArray[np.uint8] = field(repr=False)
    """At the network's size, shape (S, S) or (S, S, 3)."""
    stored: StoredValues
    """Values in the file."""


def stored_values(values: npt.NDArray[Any]) -> StoredValues:
    """Return the facts of an image file's values, of any shape and type.

    Example:
        >>> normalised = np.array([-1.2, 0.4, 0.0, 1.7, -2.3])
        >>> stored_values(normalised.astype(np.int64).astype(np.uint8)).wrapped
        True
    """
    exact = values.astype(np.float64)
    return StoredValues(
        kind=str(values.dtype),
        low=float(exact.min()),
        high=float(exact.max()),
        mean=float(exact.mean()),
        std=float(exact.std()),
        wrapped=values.dtype == np.uint8 and _is_wrapped(values),
    )


def _is_wrapped(values: npt.NDArray[np.uint8]) -> bool:
    """Return whether bytes lie at both ends of their range only, and are no mask of two values."""
    ends = float((values < ENDS).mean()), float((values >= 256 - ENDS).mean())
    return min(ends) > 0.05 and sum(ends) > 0.95 and len(np.unique(values)) > 2


def contract_problems(model: str, contract: InputContract) -> list[Problem]:
    """Return what cannot be right about an input contract, whatever the images.

    Example:
        >>> wrong = InputContract(mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))
        >>> [problem.what for problem in contract_problems("mine", wrong)]
        ['contract-range']
    """
    found = []
    scaled = contract.value_range != "hounsfield-like"
    if scaled and (max(map(abs, contract.mean)) > 2 or max(contract.std) > 2):
        text = f"mean {contract.mean!r} and std {contract.std!r}"
        step = "Divide both by 255."
        found.append(Problem("contract-range", model, "mean and std of images scaled to [0, 1]", text, step))
    reversed_mean = contract.mean[::-1]
    if contract.channels == 3 and np.allclose(reversed_mean, IMAGENET_MEAN, atol=2e-3):
        text = f"mean {contract.mean!r}, those of ImageNet from blue to red"
        step = "Reverse mean and std, and make sure that the first layer was trained on red, green, blue."
        found.append(Problem("contract-order", model, "values from red to blue", text, step))
    return found


def proven_faults(images: Sequence[FolderImage], contract: InputContract) -> list[Problem]:
    """Return what the values of images prove to be wrong.

    Args:
        images: At least one.
        contract: What the network expects.
    """
    rules: list[tuple[str, Callable[[FolderImage], bool], str, str, str]] = [
        ("constant-image", _is_constant, "images with content", "one value in all pixels", ""),
        (
            "already-normalised",
            _is_normalised,
            "values as they were measured or displayed",
            "values around zero, as after a subtraction of the mean",
            "Give the images as they were before: the network's own normalisation follows.",
        ),
    ]
    found = _dark(images, contract, few=False)
    for code, holds, expected, got, step in rules:
        names = [image.name for image in images if holds(image)]
        if names:
            found.append(_of_images(code, names, len(images), expected, got, step))
    return found


def suspected_faults(
    images: Sequence[FolderImage], contract: InputContract, channels: Sequence[ChannelFacts]
) -> list[Problem]:
    """Return what may be wrong with images, to look at.

    Args:
        images: At least one.
        contract: What the network expects.
        channels: What it sees of them.
    """
    return [
        *_swapped(images),
        *_inverted(images),
        *_stretched(images, contract),
        *_dark(images, contract, few=True),
        *_far_from_training(contract, channels),
    ]


def _swapped(images: Sequence[FolderImage]) -> list[Problem]:
    coloured = [image for image in images if image.pixels.ndim == 3 and _colourfulness(image.pixels) > 0.05]
    blue = [image.name for image in coloured if _blue_excess(image.pixels) > BLUE_EXCESS]
    if not blue or len(blue) < MOST * len(coloured):
        return []
    step = "If they are not meant to be blue, they were stored from blue to red, as OpenCV does: swap them."
    expected, got = "red, green, blue", "more blue than red in most"
    return [_of_images("channels-look-swapped", blue, len(images), expected, got, step)]


def _inverted(images: Sequence[FolderImage]) -> list[Problem]:
    grey = [image for image in images if image.pixels.ndim == 2]
    bright = [image.name for image in grey if _has_bright_corners(image.pixels)]
    if not bright or len(bright) < MOST * len(grey):
        return []
    step = "If air and surroundings should be black, invert the images; page margins look the same."
    return [_of_images("looks-inverted", bright, len(images), "dark surroundings", "bright corners", step)]


def _stretched(images: Sequence[FolderImage], contract: InputContract) -> list[Problem]:
    deep = [image for image in images if image.stored.kind != "uint8" and not _is_normalised(image)]
    if not deep or contract.value_range == "minmax":
        return []
    step = "Each is stretched from its own lowest to its highest value; store bytes to keep them comparable."
    kinds = " and ".join(sorted({image.stored.kind for image in deep}))
    names = [image.name for image in deep]
    return [_of_images("stretched-values", names, len(images), "bytes", f"{kinds} values", step)]


def _dark(images: Sequence[FolderImage], contract: InputContract, *, few: bool) -> list[Problem]:
    """Return images that are black to the network, as a problem of the folder or as a few to look at."""
    names = [image.name for image in images if _is_dark(image)]
    if not names or contract.value_range == "minmax" or few != (len(names) < FEW * len(images)):
        return []
    step = "Bytes are used from 0 to 255: stretch the images, or window them, before they are stored."
    expected = f"values up to 255, or at least {DARK}"
    return [_of_images("wrong-range", names, len(images), expected, "smaller ones", step)]


def _far_from_training(contract: InputContract, channels: Sequence[ChannelFacts]) -> list[Problem]:
    if contract.value_range == "hounsfield-like":
        return []
    far = [channel for channel in channels if abs(channel.mean) > FAR]
    if not far:
        return []
    text = ", ".join(f"{channel.name} {channel.mean:.2f}" for channel in far)
    step = "Very dark or very bright images are unlike those of the training; look at the pictures."
    return [Problem("far-from-training", "all images", f"means within {FAR:g} of zero", text, step)]


def _of_images(code: str, names: Sequence[str], total: int, expected: str, got: str, step: str) -> Problem:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    where = f"{len(names)} of {total} images ({', '.join(names[:MOST_NAMED])}{more})"
    return Problem(code, where, expected, got, step)


def _is_constant(image: FolderImage) -> bool:
    return image.stored.low == image.stored.high


def _is_dark(image: FolderImage) -> bool:
    return image.stored.kind == "uint8" and image.stored.low < image.stored.high < DARK


def _is_normalised(image: FolderImage) -> bool:
    """Return whether values lie around zero with a spread near one, or are such values wrapped to bytes."""
    stored = image.stored
    if stored.kind == "uint8":
        return stored.wrapped
    near = -20 < stored.low < 0 < stored.high < 20
    return near and abs(stored.mean) < 3 and 0.05 < stored.std < 5


def _colourfulness(pixels: npt.NDArray[np.uint8]) -> float:
    return float(np.ptp(pixels, axis=2).mean()) / 255


def _blue_excess(pixels: npt.NDArray[np.uint8]) -> float:
    return float(pixels[..., 2].mean() - pixels[..., 0].mean()) / 255


def _has_bright_corners(pixels: npt.NDArray[np.uint8]) -> bool:
    side = max(1, min(pixels.shape) // 16)
    places: Iterable[tuple[slice, slice]] = (
        (rows, columns)
        for rows in (slice(side), slice(-side, None))
        for columns in (slice(side), slice(-side, None))
    )
    corner = float(np.median(np.concatenate([pixels[place].ravel() for place in places]))) / 255
    return corner > BRIGHT_CORNER and corner > float(pixels.mean()) / 255 + 0.1
