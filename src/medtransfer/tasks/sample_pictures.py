"""What is on the pictures of synthetic data sets: drawn from formulas, different by class, of no patient."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator
from medtransfer.data.phantom_chest import draw_chest
from medtransfer.data.phantom_findings import FINDINGS
from medtransfer.data.phantom_photographs import draw_photograph, motifs

UInt8Array = npt.NDArray[np.uint8]


def chest_picture(
    series: str, patient: int, view: int, classes: Collection[int], side: int = 64
) -> tuple[UInt8Array, UInt8Array]:
    """Return a chest-like picture and its lungs.

    Args:
        series: Name of the data set; patients of two series have nothing in common.
        patient: Number of the patient.
        view: Number of the exam.
        classes: Numbers of the classes the picture shows; each stands for one kind of shadow.
        side: Side S in pixels.

    Returns:
        Grey values (S, S), and the lungs (S, S), 1 inside.
    """
    shown = {FINDINGS[number % len(FINDINGS)] for number in classes}
    picture = draw_chest(series, patient, view, shown)
    size = (side, side)
    image = cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA)
    lungs = cv2.resize(picture.lungs, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(image, dtype=np.uint8), np.asarray(lungs, dtype=np.uint8)


def class_picture(series: str, class_number: int, number: int, side: int = 64) -> UInt8Array:
    """Return a coloured picture (S, S, 3) whose motif and tint depend on the class."""
    motif = tuple(motifs)[class_number % len(motifs)]
    drawn = draw_photograph(series, motif, number)
    image = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    tint = generator("tint", series, class_number).uniform(0.6, 1.0, size=3).astype(np.float32)
    return np.asarray(np.clip(image * tint, 0, 255), dtype=np.uint8)


def lesion_picture(
    series: str, number: int, side: int = 64, *, lesion: bool = True, rough: bool = False
) -> tuple[UInt8Array, UInt8Array]:
    """Return a speckled grey picture (S, S) with one dark oval, and the oval's mask, 1 inside.

    Args:
        series: Name of the data set.
        number: Number of the picture.
        side: Side S in pixels.
        lesion: Whether there is an oval at all.
        rough: Whether its edge is ragged, as of a malignant lesion.
    """
    rng = generator("lesion", series, number)
    rows, columns = np.mgrid[0:side, 0:side] / side
    speckle = cv2.GaussianBlur(rng.gamma(2.0, 0.5, (side, side)).astype(np.float32), (0, 0), 1.0)
    depth = 150 * np.exp(-1.2 * rows) * speckle
    centre, radii = rng.uniform(0.35, 0.65, 2), rng.uniform(0.12, 0.22, 2)
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    ragged = 1 + (0.25 * np.sin(7 * angle + rng.uniform(0, 6)) if rough else 0)
    mask = np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1]) < ragged
    if not lesion:
        mask[:] = False
    image = np.where(mask, 0.25 * depth, depth)
    return np.clip(image, 0, 255).astype(np.uint8), mask.astype(np.uint8)


@dataclass(frozen=True)
class TorsoVolume:
    """A CT-like volume."""

    hounsfield: npt.NDArray[np.int16]
    """(Z, H, W) Hounsfield units, inferior slice first, anterior row first, the patient's right first."""
    organ: UInt8Array
    """(Z, H, W), 1 in a liver-like organ."""
    lesion: UInt8Array
    """(Z, H, W), 1 in a lesion inside the organ."""


def torso_volume(series: str, number: int, slices: int = 8, side: int = 48) -> TorsoVolume:
    """Return a torso with air around it, an organ and, in most of them, a lesion in the organ.

    Args:
        series: Name of the data set.
        number: Number of the volume.
        slices: Z.
        side: H and W in pixels.
    """
    rng = generator("torso", series, number)
    z, y, x = np.mgrid[0:slices, 0:side, 0:side].astype(np.float32)
    z, y, x = z / max(1, slices - 1) * 2 - 1, y / (side - 1) * 2 - 1, x / (side - 1) * 2 - 1
    hounsfield = np.full(x.shape, -1000.0, dtype=np.float32)
    hounsfield[np.hypot(x / 0.9, y / 0.65) < 1] = 20
    shift = rng.uniform(-0.1, 0.1, 3)
    organ = ((x + 0.35 + shift[0]) / 0.4) ** 2 + ((y + shift[1]) / 0.4) ** 2 + (
        (z + shift[2]) / 0.75
    ) ** 2 < 1
    hounsfield[organ] = rng.uniform(90, 130)
    place = rng.uniform(-0.12, 0.12, 3)
    radius = 0.0 if number % 4 == 3 else rng.uniform(0.14, 0.2)
    lesion = (
        np.sqrt(
            (x + 0.35 + shift[0] - place[0]) ** 2 + (y + shift[1] - place[1]) ** 2 + (z - place[2]) ** 2 / 6
        )
        < radius
    )
    lesion &= organ
    hounsfield[lesion] = rng.uniform(30, 60)
    hounsfield[np.hypot(x / 0.12, (y - 0.5) / 0.1) < 1] = 500
    hounsfield += rng.normal(0, 12, x.shape)
    return TorsoVolume(np.rint(hounsfield).astype(np.int16), organ.astype(np.uint8), lesion.astype(np.uint8))
