"""A folder of large grey PNG files, as radiographs are stored: what the image bars read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.phantoms import PhantomSource, chest_locator

SIDE = 1024
CLASSES = ("clear", "nodule")


def write_pictures(root: Path, number: int) -> CaseTable:
    """Write so many files, a folder per class, and return their case table, all of them for training.

    They are phantom chests, enlarged and made grainy, so that PNG compresses them about as well as
    it compresses radiographs.
    """
    rows = []
    for case in range(number):
        name = CLASSES[case % 2]
        path = root / name / f"{case:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), _picture(case, name))
        locator = str(path.relative_to(root))
        rows.append({"case_id": locator, "patient_id": locator, "image": locator, "label": case % 2})
    frame = pd.DataFrame(rows).assign(split="train")
    return CaseTable(frame, TaskKind.BINARY, CLASSES, FileSource(root), "ours")


def _picture(case: int, name: str) -> np.ndarray:
    findings = {"nodule"} if name == "nodule" else set()
    chest = PhantomSource().read_image(chest_locator("benchmarks", case, 0, findings))
    large = cv2.resize(chest, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(case).normal(0, 2, large.shape)
    return np.clip(np.rint(large + grain), 0, 255).astype(np.uint8)
