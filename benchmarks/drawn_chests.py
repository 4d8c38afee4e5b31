"""Drawn radiographs in a folder, with fourteen findings that a network without any training can see."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from medtransfer.data.phantom_findings import FINDINGS as PHANTOM_FINDINGS
from medtransfer.data.phantoms import PhantomSource, chest_locator

DIRECTIONS = 7
FINDINGS = (*PHANTOM_FINDINGS, *(f"stripes-{number}" for number in range(DIRECTIONS)))
"""As many as ChestX-ray14 has: those of the phantoms, and patches of stripes, each of its own direction."""
SIDE = 256
DENSITY = 4.0
"""How much denser findings are than a phantom's."""
CONTRAST = 40.0
"""Grey levels from the middle of a stripe to its edge. With both, untrained networks reach an AUC of 0.7 to 0.8."""
PREVALENCE = 0.2
IMAGES_PER_PATIENT = 2
GRAIN = 2.0
"""Standard deviation of the noise of every pixel, which makes files as large as real ones."""

_PERIOD = 16.0
"""Width of a pair of stripes in pixels."""
_RADIUS = 40.0

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DrawnChests:
    """Drawn radiographs, and what is known of them."""

    root: Path
    """Folder of the files and of ``labels.csv``."""
    table: pd.DataFrame
    """Columns image, patient, split and one per finding."""

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """Return the row numbers of a split."""
        return np.flatnonzero(self.table["split"] == split)

    def labels(self) -> npt.NDArray[np.int64]:
        """Return the labels of all images, shape (N, C)."""
        return self.table[list(FINDINGS)].to_numpy()


def draw_chests(root: Path, train: int, val: int, test: int) -> DrawnChests:
    """Write PNG files and a list of their labels, always the same.

    Args:
        root: Folder to be made.
        train: Images of the training split, even like the others.
        val: Images of the validation split.
        test: Images of the test split.
    """
    root.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for number, split in enumerate(["train"] * train + ["val"] * val + ["test"] * test):
        patient, view = divmod(number, IMAGES_PER_PATIENT)
        present = {finding for finding in FINDINGS if random.random() < PREVALENCE}
        name = f"{number:05}.png"
        cv2.imwrite(str(root / name), _radiograph(patient, view, present, random))
        labels = {finding: int(finding in present) for finding in FINDINGS}
        rows.append({"image": name, "patient": f"p{patient:04}", "split": split, **labels})
    table = pd.DataFrame(rows)
    table.to_csv(root / "labels.csv", index=False)
    return DrawnChests(root, table)


def _radiograph(
    patient: int, view: int, present: AbstractSet[str], random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    drawn, clear = (
        PhantomSource().read_image(chest_locator("whole-study", patient, view, findings)).astype(np.float64)
        for findings in (present & set(PHANTOM_FINDINGS), ())
    )
    image = cv2.resize(clear + DENSITY * (drawn - clear), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    for direction in range(DIRECTIONS):
        if f"stripes-{direction}" in present:
            image += _patch(np.pi * direction / DIRECTIONS, random)
    return np.clip(np.rint(image + random.normal(0, GRAIN, image.shape)), 0, 255).astype(np.uint8)


def _patch(angle: float, random: np.random.Generator) -> FloatArray:
    """Return the grey levels a finding adds: stripes that fade around a place in the middle of the image."""
    y, x = np.indices((SIDE, SIDE), dtype=np.float64)
    along = x * np.cos(angle) + y * np.sin(angle)
    stripes = np.sin(2 * np.pi * (along / _PERIOD + random.random()))
    centre_x, centre_y = random.uniform(0.25 * SIDE, 0.75 * SIDE, 2)
    fading = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * _RADIUS**2))
    return np.asarray(CONTRAST * fading * stripes)
