"""DRIVE: blood vessels in fundus photographs, scored inside the field of view and over the whole image."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medtransfer.core.errors import DataError
from medtransfer.core.seeds import seed_from
from medtransfer.core.task_kind import TaskKind
from medtransfer.data.audit import ExpectedCounts
from medtransfer.data.case_table import CaseTable
from medtransfer.data.file_source import FileSource
from medtransfer.data.splits import hold_out
from medtransfer.tasks.target_task import TargetTask

_VALIDATION_SHARE = 0.2


def open_drive(root: Path) -> CaseTable:
    """Return the case table of a folder in the official layout.

    The official test images are the test split. A fifth of the official training images, drawn
    with a fixed seed, is the validation split, because DRIVE has none.

    Args:
        root: Folder with ``training/`` and ``test/``, each with ``images``, ``1st_manual`` and ``mask``.

    Raises:
        DataError: If a folder, a vessel mask or a field-of-view mask is missing.
    """
    training = [_row(root, path, "training", "train") for path in _images(root, "training")]
    numbers = [str(row["case_id"]) for row in training]
    seed = seed_from("split", "drive-vessel")
    splits = hold_out(["train"] * len(numbers), numbers, None, share=_VALIDATION_SHARE, seed=seed)
    for row, split in zip(training, splits, strict=True):
        row["split"] = str(split)
    test = [_row(root, path, "test", "test") for path in _images(root, "test")]
    return CaseTable(
        frame=pd.DataFrame([*training, *test]),
        kind=TaskKind.SEGMENTATION,
        classes=("vessel",),
        source=FileSource(root),
        split_source="official",
    )


def _images(root: Path, part: str) -> list[Path]:
    paths = sorted((root / part / "images").glob("*.tif"))
    if not paths:
        raise DataError(
            f"drive-vessel: expected .tif images in {root / part / 'images'}, got none. Check the folder."
        )
    return paths


def _row(root: Path, image: Path, part: str, split: str) -> dict[str, object]:
    number = image.name.split("_", 1)[0]
    mask = f"{part}/1st_manual/{number}_manual1.gif"
    view = f"{part}/mask/{number}_{part}_mask.gif"
    for name, what in ((mask, "vessel mask"), (view, "field-of-view mask")):
        if not (root / name).is_file():
            hint = " Recent downloads withhold the test masks: add them." if part == "test" else ""
            raise DataError(
                f"drive-vessel: expected the {what} {name} for {image.name}, got no such file.{hint}"
            )
    return {
        "case_id": number,
        "patient_id": number,
        "split": split,
        "image": image.relative_to(root).as_posix(),
        "mask": (mask,),
        "field_of_view": view,
    }


drive_vessel = TargetTask(
    name="drive-vessel",
    revision=1,
    title="Blood vessels in fundus photographs",
    kind=TaskKind.SEGMENTATION,
    classes=("vessel",),
    metrics=("dice-fov", "dice", "dice-pooled-fov", "dice-pooled"),
    open=open_drive,
    folders=("drive-vessel", "drive/DRIVE", "DRIVE", "drive"),
    licence="research use; registration at the challenge site",
    citation="Staal et al., Ridge-based vessel segmentation in color images of the retina, IEEE TMI 23(4), 2004",
    url="https://drive.grand-challenge.org",
    expected=ExpectedCounts(variants=({"train": 16, "val": 4, "test": 20},)),
    image_sets=("drive",),
    caution="Validation is 4 of the 20 official training images, drawn here with a fixed seed.",
)
