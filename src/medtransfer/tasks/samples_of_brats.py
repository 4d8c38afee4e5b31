"""A small synthetic copy of the BraTS 2020 training cases, in the official layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medtransfer.core.seeds import generator
from medtransfer.tasks.sample_files import write_nifti

_NUMBERS: Final = (1, 2, 3, 17, 45, 100, 123, 200, 250, 300, 355, 369)
_SLICES, _SIDE = 6, 48
_CONTRAST: Final = {
    "t1": (300, 120, 200, 260),
    "t1ce": (300, 110, 210, 620),
    "t2": (280, 520, 450, 400),
    "flair": (250, 180, 560, 420),
}
"""Signal of brain, necrosis, oedema and enhancing tumour in each sequence."""


def write_brats_sample(root: Path) -> None:
    """Write twelve cases of six slices, the lowest of them black."""
    for number in _NUMBERS:
        case = f"BraTS20_Training_{number:03}"
        brain, labels = _head(number)
        draw = generator("brats", "noise", number)
        for name, signal in _CONTRAST.items():
            values = np.where(brain, np.choose(labels, (*signal[:3], 0, signal[3])), 0)
            values = values * draw.uniform(0.5, 2.0) + draw.normal(0, 8, values.shape) * brain
            _write(root / case / f"{case}_{name}.nii.gz", np.clip(values, 0, None).astype(np.int16))
        _write(root / case / f"{case}_seg.nii.gz", labels.astype(np.uint8))


def _head(number: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Return where the brain is, and the stored labels: necrosis in an enhancing rim in oedema; (Z, H, W)."""
    draw = generator("brats", number)
    z, y, x = np.mgrid[0:_SLICES, 0:_SIDE, 0:_SIDE].astype(np.float64)
    z, y, x = z / (_SLICES - 1) * 2 - 1, y / (_SIDE - 1) * 2 - 1, x / (_SIDE - 1) * 2 - 1
    brain = (np.hypot(x / 0.75, y / 0.9) < 1) & (z > -0.99)
    centre = draw.uniform((-0.2, -0.25, -0.3), (0.2, 0.25, 0.3))
    away = np.sqrt((x - centre[2]) ** 2 + (y - centre[1]) ** 2 + ((z - centre[0]) / 2) ** 2)
    size = draw.uniform(0.85, 1.1)
    labels = np.zeros(away.shape, dtype=np.intp)
    for label, radius in ((2, 0.45), (4, 0.32), (1, 0.2)):
        labels[(away < radius * size) & brain] = label
    return brain, labels


def _write(path: Path, values: npt.NDArray[Any]) -> None:
    """Write (Z, H, W) as the challenge does: x to the patient's left, y to the back, z upwards."""
    write_nifti(path, np.ascontiguousarray(values.transpose(2, 1, 0)), (-1.0, -1.0, 1.0))
