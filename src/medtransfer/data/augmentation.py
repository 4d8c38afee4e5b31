"""Augmentation of a batch: one resampling per image, one independent draw per case and epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.errors import ShapeError, UsageError
from medtransfer.core.seeds import generator
from medtransfer.data.distortions import Bend, Distortion, Field, draw_bend
from medtransfer.data.looks import (
    LOOK_DRAWS,
    PLAIN_LOOKS,
    Looks,
    change_looks,
    change_tones,
    straight_tables,
    tone_tables,
)
from medtransfer.data.uniform_draws import uniform_draws

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float64]

_BORDER = cv2.BORDER_REFLECT_101
_DRAWS = 8


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random view a training case is seen in; every draw is uniform in its range."""

    crop_scale: tuple[float, float] | None = (0.5, 1.0)
    """Share of the cached image's area that a crop covers, in (0, 1]; None takes the evaluation view."""
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of the crop, uniform in its logarithm; the range holds 1."""
    flip: float = 0.5
    """Probability of a horizontal mirror image."""
    rotation_degrees: float = 10.0
    """Largest rotation either way about the crop's centre."""
    brightness: float = 0.1
    """Largest shift of the grey values, as a share of 255."""
    contrast: float = 0.1
    """Largest change of the slope about mid-grey: the factor lies in 1 ± contrast."""
    crop_probability: float = 1.0
    """Chance that a crop is drawn; the others keep the evaluation view."""
    looks: Looks = PLAIN_LOOKS
    """Further changes of grey values, colours and sharpness."""
    distortion: Distortion | None = None
    """Curved distortions; None for none."""

    def __post_init__(self) -> None:
        low, high = self.crop_scale or (1.0, 1.0)
        thin, wide = self.crop_ratio
        valid = (
            0 < low <= high <= 1
            and 0 < thin <= 1 <= wide
            and 0 <= self.flip <= 1
            and 0 <= self.rotation_degrees <= 180
            and 0 <= self.brightness <= 1
            and 0 <= self.contrast <= 1
            and 0 <= self.crop_probability <= 1
        )
        if not valid:
            raise UsageError(
                "augmentation: expected 0 < crop_scale <= 1, crop_ratio around 1, rotation within 180 "
                f"degrees and flip, brightness, contrast and crop_probability in [0, 1], got "
                f"{self}. Change the values outside."
            )

    @property
    def changes_tones(self) -> bool:
        """Whether grey values change, not only places."""
        return self.brightness > 0 or self.contrast > 0

    def as_settings(self) -> dict[str, Any]:
        """Return the ranges as JSON values; later additions are left out where they change nothing."""
        values = asdict(self)
        plain = type(self)()
        for name in ("crop_probability", "looks", "distortion"):
            if getattr(self, name) == getattr(plain, name):
                del values[name]
        return {name: _as_json(value) for name, value in values.items()}


DEFAULT = Augmentation()
NONE = Augmentation(crop_scale=None, flip=0.0, rotation_degrees=0.0, brightness=0.0, contrast=0.0)
STUDY_A_CLASSIFICATION = Augmentation(
    crop_scale=(0.08, 1.0), rotation_degrees=7.0, brightness=0.0, contrast=0.0
)
"""Views of the classification recipes of studies A and B."""
STUDY_A_SEGMENTATION = Augmentation(
    crop_scale=((156 / 224) ** 2, 1.0),
    crop_ratio=(1.0, 1.0),
    flip=0.0,
    rotation_degrees=0.0,
    brightness=0.2,
    contrast=0.2,
    crop_probability=0.25,
    looks=Looks(tone_probability=0.3, gamma=(0.8, 1.2), gamma_share=0.5),
    distortion=Distortion(probability=0.3),
)
"""Views of their segmentation recipes; ranges of tones and gamma are the usual ones, for none is published."""


@dataclass(frozen=True)
class ViewDraws:
    """All that was drawn for the views of a batch: what computes them, here or on a device, adds no chance."""

    size: int
    """Side of the views in pixels."""
    maps: FloatArray
    """(B, 2, 3) affine maps from pixels of the views to pixels of the images."""
    bends: tuple[Bend | None, ...]
    """Each case's curved distortion."""
    tables: UInt8Array | None
    """(B, 256) tone curves; None where tones stay."""
    looks: FloatArray | None
    """(B, ``LOOK_DRAWS``) uniform draws for colours and sharpness; None where these stay."""


def draw_views(
    case_numbers: npt.NDArray[np.integer],
    *,
    side: int,
    size: int,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
) -> ViewDraws:
    """Draw each case's random view; the same whatever the batch it is in.

    Args:
        case_numbers: (B,) row numbers in the case table.
        side: S, side of the cached images in pixels.
        size: Side of the views in pixels, at most S.
        augmentation: The ranges.
        seed: The trial's seed.
        epoch: Number of the epoch, from 0.
    """
    numbers = uniform_draws(seed, epoch, case_numbers, _DRAWS + 1 + LOOK_DRAWS)
    maps = view_maps(numbers, augmentation, side=side, size=size)
    bends = _draw_bends(augmentation.distortion, case_numbers, size, (seed, epoch))
    tones = {"brightness": augmentation.brightness, "contrast": augmentation.contrast}
    if augmentation.looks.changes_more_than_tones:
        drawn = numbers[:, _DRAWS + 1 :]
        return ViewDraws(size, maps, bends, tone_tables(drawn, augmentation.looks, **tones), drawn)
    tables = None
    if augmentation.changes_tones:
        tables = straight_tables(numbers[:, 6:7], numbers[:, 7:8], **tones)
    return ViewDraws(size, maps, bends, tables, None)


def augment_batch(
    images: UInt8Array,
    masks: UInt8Array | None,
    case_numbers: npt.NDArray[np.integer],
    *,
    size: int,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
) -> tuple[UInt8Array, UInt8Array | None]:
    """Return each case's random training view; the same whatever the batch it is in.

    Crop, mirror, rotation and scale are one affine map, so pixels are resampled once. What a rotated
    crop sees beyond the image is its reflection, in image and mask alike: constant corners would
    show the network the angle.

    Args:
        images: (B, S, S, C), C 1 or 3.
        masks: (B, S, S), moved with the images, nearest neighbour; or None.
        case_numbers: (B,) row numbers in the case table.
        size: Side of the views in pixels, at most S.
        augmentation: The ranges.
        seed: The trial's seed.
        epoch: Number of the epoch, from 0.

    Returns:
        Images (B, size, size, C) and masks (B, size, size) or None.

    Raises:
        ShapeError: If the arrays disagree or ``size`` exceeds S.
    """
    _require_shapes(images, masks, case_numbers, size)
    draws = draw_views(
        case_numbers, side=images.shape[1], size=size, augmentation=augmentation, seed=seed, epoch=epoch
    )
    fields = [None if bend is None else bend.field() for bend in draws.bends]
    views = _warp(images, draws.maps, fields, size, cv2.INTER_LINEAR)
    if draws.tables is not None:
        change_tones(views, draws.tables)
    if draws.looks is not None:
        change_looks(views, draws.looks, augmentation.looks)
    if masks is None:
        return views, None
    return views, _warp(masks[..., None], draws.maps, fields, size, cv2.INTER_NEAREST)[..., 0]


def view_maps(numbers: FloatArray, augmentation: Augmentation, *, side: int, size: int) -> FloatArray:
    """Return the affine maps from pixels of the views to pixels of the cached images.

    Area and log ratio are drawn from the crops that fit: for area share a the ratio is confined to
    [a, 1/a], so no crop is clipped and none is drawn twice.

    Args:
        numbers: (B, 9 or more) uniform draws: area, ratio, centre x, centre y, mirror, angle, two for tones,
            whether to crop; the others are for looks.
        augmentation: The ranges.
        side: S, side of the cached images.
        size: Side of the views.

    Returns:
        (B, 2, 3) matrices; pixel (column, row) has its centre at whole numbers.
    """
    if augmentation.crop_scale is None:
        width = height = np.full(len(numbers), float(size))
        left = top = np.full(len(numbers), float((side - size) // 2))
    else:
        low, high = augmentation.crop_scale
        area = low + (high - low) * numbers[:, 0]
        thin = np.log(np.maximum(augmentation.crop_ratio[0], area))
        wide = np.log(np.minimum(augmentation.crop_ratio[1], 1 / area))
        ratio = np.exp(thin + (wide - thin) * numbers[:, 1])
        width, height = side * np.sqrt(area * ratio), side * np.sqrt(area / ratio)
        left, top = (side - width) * numbers[:, 2], (side - height) * numbers[:, 3]
        if augmentation.crop_probability < 1:
            whole = numbers[:, _DRAWS] >= augmentation.crop_probability
            width[whole] = height[whole] = float(size)
            left[whole] = top[whole] = float((side - size) // 2)
    mirror = np.where(numbers[:, 4] < augmentation.flip, -1.0, 1.0)
    angle = np.deg2rad(augmentation.rotation_degrees) * (2 * numbers[:, 5] - 1)
    stretch_x, stretch_y = mirror * width / size, height / size
    maps = np.empty((len(numbers), 2, 3))
    maps[:, 0, 0], maps[:, 0, 1] = np.cos(angle) * stretch_x, -np.sin(angle) * stretch_y
    maps[:, 1, 0], maps[:, 1, 1] = np.sin(angle) * stretch_x, np.cos(angle) * stretch_y
    centre = np.stack([left + width / 2, top + height / 2], axis=1) - 0.5
    maps[:, :, 2] = centre - maps[:, :, :2].sum(axis=2) * (size - 1) / 2
    return maps


def _warp(
    images: UInt8Array, maps: FloatArray, fields: Sequence[Field | None], size: int, interpolation: int
) -> UInt8Array:
    channels = images.shape[3]
    views = np.empty((len(images), size, size, channels), dtype=np.uint8)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    for view, image, inverse, field in zip(views, images, maps, fields, strict=True):
        pixels = np.asarray(image)
        if field is None:
            warped = cv2.warpAffine(pixels, inverse, (size, size), flags=flags, borderMode=_BORDER)
        else:
            places = (field @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)
            warped = cv2.remap(pixels, places[..., 0], places[..., 1], interpolation, borderMode=_BORDER)
        view[...] = warped.reshape(size, size, channels)
    return views


def _draw_bends(
    distortion: Distortion | None,
    case_numbers: npt.NDArray[np.integer],
    size: int,
    moment: tuple[int, int],
) -> tuple[Bend | None, ...]:
    """Return each case's distortion, drawn from its own generator."""
    if distortion is None:
        return (None,) * len(case_numbers)
    seed, epoch = moment
    return tuple(
        draw_bend(distortion, generator("distortion", seed, epoch, int(number)), size)
        for number in case_numbers
    )


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_json(part) for name, part in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _require_shapes(
    images: UInt8Array, masks: UInt8Array | None, case_numbers: npt.NDArray[np.integer], size: int
) -> None:
    if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[0] != len(case_numbers):
        raise ShapeError(f"images: expected shape ({len(case_numbers)}, S, S, C), got {images.shape}.")
    if not 1 <= size <= images.shape[1]:
        raise ShapeError(f"size: expected 1 to {images.shape[1]}, the side of the images, got {size}.")
    if masks is not None and masks.shape != images.shape[:3]:
        raise ShapeError(f"masks: expected shape {images.shape[:3]}, got {masks.shape}.")
