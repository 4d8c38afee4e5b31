"""Photographic-like phantom pictures: coloured textures and shapes of ten classes, drawn from formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator
from medtransfer.data.phantom_fields import (
    SIDE,
    SUBPIXEL_BITS,
    Field,
    UInt8Array,
    blurred,
    smooth_noise,
    soft_step,
    to_bytes,
    to_fixed_point,
)

_TURN = 2 * math.pi


@dataclass(frozen=True)
class _Plane:
    """A slightly bent surface seen at a random scale and angle."""

    x: Field
    y: Field


def draw_photograph(series: str, motif: str, number: int) -> UInt8Array:
    """Draw a picture of one class; the same arguments always give the same picture.

    Motif, colours, light, clutter, focus and grain are drawn independently, so that only the motif's
    form tells the class.

    Args:
        series: Name of the collection.
        motif: Name of the class, out of :data:`motifs`.
        number: Number of the picture in its class.

    Returns:
        (80, 80, 3) RGB.
    """
    rng = generator("phantom-photograph", series, motif, number)
    pattern = motifs[motif](rng, _bent_plane(rng))[..., None]
    ground, figure = _colours(rng)
    picture: Field = ground + (figure - ground) * pattern
    picture = picture + 0.06 * np.stack([smooth_noise(rng, 6) for _ in range(3)], axis=-1)
    lit = _with_clutter(rng, picture) * _light(rng)[..., None]
    grain = rng.uniform(0.01, 0.06) * rng.standard_normal((SIDE, SIDE, 3), dtype=np.float32)
    return to_bytes(blurred(lit, rng.uniform(0.3, 1.0)) + grain)


def _bent_plane(rng: np.random.Generator) -> _Plane:
    centres = ((np.arange(SIDE) + 0.5) / SIDE * 2 - 1).astype(np.float32)
    x = centres + rng.uniform(0, 0.06) * smooth_noise(rng, 5)
    y = centres[:, None] + rng.uniform(0, 0.06) * smooth_noise(rng, 5)
    angle, stretch = rng.uniform(0, _TURN), rng.uniform(0.8, 1.25)
    cosine, sine = math.cos(angle), math.sin(angle)
    return _Plane(stretch * (cosine * x + sine * y), (cosine * y - sine * x) / stretch)


def _colours(rng: np.random.Generator) -> tuple[Field, Field]:
    """Return two RGB colours at a distance of at least 0.3."""
    ground = rng.uniform(0.1, 0.9, 3)
    away = rng.normal(size=3)
    away *= rng.uniform(0.3, 0.8) / np.linalg.norm(away)
    figure = np.where((ground + away < 0) | (ground + away > 1), ground - away, ground + away)
    return ground.astype(np.float32), figure.astype(np.float32)


def _light(rng: np.random.Generator) -> Field:
    ramp = np.linspace(-1, 1, SIDE, dtype=np.float32)
    across, down = rng.uniform(-0.25, 0.25), rng.uniform(-0.25, 0.25)
    light: Field = 1 + across * ramp + down * ramp[:, None]
    return light


def _with_clutter(rng: np.random.Generator, picture: Field) -> Field:
    """Return the picture with up to three opaque ellipses over it."""
    covered = picture.astype(np.float32)
    for _ in range(rng.integers(0, 4)):
        centre = rng.integers(0, SIDE, 2).tolist()
        axes = rng.integers(3, 14, 2).tolist()
        colour = rng.uniform(0, 1, 3).tolist()
        cv2.ellipse(covered, centre, axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
    return covered


def _stripes(rng: np.random.Generator, plane: _Plane) -> Field:
    return soft_step(
        np.cos(plane.x * rng.uniform(8, 24) + rng.uniform(0, _TURN)) + rng.uniform(-0.5, 0.5), 0.4
    )


def _checks(rng: np.random.Generator, plane: _Plane) -> Field:
    across = np.cos(plane.x * rng.uniform(6, 16) + rng.uniform(0, _TURN))
    down = np.cos(plane.y * rng.uniform(6, 16) + rng.uniform(0, _TURN))
    return soft_step(across * down, 0.25)


def _rings(rng: np.random.Generator, plane: _Plane) -> Field:
    x, y = rng.uniform(-0.7, 0.7, 2).tolist()
    radius = np.hypot(plane.x - x, plane.y - y)
    return soft_step(np.cos(radius * rng.uniform(10, 26) + rng.uniform(0, _TURN)), 0.4)


def _spots(rng: np.random.Generator, plane: _Plane) -> Field:
    step = rng.uniform(0.3, 0.6)
    column, x = np.divmod(plane.x / step + rng.uniform(0, 1), 1)
    y = (plane.y / step + 0.5 * (column % 2) + rng.uniform(0, 1)) % 1
    return soft_step(rng.uniform(0.22, 0.34) - np.hypot(x - 0.5, y - 0.5), 0.06)


def _waves(rng: np.random.Generator, plane: _Plane) -> Field:
    swing = rng.uniform(0.10, 0.2) * np.sin(plane.x * rng.uniform(8, 16) + rng.uniform(0, _TURN))
    return soft_step(np.cos((plane.y + swing) * rng.uniform(10, 22)), 0.4)


def _cells(rng: np.random.Generator, plane: _Plane) -> Field:
    seeds = rng.uniform(-1.3, 1.3, (int(rng.integers(18, 36)), 2)).astype(np.float32)
    squared = (plane.x[..., None] - seeds[:, 0]) ** 2 + (plane.y[..., None] - seeds[:, 1]) ** 2
    nearest = np.sqrt(np.partition(squared, 1, axis=-1)[..., :2])
    return soft_step(rng.uniform(0.05, 0.1) - (nearest[..., 1] - nearest[..., 0]), 0.03)


def _clouds(rng: np.random.Generator, _plane: _Plane) -> Field:
    octaves = sum(smooth_noise(rng, knots) / (1 + level) for level, knots in enumerate((5, 10, 20, 40)))
    return soft_step(np.asarray(octaves, dtype=np.float32), rng.uniform(0.5, 1.5))


def _triangles(rng: np.random.Generator, _plane: _Plane) -> Field:
    return _scattered(rng, np.ones(3))


def _stars(rng: np.random.Generator, _plane: _Plane) -> Field:
    return _scattered(rng, np.tile([1.0, rng.uniform(0.35, 0.5)], int(rng.integers(5, 7))))


def _crosses(rng: np.random.Generator, _plane: _Plane) -> Field:
    arm = rng.uniform(0.2, 0.32)
    tip, notch = np.hypot(1, arm), np.hypot(arm, arm)
    lean = np.arctan(arm)
    angles = np.arange(4).repeat(3) * _TURN / 4 + np.tile([-lean, lean, _TURN / 8], 4)
    return _scattered(rng, np.tile([tip, tip, notch], 4), angles)


def _scattered(
    rng: np.random.Generator, radii: npt.NDArray[np.float64], angles: npt.NDArray[np.float64] | None = None
) -> Field:
    """Return three to seven copies of a polygon, given in polar form, at random places and sizes."""
    if angles is None:
        angles = np.arange(len(radii)) * _TURN / len(radii)
    layer = np.zeros((SIDE, SIDE), dtype=np.float32)
    for _ in range(rng.integers(3, 8)):
        turned = angles + rng.uniform(0, _TURN)
        corners = np.stack([np.cos(turned), np.sin(turned)], axis=1) * radii[:, None] * rng.uniform(7, 17)
        placed = to_fixed_point(corners + rng.uniform(0, SIDE, 2))
        cv2.fillPoly(layer, [placed], 1.0, cv2.LINE_AA, SUBPIXEL_BITS)
    return layer


motifs: Mapping[str, Callable[[np.random.Generator, _Plane], Field]] = {
    "cells": _cells,
    "checks": _checks,
    "clouds": _clouds,
    "crosses": _crosses,
    "rings": _rings,
    "spots": _spots,
    "stars": _stars,
    "stripes": _stripes,
    "triangles": _triangles,
    "waves": _waves,
}
"""How each class draws its figure, (80, 80) in [0, 1]."""
