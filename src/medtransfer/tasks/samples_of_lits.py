"""A small synthetic copy of LiTS 2017, in the folders of the challenge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medtransfer.tasks.sample_files import write_nifti
from medtransfer.tasks.sample_pictures import torso_volume

_NUMBERS = (0, 1, 2, 5, 10, 28, 29, 30, 99, 130)
_SECOND_BATCH = 28
_WITHOUT_LESION = 3
_SLICES, _SIDE = 6, 48


def write_lits_sample(root: Path) -> None:
    """Write ten volumes of six slices: two folders, packed and not, rows and columns of either direction."""
    for place, number in enumerate(_NUMBERS):
        folder = "Training Batch 2" if number >= _SECOND_BATCH else "Training Batch 1"
        ending = "nii.gz" if number >= _SECOND_BATCH else "nii"
        # drawings number 3, 7, … have no lesion: one volume has none, as some of the real ones
        drawing = _WITHOUT_LESION if place == 0 else 4 * place + place % 3
        torso = torso_volume("lits", drawing, _SLICES, _SIDE)
        mask = np.maximum(torso.organ, 2 * torso.lesion).astype(np.uint8)
        for name, values in (("volume", torso.hounsfield), ("segmentation", mask)):
            _write(root / folder / f"{name}-{number}.{ending}", values, turned=place % 2 == 1)


def _write(path: Path, values: npt.NDArray[Any], *, turned: bool) -> None:
    """Write (Z, H, W) with rows and columns as they are, or with both turned round; the header says which."""
    voxels = values.transpose(2, 1, 0)
    if turned:
        write_nifti(path, np.ascontiguousarray(voxels[::-1, ::-1]), (0.8, 0.8, 2.5))
    else:
        write_nifti(path, np.ascontiguousarray(voxels), (-0.8, -0.8, 2.5))
