"""A synthetic copy of ChestX-ray14 in its official layout."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from medtransfer.tasks.chest_xray14 import FINDINGS, NO_FINDING
from medtransfer.tasks.sample_chests import chest_with_findings, drawn_findings
from medtransfer.tasks.sample_files import write_lines, write_picture, write_table

_HEADER: Final = (
    *("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender"),
    *("View Position", "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]"),
)
"""Brackets with commas in them, so that one name stands over two columns."""

_PATIENTS: Final = 36
_FOLDERS: Final = 12
_WITH_ALPHA: Final = 15


def write_chestxray14_sample(root: Path) -> None:
    """Write 72 images of 36 patients with one to three images each; every fifth patient is a test patient.

    Every fifteenth image has four channels, and the images lie in twelve folders in the order of their
    names.
    """
    exams = [(patient, view) for patient in range(1, _PATIENTS + 1) for view in range(1 + patient % 3)]
    names = [f"{patient:08d}_{view:03d}.png" for patient, view in exams]
    is_test = [patient % 5 == 0 for patient, _ in exams]
    findings = {
        True: iter(drawn_findings("chestxray14-test", sum(is_test), len(FINDINGS))),
        False: iter(drawn_findings("chestxray14-train", len(exams) - sum(is_test), len(FINDINGS))),
    }
    rows = []
    for number, ((patient, view), name) in enumerate(zip(exams, names, strict=True)):
        shown = next(findings[is_test[number]])
        pixels = chest_with_findings("chestxray14", patient, view, shown)
        if number % _WITH_ALPHA == 0:
            pixels = np.dstack([pixels, pixels, pixels, np.full_like(pixels, 255)])
        folder = f"images_{number * _FOLDERS // len(exams) + 1:03d}"
        write_picture(root / folder / "images" / name, pixels)
        label = "|".join(FINDINGS[finding] for finding in shown) or NO_FINDING
        about = (view, patient, 20 + patient, "FM"[patient % 2], ("PA", "AP")[view % 2])
        rows.append((name, label, *about, 64, 64, 0.143, 0.143))
    write_table(root / "Data_Entry_2017_v2020.csv", _HEADER, rows)
    for list_name, wanted in (("train_val_list.txt", False), ("test_list.txt", True)):
        write_lines(
            root / list_name, [name for name, test in zip(names, is_test, strict=True) if test is wanted]
        )
