"""Case tables whose images are drawn in memory: bright discs that are easy to tell apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from medtransfer.core.fingerprints import hash_array
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.case_table import CaseTable


@dataclass
class DrawnSource:
    """Arrays by locator, and which locators were read."""

    arrays: dict[str, np.ndarray]
    read: list[str] = field(default_factory=list)

    def read_image(self, locator: str) -> np.ndarray:
        self.read.append(locator)
        return self.arrays[locator]

    read_mask = read_image

    def content_hash(self, locator: str) -> str:
        return hash_array(self.arrays[locator])

    def describe(self, locator: str) -> str:
        return locator


def disc(height: int, width: int, centre: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (y - centre[0] * height) ** 2 + (x - centre[1] * width) ** 2 < (radius * min(height, width)) ** 2


def picture(shape: np.ndarray, random: np.random.Generator) -> np.ndarray:
    noise = random.normal(60, 20, shape.shape)
    return np.clip(noise + 120 * shape, 0, 255).astype(np.uint8)


def drawn_labels(
    count: int = 40, side: int = 36, kind: TaskKind = TaskKind.BINARY, classes: int = 2
) -> CaseTable:
    """Return cases whose class is the size of a disc; for multi-label, which of several discs are there."""
    random = np.random.default_rng(5)
    arrays, rows = {}, []
    for number in range(count):
        row = {"case_id": f"c{number}", "patient_id": f"p{number}", "image": f"i{number}"}
        if kind is TaskKind.MULTI_LABEL:
            present = random.random(classes) < 0.5
            shape = np.zeros((side, side), dtype=bool)
            for k in np.flatnonzero(present):
                shape |= disc(side, side, (0.5, (k + 0.5) / classes), 0.12)
            row |= {f"label:finding{k}": int(present[k]) for k in range(classes)}
        else:
            row["label"] = number % classes
            shape = disc(side, side, (0.5, 0.5), 0.05 + 0.12 * (number % classes + 0.5))
        arrays[f"i{number}"] = picture(shape, random)
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame["split"] = np.resize(["train", "train", "train", "val", "val", "test"], count)
    frame.loc[: count // 2 - 1, "split"] = "train"
    names = tuple(f"finding{k}" for k in range(classes))
    return CaseTable(frame, kind, names, DrawnSource(arrays), "ours")


def drawn_masks(count: int = 20, *, classes: int = 1, view: bool = False) -> CaseTable:
    """Return images of 44 x 60 pixels with a disc per class at a random place, and masks in that size."""
    random = np.random.default_rng(6)
    arrays, rows = {}, []
    for number in range(count):
        mask = np.zeros((44, 60), dtype=np.uint8)
        for k in range(classes):
            centre = tuple(random.uniform(0.25, 0.75, 2))
            mask[disc(44, 60, centre, 0.22 - 0.06 * k)] = k + 1
        arrays[f"i{number}"] = picture(mask / classes, random)
        arrays[f"m{number}"] = mask
        row = {
            "case_id": f"c{number}",
            "patient_id": f"p{number}",
            "image": f"i{number}",
            "mask": (f"m{number}",),
        }
        if view:
            arrays[f"v{number}"] = (disc(44, 60, (0.5, 0.5), 0.45) * 255).astype(np.uint8)
            row["field_of_view"] = f"v{number}"
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame["split"] = np.resize(["train", "train", "train", "val", "test"], count)
    return CaseTable(
        frame, TaskKind.SEGMENTATION, tuple(f"organ{k}" for k in range(classes)), DrawnSource(arrays), "ours"
    )
